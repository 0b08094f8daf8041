"""What an asset is doing, from how much it is at work: hysteresis, and time to settle."""

import numpy as np

from gateway.core.arrays import BoolArray, ByteArray, FloatArray
from gateway.core.rows import OperatingState
from twins.checkpoint import State
from twins.physics import lag_weight

ON_SHARE = 0.15
"""At work from this share of the rated speed or current on."""
OFF_SHARE = 0.10
"""No longer at work below it: the gap to `ON_SHARE` keeps noise from toggling the state."""
SETTLED_SHARE = 0.05
"""A load this close to its lagged self has settled."""
UNSETTLED_SHARE = 0.10
"""A settled load this far from its lagged self is changing again."""
LAGS_TO_SETTLE = 3.0
"""After a step a first-order lag is within 5 % after three time constants."""

_UNKNOWN, _OFF, _STARTING, _RUNNING = np.array(
    [
        OperatingState.UNKNOWN,
        OperatingState.OFF,
        OperatingState.STARTING,
        OperatingState.RUNNING,
    ],
    dtype=np.uint8,
)


class OperatingStates:
    """The operating states of n assets.

    UNKNOWN while the load is not known, OFF while it is low, RUNNING when it has settled, and
    STARTING in between: while it rises, runs down, or jumps to another operating point. Whether a
    load has settled shows against its own first-order lag, a third of the settling time, which
    begins at 0: so a start takes the settling time, and slow changes of demand do not count.
    """

    def __init__(self, count: int, *, settling_s: FloatArray) -> None:
        """Begin with every asset unknown.

        Args:
            count: Number n of assets.
            settling_s: Time to settle of each asset, shape (n,).
        """
        self._lag_s = settling_s / LAGS_TO_SETTLE
        self._is_on: BoolArray = np.zeros(count, dtype=np.bool_)
        self._lagged: FloatArray = np.zeros(count)
        self._time_ns: int | None = None
        self.state: ByteArray = np.full(count, OperatingState.UNKNOWN, dtype=np.uint8)
        """As of the last update, shape (n,)."""

    def update(self, load: FloatArray, *, time_ns: int) -> BoolArray:
        """Take in the loads at an instant and return which assets changed state, shape (n,).

        Args:
            load: Share of rated speed or current, shape (n,); NaN is unknown.
            time_ns: The instant; never before the last one.
        """
        elapsed_s = 0.0 if self._time_ns is None else (time_ns - self._time_ns) / 1e9
        self._time_ns = time_ns
        is_known = ~np.isnan(load)
        lagged = self._lagged + lag_weight(elapsed_s, self._lag_s) * (load - self._lagged)
        self._lagged = np.where(is_known, lagged, 0.0)
        self._is_on = (load > ON_SHARE) | (self._is_on & (load > OFF_SHARE))
        was_running = self.state == _RUNNING
        band = np.where(was_running, UNSETTLED_SHARE, SETTLED_SHARE)
        is_settled = np.abs(load - self._lagged) <= band
        on_state = np.where(is_settled, _RUNNING, _STARTING)
        state = np.where(is_known, np.where(self._is_on, on_state, _OFF), _UNKNOWN)
        changed = np.asarray(state != self.state)
        self.state = state
        return changed

    def save(self) -> State:
        """Return all that `load` needs, by name."""
        return {
            "is_on": self._is_on,
            "lagged": self._lagged,
            "time_ns": np.array([-1 if self._time_ns is None else self._time_ns], dtype=np.int64),
            "state": self.state,
        }

    def load(self, state: State) -> None:
        """Go on from what `save` returned."""
        self._is_on = np.array(state["is_on"], dtype=np.bool_)
        self._lagged = np.array(state["lagged"], dtype=np.float64)
        time_ns = int(state["time_ns"].astype(np.int64)[0])
        self._time_ns = None if time_ns < 0 else time_ns
        self.state = np.array(state["state"], dtype=np.uint8)

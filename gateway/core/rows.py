"""Aligned rows: what twins hand to detectors, one row an asset."""

from dataclasses import dataclass
from enum import IntEnum
from typing import NewType

from gateway.core.arrays import ByteArray, FloatArray, StatusArray, frozen
from gateway.core.frame import ClockSource, Origin

AssetId = NewType("AssetId", str)
"""Name of an asset in the plant, such as `P-101`."""


class OperatingState(IntEnum):
    """What an asset is doing; baselines and alarms depend on it."""

    UNKNOWN = 0
    """Its signals are Bad or not there yet."""
    OFF = 1
    STARTING = 2
    """Changing between states: no baseline applies."""
    RUNNING = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Features of all assets of one type at one instant; the arrays are read-only."""

    asset_type: str
    """The type all the assets share, such as `centrifugal_pump`."""
    assets: tuple[AssetId, ...]
    """n of them, always the same and in the same order for one twin."""
    columns: tuple[str, ...]
    """m feature names, always the same and in the same order for one twin."""
    time_ns: int
    """The instant, in the time of the data, UTC."""
    value: FloatArray
    """Shape (n, m), in the columns' units; NaN where Bad."""
    status: StatusArray
    """Shape (n, m); a residual is as good as the worst input it was computed from."""
    state: ByteArray
    """`OperatingState` of each asset, shape (n,)."""
    received_ns: int
    """Receive time of the newest sample in it, UTC."""
    arrival_ns: int
    """The same on the monotonic clock; 0 when not live."""
    origin: Origin
    """That of the frame it came from."""
    clock: ClockSource = ClockSource.SOURCE
    """That of the frame it came from."""

    def __post_init__(self) -> None:
        """Check the shapes and switch writing off."""
        shape = (len(self.assets), len(self.columns))
        assert self.value.shape == shape
        assert self.status.shape == shape
        assert self.state.shape == shape[:1]
        for array in (self.value, self.status, self.state):
            frozen(array)

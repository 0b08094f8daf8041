"""Runs a model of memory: one column, and an event where something new begins."""

from typing import Final

import numpy as np

from analytics.anomaly.engine import Assessed
from analytics.anomaly.packing import pack, unpack_into
from analytics.anomaly.surprise import REST_ROWS
from analytics.anomaly.trackers import TagTracker, tracker_of
from analytics.runtime import read_constants
from gateway.core.arrays import BoolArray, FloatArray
from gateway.core.errors import ModelError

FADED_SCORE: Final = 0.95
"""Score in the row after an event; the default alarm's dead band ends at 0.8."""
_FADING: Final = float(np.exp(-1.0 / REST_ROWS))


class MemoryEngine:
    """Implements `Engine` with the univariate tracker.

    The score is the event: it stands above 1 in the one row in which something new begins, or
    grows. Then it fades from just below 1, within the dead band of the default alarm, so that an
    event outlasts the alarm's delay and still is one event. A memory has nothing to wait for: it
    begins with what the training saw.
    """

    def __init__(self, model: bytes, *, asset_count: int) -> None:
        """Load a memory for n assets.

        Raises:
            ModelError: it is no graph of such a model.
        """
        try:
            tracker = tracker_of(read_constants(model))
        except ValueError as error:
            raise ModelError(f"the model is no memory: {error}") from error
        if tracker.log_limit.shape != (1,):
            raise ModelError(f"a memory of {len(tracker.log_limit)} columns; it should be one")
        self._tracker = TagTracker(tracker, asset_count=asset_count)
        self._faded: FloatArray = np.zeros(asset_count)

    def update(self, time_ns: int, value: FloatArray, counts: BoolArray) -> Assessed:
        """Take in one value of each asset; see `Engine`."""
        event = self._tracker.update(value, counts[:, np.newaxis]).event[:, 0]
        self._faded *= np.where(counts, _FADING, 1.0)
        score = np.maximum(event, self._faded)
        np.copyto(self._faded, FADED_SCORE, where=event > 1.0)
        return Assessed(
            score=score, is_waiting=np.zeros_like(counts), is_begun=np.ones_like(counts)
        )

    def shares(self) -> FloatArray:
        """Return 1 for the one column, where there is or was an event."""
        return (self._faded > 0.0).astype(np.float64)[:, np.newaxis]

    def rebase(self, shift_ns: int) -> None:
        """Do nothing: a memory counts rows."""

    def checkpoint(self) -> str:
        """Return the memory as text, some 20 kB an asset."""
        return pack((*self._tracker.checkpoint(), self._faded))

    def restore(self, checkpoint: str) -> None:
        """Go on from a checkpoint; see `Engine`."""
        arrays = self._tracker.checkpoint()
        unpack_into(checkpoint, (*arrays, faded := self._faded.copy()))
        self._tracker.restore(arrays)
        self._faded = faded

"""Runs a model of memory: one column, and an event where something new begins."""

import numpy as np

from analytics.anomaly.engine import Assessed
from analytics.anomaly.packing import pack, unpack_into
from analytics.anomaly.trackers import TagTracker, tracker_of
from analytics.runtime import read_constants
from gateway.core.arrays import BoolArray, FloatArray
from gateway.core.errors import ModelError


class MemoryEngine:
    """Implements `Engine` with the univariate tracker.

    The score is the event: it stands in the one row in which something new begins, or grows, and is
    0 in the rows after it. A memory has nothing to wait for: it begins with what the training saw.
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
        self._score = np.zeros((asset_count, 1))

    def update(self, time_ns: int, value: FloatArray, counts: BoolArray) -> Assessed:
        """Take in one value of each asset; see `Engine`."""
        event = self._tracker.update(value, counts[:, np.newaxis]).event
        self._score = np.where(np.isfinite(event), event, 0.0)
        return Assessed(
            score=event[:, 0], is_waiting=np.zeros_like(counts), is_begun=np.ones_like(counts)
        )

    def shares(self) -> FloatArray:
        """Return 1 for the one column, where there is an event."""
        return (self._score > 0.0).astype(np.float64)

    def rebase(self, shift_ns: int) -> None:
        """Do nothing: a memory counts rows."""

    def checkpoint(self) -> str:
        """Return the memory as text, some 20 kB an asset."""
        return pack(self._tracker.checkpoint())

    def restore(self, checkpoint: str) -> None:
        """Go on from a checkpoint; see `Engine`."""
        arrays = self._tracker.checkpoint()
        unpack_into(checkpoint, arrays)
        self._tracker.restore(arrays)

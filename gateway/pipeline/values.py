"""The last value of every tag and a short trend, for whoever looks now."""

import numpy as np

from gateway.core.arrays import FloatArray, StatusArray, TimeArray
from gateway.core.frame import Frame
from gateway.core.quality import Status
from gateway.core.tags import TagTable

TREND_LENGTH = 120


class LiveValues:
    """Columns over the tag table, overwritten by each frame; a late sample does not go back."""

    def __init__(self, table: TagTable) -> None:
        """Begin with every tag waiting for its first value."""
        count = len(table)
        self.table = table
        self.value: FloatArray = np.full(count, np.nan)
        """Last value of each tag in engineering units, shape (len(table),)."""
        self.time_ns: TimeArray = np.zeros(count, dtype=np.int64)
        """Source time of it; 0 before the first."""
        self.status: StatusArray = np.full(
            count, Status.BAD_WAITING_FOR_INITIAL_DATA, dtype=np.uint32
        )
        """Status code of it."""
        self._trend_value = np.full((count, TREND_LENGTH), np.nan, dtype=np.float32)
        self._trend_time_s = np.zeros((count, TREND_LENGTH), dtype=np.uint32)
        self._trend_count = np.zeros(count, dtype=np.int64)

    def update(self, frame: Frame) -> None:
        """Take in one frame."""
        index = frame.tag_index
        # The last of several samples of one tag wins, as numpy assigns in order.
        newer = frame.time_ns >= self.time_ns[index]
        index = index[newer]
        self.value[index] = frame.value[newer]
        self.time_ns[index] = frame.time_ns[newer]
        self.status[index] = frame.status[newer]
        slot = self._trend_count[index] % TREND_LENGTH
        self._trend_value[index, slot] = frame.value[newer]
        self._trend_time_s[index, slot] = frame.time_ns[newer] // 1_000_000_000
        self._trend_count[index] += 1

    def trend(self, tag_index: int) -> tuple[TimeArray, FloatArray]:
        """Return times in seconds since 1970 and values of one tag's newest samples, in order."""
        count = int(self._trend_count[tag_index])
        held = min(count, TREND_LENGTH)
        slots = np.arange(count - held, count) % TREND_LENGTH
        return (
            self._trend_time_s[tag_index, slots].astype(np.int64),
            self._trend_value[tag_index, slots].astype(np.float64),
        )

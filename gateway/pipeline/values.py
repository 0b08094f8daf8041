"""The last value of every tag and a short trend, for whoever looks now."""

from dataclasses import replace

import numpy as np

from gateway.core.arrays import BoolArray, FloatArray, StatusArray, TimeArray, rebased
from gateway.core.frame import ClockSource, Frame, Origin
from gateway.core.quality import Status, is_bad
from gateway.core.tags import TagTable

TREND_LENGTH = 120
STALE_AFTER_S = 30.0
"""A source that gave nothing for longer makes its tags stale.

It is the source that counts, not the tag: a subscription sends nothing for a value that does not
change, and such a value is not stale.
"""


class LiveValues:
    """Columns over the tag table, overwritten by each frame.

    What is received now is the newest, whatever its time: clocks are set back, the source's and
    our own, and a server gives a value that has not changed with the time of its last change. Of
    what is read later from a history, a sample older than the value held does not go back.
    """

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
        self.update_count = 0
        """Frames taken in; with `updated_by`, tells what is new since somebody last looked."""
        self.updated_by = np.zeros(count, dtype=np.int64)
        """The `update_count` that last touched each tag, shape (len(table),)."""
        sources = [tag.id.partition(".")[0] for tag in table.tags]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(sources))}
        self._source = np.array([numbers[name] for name in sources], dtype=np.int64)
        self._source_received_ns = np.zeros(len(numbers), dtype=np.int64)
        self._trend_value = np.full((count, TREND_LENGTH), np.nan)
        self._trend_time_ns = np.zeros((count, TREND_LENGTH), dtype=np.int64)
        self._trend_status = np.zeros((count, TREND_LENGTH), dtype=np.uint32)
        self._trend_count = np.zeros(count, dtype=np.int64)

    def is_current(self, frame: Frame) -> BoolArray:
        """Return which samples tell the present state, shape (n,); the others tell the past."""
        if frame.origin is Origin.HISTORICAL:
            return frame.time_ns >= self.time_ns[frame.tag_index]
        return np.ones(len(frame), dtype=np.bool_)

    def good_again(self, frame: Frame) -> Frame | None:
        """Return what is to be stated of values that come back unchanged after they were Bad.

        A server gives a value that did not change during a loss with its old source time. Sorted
        by time, the tag would stay Bad from our edge on until it changes; so the gateway states
        that it holds from now on. Called before the frame is taken in.
        """
        if not frame.is_received or frame.origin is not Origin.LIVE:
            return None
        index = frame.tag_index
        is_back = (frame.time_ns < self.time_ns[index]) & is_bad(self.status[index])
        is_back &= ~is_bad(frame.status)
        if not is_back.any():
            return None
        back = frame.where(is_back)
        return replace(
            back,
            time_ns=np.full(len(back), frame.received_ns, dtype=np.int64),
            server_ns=None,
            arrival_ns=0,
            is_received=False,
            clock=ClockSource.GATEWAY,
        )

    def update(self, frame: Frame) -> None:
        """Take in one frame."""
        newer = self.is_current(frame)
        index = frame.tag_index[newer]
        # The last of several samples of one tag wins, as numpy assigns in order.
        self.value[index] = frame.value[newer]
        self.time_ns[index] = frame.time_ns[newer]
        self.status[index] = frame.status[newer]
        self.update_count += 1
        self.updated_by[index] = self.update_count
        self._source_received_ns[self._source[index]] = frame.received_ns
        slot = self._trend_count[index] % TREND_LENGTH
        self._trend_value[index, slot] = frame.value[newer]
        self._trend_time_ns[index, slot] = frame.time_ns[newer]
        self._trend_status[index, slot] = frame.status[newer]
        self._trend_count[index] += 1

    def rebase(self, shift_ns: int) -> None:
        """Move the times of receipt: the gateway's clock was set."""
        self._source_received_ns = rebased(self._source_received_ns, shift_ns)

    def is_stale(self, *, now_ns: int) -> BoolArray:
        """Return which tags belong to a source that has been silent, shape (len(table),)."""
        silent = now_ns - self._source_received_ns > STALE_AFTER_S * 1e9
        return np.asarray(silent[self._source], dtype=np.bool_)

    def trend(self, tag_index: int) -> tuple[TimeArray, FloatArray, StatusArray]:
        """Return times, values and status codes of one tag's newest samples, oldest first."""
        count = int(self._trend_count[tag_index])
        held = min(count, TREND_LENGTH)
        slots = np.arange(count - held, count) % TREND_LENGTH
        return (
            self._trend_time_ns[tag_index, slots],
            self._trend_value[tag_index, slots],
            self._trend_status[tag_index, slots],
        )

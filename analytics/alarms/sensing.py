"""From frames to switches: the comparators of all alarms, and the clocks on which they run.

Theory. Time is the data's: the delays of an alarm run on the newest source time of its connector or
asset (the part of the tag's id before the first dot), so that an alarm on a tag that no longer
changes still comes up while its neighbours move, and a clock that is wrong in one device touches no
other.

Bad values neither raise nor clear. Late samples are ignored, and a source time far ahead of its
receipt is not believed (`analytics.instants`). When a sample bears an older time than its tag's
newest one but was received after that time, the source's clock was set back: all that is
remembered in that clock's time moves with it, so that delays go on.
"""

import numpy as np

from analytics.alarms.watches import Watches
from analytics.alarms.wiring import AlarmWiring
from analytics.comparators import ChatterRule, PositionArray, Switch
from analytics.instants import NEVER_NS, believed_ns
from gateway.core.arrays import TimeArray, rebased
from gateway.core.frame import Frame, Origin
from gateway.core.quality import is_bad
from gateway.core.tags import TagId, TagTable


class Sensing:
    """The comparators of a board, with their clocks and their places in the tag table."""

    def __init__(self, watches: Watches, chatter: ChatterRule | None) -> None:
        """Begin with nothing known.

        Args:
            watches: The comparators.
            chatter: When an alarm is held; None is never.
        """
        self._watches = watches
        self.comparators = watches.comparators(chatter)
        sources = sorted({_clock_of(watch.tag) for watch in watches.all})
        self.clocks = {name: k for k, name in enumerate(sources)}
        """Place of each clock in `now_ns`."""
        clocks = [self.clocks[_clock_of(watch.tag)] for watch in watches.all]
        self._clock = np.array(clocks, np.intp)
        self.now_ns: TimeArray = np.full(len(sources), NEVER_NS, dtype=np.int64)
        self._wiring: AlarmWiring | None = None

    def bind(self, table: TagTable) -> None:
        """Resolve tag ids to positions; the table has all of them."""
        tags = table.indices([watch.tag for watch in self._watches.all])
        clock_of_tag = [self.clocks.get(_clock_of(tag.id), -1) for tag in table.tags]
        self._wiring = AlarmWiring.build(tags, np.array(clock_of_tag, np.intp))

    def switches(self, frame: Frame) -> list[Switch]:
        """Let the comparators see a frame, and time pass up to its newest sample.

        Returns:
            What switched, in no order.
        """
        assert self._wiring is not None, "bind comes first"
        time_ns = believed_ns(frame.time_ns, received_ns=frame.received_ns)
        bad = is_bad(frame.status) | np.isnan(frame.value)
        sample, position = self._wiring.watching(frame.tag_index)
        if frame.origin is not Origin.HISTORICAL and len(sample):
            seen = ~bad[sample]
            self._follow_set_back(
                position[seen], time_ns[sample[seen]], received_ns=frame.received_ns
            )
        clock = self._wiring.clock_of_tag[frame.tag_index]
        ticks = (clock >= 0) & ~bad
        if ticks.any():
            np.maximum.at(self.now_ns, clock[ticks], time_ns[ticks])
        now_ns = self.now_ns[self._clock]
        switches: list[Switch] = []
        if len(sample):
            # A Bad edge that the gateway states bears the gateway's clock, not the device's.
            seen_ns = np.where(
                bad[sample], np.minimum(time_ns[sample], now_ns[position]), time_ns[sample]
            )
            value = self._watches.seen(position, frame.value[sample])
            switches = self.comparators.feed(position, seen_ns, value, bad[sample])
        return switches + self.comparators.advance(now_ns)

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set."""
        self.now_ns = rebased(self.now_ns, shift_ns)
        self.comparators.rebase(shift_ns)

    def _follow_set_back(
        self, position: PositionArray, time_ns: TimeArray, *, received_ns: int
    ) -> None:
        """Move what is remembered of clocks that were set back, so that good samples are new."""
        back_ns = self.comparators.set_back_ns(position, time_ns, received_ns=received_ns)
        if back_ns.any():
            shift_ns = np.zeros(len(self.now_ns), dtype=np.int64)
            np.minimum.at(shift_ns, self._clock[position], back_ns)
            self.now_ns = rebased(self.now_ns, shift_ns)
            self.comparators.rebase(shift_ns[self._clock])


def _clock_of(tag: TagId) -> str:
    """Return the connector or asset that a tag's id opens with."""
    return tag.partition(".")[0]

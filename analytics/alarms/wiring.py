"""Which alarms watch which tag, as arrays: a frame finds its alarms without a loop. Pure."""

from dataclasses import dataclass

import numpy as np

from analytics.comparators import PositionArray
from gateway.core.arrays import IndexArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AlarmWiring:
    """Which alarms watch which tag of a table, as arrays."""

    count: PositionArray
    """Alarms that watch each tag, shape (tags,)."""
    start: PositionArray
    """Where they begin in `position`, shape (tags,)."""
    position: PositionArray
    """Alarms in the order of the tags they watch, shape (k,)."""
    clock_of_tag: PositionArray
    """The clock that each tag's samples move; -1 is none that matters."""

    @classmethod
    def build(cls, tags: IndexArray, clock_of_tag: PositionArray) -> "AlarmWiring":
        """Return the wiring of alarms that watch these tags, shape (k,)."""
        count = np.bincount(tags, minlength=len(clock_of_tag)).astype(np.intp)
        return cls(
            count=count,
            start=np.cumsum(count) - count,
            position=np.argsort(tags, kind="stable"),
            clock_of_tag=clock_of_tag,
        )

    def watching(self, tag_index: IndexArray) -> tuple[PositionArray, PositionArray]:
        """Return every pair of a sample and an alarm that watches its tag, in sample order."""
        count = self.count[tag_index]
        sample = np.repeat(np.arange(len(tag_index)), count)
        nth = np.arange(len(sample)) - np.repeat(np.cumsum(count) - count, count)
        return sample, self.position[self.start[tag_index[sample]] + nth]

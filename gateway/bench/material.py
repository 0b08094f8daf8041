"""What the benchmarks of the log store: a day of slow signals, or recordings, as frames."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.bench.recordings import Recording
from gateway.core.arrays import FloatArray, frozen
from gateway.core.frame import Frame
from gateway.core.quality import Status
from gateway.core.tags import Tag, TagId, TagTable

TAG_COUNT: Final = 20
DAY_S: Final = 86_400
RESOLUTION_DIGITS: Final = 1
SAMPLES_PER_FRAME: Final = 1_000
"""A frame is as many scans as make about so many."""
NS_PER_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """Signals on their way into the log."""

    name: str
    tags: tuple[Tag, ...]
    value: FloatArray
    """Shape (n, m): a scan of all tags a second; NaN where nothing was recorded."""
    start_ns: int
    """UTC, of the first scan."""

    @property
    def sample_count(self) -> int:
        """Of all tags."""
        return self.value.size

    @property
    def span_ns(self) -> tuple[int, int]:
        """Time of the first scan, and of the one that would follow the last."""
        return self.start_ns, self.start_ns + len(self.value) * NS_PER_S

    def frames(self, table: TagTable) -> Iterator[Frame]:
        """Yield the signals as frames."""
        tags = table.indices([tag.id for tag in self.tags])
        scans = max(1, SAMPLES_PER_FRAME // len(tags))
        for begin in range(0, len(self.value), scans):
            value = self.value[begin : begin + scans]
            time_ns = self.start_ns + np.arange(begin, begin + len(value)) * NS_PER_S
            is_missing = np.isnan(value.ravel())
            yield Frame(
                tag_index=np.tile(tags, len(value)),
                time_ns=np.repeat(time_ns, len(tags)),
                value=value.ravel().copy(),
                status=np.where(is_missing, Status.BAD, Status.GOOD).astype(np.uint32),
                received_ns=int(time_ns[-1]),
            )


def slow_signals(*, start_ns: int, duration_s: int = DAY_S) -> Material:
    """Return random walks with one decimal, as slow instruments give them."""
    walk = np.random.default_rng(11).normal(0, 0.3, (duration_s, TAG_COUNT)).cumsum(axis=0)
    return Material(
        name="slow signals",
        tags=tuple(Tag(id=TagId(f"mill.T{number}")) for number in range(TAG_COUNT)),
        value=frozen(np.round(200 + walk, RESOLUTION_DIGITS)),
        start_ns=start_ns,
    )


def recorded(recordings: Sequence[Recording], *, start_ns: int) -> tuple[Material, ...]:
    """Return recordings as if each were a device of its own, all from the same time on."""
    return tuple(
        Material(
            name=recording.name,
            tags=tuple(
                Tag(id=TagId(f"r{number}.c{column}")) for column in range(recording.value.shape[1])
            ),
            value=recording.value,
            start_ns=start_ns,
        )
        for number, recording in enumerate(recordings)
    )

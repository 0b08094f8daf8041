"""What a time-series database holds against what the gateway's log says it should."""

from collections import Counter
from pathlib import Path

from gateway.core.records import RecordKind
from gateway.store.reader import LogReader
from gateway.wire.frames import FRAME_KINDS, frames_of
from tests.interop.victoria import VictoriaMetrics

NS_PER_MS = 1_000_000
Point = tuple[str, int]
"""Tag and time in ms: all that the database keeps of an identity."""


def points_of_log(path: Path) -> set[Point]:
    """Return every sample of a log, of whatever kind."""
    reader = LogReader(path)
    points = set()
    for record in reader.records():
        if record.kind is not RecordKind.BLOCK and record.kind not in FRAME_KINDS:
            continue
        frames, epoch = frames_of(record)
        tags = reader.table(epoch).tags
        for stored in frames:
            frame = stored.frame
            for place, time_ns in zip(
                frame.tag_index.tolist(), frame.time_ns.tolist(), strict=True
            ):
                points.add((tags[place].id, time_ns // NS_PER_MS))
    return points


async def points_of_bucket(database: VictoriaMetrics) -> Counter[Point]:
    """Return how often each sample is in the database, by the quality that every one has."""
    points: Counter[Point] = Counter()
    for labels, samples in (await database.series("edgewright_quality")).items():
        tag = dict(labels)["tag"]
        points.update((tag, time_ms) for time_ms, _ in samples)
    return points

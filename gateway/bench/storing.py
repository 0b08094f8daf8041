"""How fast the log takes samples in and gives them back, and how small they are on the disk.

The rivals get the same samples in the same run: a row for each in SQLite, as durable; and Arrow
IPC with zstd, block by block what the log's sealed blocks hold, sorted by tag as they are.
"""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from gateway.bench.arrow import has_arrow, ipc_size_bytes
from gateway.bench.figures import best_ms
from gateway.bench.material import Material
from gateway.bench.rows import PlainLog
from gateway.core.arrays import frozen
from gateway.core.frame import Frame, join_frames
from gateway.core.ports import Clock
from gateway.core.records import GatewayId, RecordKind, Seq
from gateway.core.tags import ConfigEpoch, TagTable
from gateway.store import LogReader, LogSettings, RecordLog
from gateway.wire.frames import FRAME_KINDS, draft_frame, frames_of

GATEWAY: Final = GatewayId("bench")
SEALED: Final = "sealed.db"
ROWS: Final = "rows.db"
ROUNDS: Final = 2
"""Of storing, in turn with the rival; the best of each counts."""
SETTINGS: Final = LogSettings(ballast_bytes=0)
SEALING: Final = LogSettings(seal_after_s=0.0, block_s=0.0, ballast_bytes=0, group_commit_s=0.01)
"""So that sealing need not wait for what it seals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What storing took; rates by the clock on the wall."""

    sample_count: int
    append_s: float
    """Until all is durable and the log closed."""
    append_cpu_s: float
    """Of the process, writer thread included."""
    rows_s: float
    rows_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How large the samples of one material are."""

    name: str
    sample_count: int
    block_bytes: int
    """Of the bodies of its sealed blocks."""
    arrow_bytes: int | None
    """Of the same blocks as Arrow IPC; None without pyarrow."""

    @property
    def ratio_to_arrow(self) -> float | None:
        """Our bytes as a part of Arrow's."""
        return self.block_bytes / self.arrow_bytes if self.arrow_bytes else None

    def as_document(self) -> dict[str, object]:
        """Return the sizes for a program."""
        ratio = self.ratio_to_arrow
        return {
            "name": self.name,
            "sample_count": self.sample_count,
            "bytes_per_sample": round(self.block_bytes / self.sample_count, 4),
            "bytes_ratio_to_arrow": None if ratio is None else round(ratio, 4),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A log of sealed blocks."""

    sizes: tuple[Sizes, ...]
    """By material."""
    seal_cpu_s: float
    used_bytes: int
    """Of the database, with all that is beside the bodies."""
    read_s: float
    """To read every record and decode it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendTimes:
    """Processor time for all samples of one tag."""

    log_ms: float
    rows_ms: float


async def store(materials: Sequence[Material], folder: Path, clock: Clock) -> Stored:
    """Store everything, in the log and as rows in turn; writes into an empty folder."""
    append_s: list[float] = []
    append_cpu_s: list[float] = []
    rows_s: list[float] = []
    for number in range(ROUNDS):
        log = RecordLog.open(folder / f"log-{number}.db", SETTINGS, gateway=GATEWAY, clock=clock)
        table = _interned(log, materials)
        frames = [frame for material in materials for frame in material.frames(table)]
        begun_s, begun_cpu_s = time.monotonic(), time.process_time()
        await _append(log, frames, table)
        # Closing commits what waits at once; the group commit would wait for more to come.
        await log.close()
        append_s.append(time.monotonic() - begun_s)
        append_cpu_s.append(time.process_time() - begun_cpu_s)
        (folder / ROWS).unlink(missing_ok=True)
        plain = PlainLog(folder / ROWS)
        with closing(plain):
            rows_s.append(plain.store(frames))
            rows_bytes = plain.size_bytes
    return Stored(
        sample_count=sum(material.sample_count for material in materials),
        append_s=min(append_s),
        append_cpu_s=min(append_cpu_s),
        rows_s=min(rows_s),
        rows_bytes=rows_bytes,
    )


async def seal(materials: Sequence[Material], folder: Path, clock: Clock) -> Sealed:
    """Store and seal one material after the other, and read all of it; see `store`."""
    path = folder / SEALED
    log = RecordLog.open(path, SEALING, gateway=GATEWAY, clock=clock)
    table = _interned(log, materials)
    reader = LogReader(path)
    sizes = []
    seal_cpu_s = 0.0
    for material in materials:
        after = log.end
        await _append(log, list(material.frames(table)), table)
        await log.durable(log.append([]))
        begun_cpu_s = time.process_time()
        await log.tidy()
        seal_cpu_s += time.process_time() - begun_cpu_s
        sizes.append(_sizes(reader, material, after=after))
    used_bytes = (await log.stats()).used_bytes
    begun_s = time.monotonic()
    count = _count(reader)
    read_s = time.monotonic() - begun_s
    assert count == sum(material.sample_count for material in materials)
    await log.close()
    return Sealed(sizes=tuple(sizes), seal_cpu_s=seal_cpu_s, used_bytes=used_bytes, read_s=read_s)


async def store_for_trends(material: Material, folder: Path, clock: Clock) -> None:
    """Store a material alone, sealed and as rows, under the names that `seal` and `store` give."""
    await seal([material], folder, clock)
    table = TagTable.build(material.tags, epoch=ConfigEpoch(1))
    plain = PlainLog(folder / ROWS)
    with closing(plain):
        plain.store(list(material.frames(table)))


def read_trends(material: Material, *, sealed: Path, rows: Path) -> TrendTimes:
    """Read all samples of one tag of a material that is stored alone."""
    tag = material.tags[len(material.tags) // 2].id
    from_ns, to_ns = material.span_ns
    reader = LogReader(sealed)

    def read() -> None:
        (trend,) = reader.frames([tag], from_ns=from_ns, to_ns=to_ns)
        assert len(trend.value) == len(material.value)

    (index,) = TagTable.build(material.tags, epoch=ConfigEpoch(1)).indices([tag]).tolist()
    plain = PlainLog(rows)
    with closing(plain):
        rows_ms = plain.trend_ms(index, from_ns, to_ns)
    return TrendTimes(log_ms=best_ms(read), rows_ms=rows_ms)


def as_arrow_bytes(frames: Sequence[Frame]) -> int:
    """Return the size of frames as one Arrow IPC stream, sorted by tag and then as they came."""
    whole = join_frames(frames)
    order = np.argsort(whole.tag_index, kind="stable")
    return ipc_size_bytes(
        Frame(
            tag_index=frozen(whole.tag_index[order]),
            time_ns=frozen(whole.time_ns[order]),
            value=frozen(whole.value[order]),
            status=frozen(whole.status[order]),
            received_ns=whole.received_ns,
        )
    )


def _interned(log: RecordLog, materials: Sequence[Material]) -> TagTable:
    return log.intern(tag for material in materials for tag in material.tags)


async def _append(log: RecordLog, frames: Sequence[Frame], table: TagTable) -> None:
    """Append frames one by one."""
    for frame in frames:
        log.append([draft_frame(frame, epoch=table.epoch, kind=RecordKind.FRAME)])
        await log.room()


def _sizes(reader: LogReader, material: Material, *, after: Seq) -> Sizes:
    """Return the sizes of what was stored last."""
    block_bytes = arrow_bytes = 0
    for record in reader.records(after=after):
        block_bytes += len(record.body)
        if has_arrow():
            arrow_bytes += as_arrow_bytes([each.frame for each in frames_of(record)[0]])
    return Sizes(
        name=material.name,
        sample_count=material.sample_count,
        block_bytes=block_bytes,
        arrow_bytes=arrow_bytes if has_arrow() else None,
    )


def _count(reader: LogReader) -> int:
    """Read and decode every frame of a log, and return the number of their samples."""
    return sum(
        len(each.frame)
        for record in reader.records()
        if record.kind in (*FRAME_KINDS, RecordKind.BLOCK)
        for each in frames_of(record)[0]
    )

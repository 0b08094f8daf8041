"""`edgewright bench log`: what the record log costs, and how good it is at what it is for.

Storing, reading and sizes are measured on a day of twenty slow signals at 1 Hz, or on recordings;
beside them a row for each sample in SQLite and Arrow IPC, in the same run. Coming back after a
kill -9, draining a backlog to the cloud, and the trend of a day have loads of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.bench.drain import LIVE_PER_S, OUTAGE_S, Drain, measure_drain
from gateway.bench.figures import Figure, aligned
from gateway.bench.material import DAY_S, NS_PER_S, recorded, slow_signals
from gateway.bench.recordings import Found
from gateway.bench.recovery import LOG_BYTES, Recovery, measure_recovery
from gateway.bench.storing import (
    ROWS,
    SEALED,
    Sealed,
    Sizes,
    Stored,
    TrendTimes,
    read_trends,
    seal,
    store,
    store_for_trends,
)
from gateway.core.ports import Clock

BYTES_BUDGET: Final = 2.5
ARROW_RATIO_BUDGET: Final = 0.75
TREND_MS_BUDGET: Final = 100.0
DRAIN_RATIO_GOAL: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much is measured."""

    day_s: int = DAY_S
    """Of slow signals."""
    recovery_bytes: int = LOG_BYTES
    """Of the log whose writer is killed."""
    outage_s: int = OUTAGE_S
    """Of the load that is waiting to be drained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReport:
    """What was found."""

    stored: Stored
    sealed: Sealed
    trends: TrendTimes
    recovery: Recovery
    drain: Drain
    found: Found | None = None
    """The recordings; None when there were only slow signals."""

    @property
    def bytes_per_sample(self) -> float:
        """On the disk, sealed."""
        return self.sealed.used_bytes / self.stored.sample_count

    @property
    def whole(self) -> Sizes:
        """The sizes of all materials together."""
        arrow = [each.arrow_bytes for each in self.sealed.sizes]
        return Sizes(
            name="all",
            sample_count=self.stored.sample_count,
            block_bytes=sum(each.block_bytes for each in self.sealed.sizes),
            arrow_bytes=None if None in arrow else sum(each or 0 for each in arrow),
        )

    def as_document(self) -> dict[str, object]:
        """Return the report for a program: figures, and a list only where there are recordings."""
        stored, sealed, drain = self.stored, self.sealed, self.drain
        count = stored.sample_count
        figures: dict[str, float | None] = {
            "append_samples_per_s": count / stored.append_s,
            "read_samples_per_s": count / sealed.read_s,
            "recovery_s": self.recovery.seconds,
            "bytes_per_sample": self.bytes_per_sample,
            "bytes_ratio_to_arrow": self.whole.ratio_to_arrow,
            "append_ratio_to_sqlite_rows": stored.rows_s / stored.append_s,
            "drain_ratio_to_live": drain.ratio_to_live,
            "append_cpu_us_per_sample": stored.append_cpu_s / count * 1e6,
            "seal_cpu_us_per_sample": sealed.seal_cpu_s / count * 1e6,
            "sqlite_rows_samples_per_s": count / stored.rows_s,
            "sqlite_rows_bytes_per_sample": stored.rows_bytes / count,
            "drain_s": drain.seconds,
            "drain_samples_per_s": drain.samples_per_s,
            "drain_live_age_p99_s": drain.live_age_p99_s,
            "trend_ms": self.trends.log_ms,
            "sqlite_rows_trend_ms": self.trends.rows_ms,
        }
        document: dict[str, object] = {
            name: None if value is None else float(f"{value:.4g}")
            for name, value in figures.items()
        }
        document |= {
            "sample_count": count,
            "live_samples_per_s": LIVE_PER_S,
            "recovery_log_bytes": self.recovery.log_bytes,
            "drain_far_end": drain.far_end,
        }
        if self.found is not None:
            document["used_files"] = self.found.used_files
            document["skipped_files"] = self.found.skipped_files
            document["recordings"] = [each.as_document() for each in sealed.sizes]
        return document

    def figures(self) -> list[Figure]:
        """Return the report for a table."""
        return [*self._storing_figures(), *self._other_figures()]

    def _storing_figures(self) -> list[Figure]:
        stored, sealed = self.stored, self.sealed
        count = stored.sample_count
        return [
            Figure(
                name="encode, append, commit",
                value=stored.append_s / count * 1e6,
                unit="µs a sample",
                plain=stored.rows_s / count * 1e6,
            ),
            Figure(
                name="the same, processor time",
                value=stored.append_cpu_s / count * 1e6,
                unit="µs a sample",
            ),
            Figure(
                name="seal into blocks, later, processor time",
                value=sealed.seal_cpu_s / count * 1e6,
                unit="µs a sample",
            ),
            Figure(
                name="read and decode all",
                value=sealed.read_s / count * 1e6,
                unit="µs a sample",
            ),
            Figure(
                name="on disk, sealed",
                value=self.bytes_per_sample,
                unit="bytes a sample",
                plain=stored.rows_bytes / count,
                budget=None if self.found else BYTES_BUDGET,
            ),
        ]

    def _other_figures(self) -> list[Figure]:
        whole, drain = self.whole, self.drain
        arrow = []
        if whole.ratio_to_arrow is not None:
            arrow = [
                Figure(
                    name="sealed blocks, as a part of Arrow IPC (zstd)",
                    value=whole.ratio_to_arrow,
                    unit="×",
                    budget=ARROW_RATIO_BUDGET,
                )
            ]
        return [
            *arrow,
            Figure(
                name="trend of one tag, 24 h at 1 Hz",
                value=self.trends.log_ms,
                unit="ms",
                plain=self.trends.rows_ms,
                budget=TREND_MS_BUDGET,
            ),
            Figure(
                name=f"back after kill -9, log of {self.recovery.log_bytes / 1e6:.0f} MB",
                value=self.recovery.seconds,
                unit="s",
            ),
            Figure(
                name=f"drain to {drain.far_end}, as a multiple of {LIVE_PER_S:,} samples a second",
                value=drain.ratio_to_live,
                unit="×",
                goal=DRAIN_RATIO_GOAL,
            ),
            Figure(name="age of live records meanwhile, p99", value=drain.live_age_p99_s, unit="s"),
        ]


async def measure_log(
    folder: Path, clock: Clock, *, found: Found | None = None, load: Load = Load()
) -> LogReport:
    """Measure everything; writes into an empty folder.

    Args:
        folder: On the disk that is to be measured.
        clock: The time.
        found: Recordings, at least one, to measure storing and sizes with; None is slow signals.
        load: How much.
    """
    start_ns = clock.now_ns() // NS_PER_S * NS_PER_S - load.day_s * NS_PER_S
    day = slow_signals(start_ns=start_ns, duration_s=load.day_s)
    materials = [day] if found is None else recorded(found.recordings, start_ns=start_ns)
    rows, sealed = _new(folder, "store"), _new(folder, "seal")
    stored = await store(materials, rows, clock)
    report = await seal(materials, sealed, clock)
    if found is not None:
        rows = sealed = _new(folder, "trend")
        await store_for_trends(day, sealed, clock)
    return LogReport(
        stored=stored,
        sealed=report,
        trends=read_trends(day, sealed=sealed / SEALED, rows=rows / ROWS),
        recovery=await measure_recovery(
            _new(folder, "recovery"), clock, size_bytes=load.recovery_bytes
        ),
        drain=await measure_drain(_new(folder, "drain"), clock, outage_s=load.outage_s),
        found=found,
    )


def recordings_table(sizes: Sequence[Sizes]) -> str:
    """Return the sizes of recordings as a table for a person."""
    rows = [
        (
            each.name,
            f"{each.sample_count:,}",
            f"{each.block_bytes / each.sample_count:.3f}",
            "" if each.arrow_bytes is None else f"{each.arrow_bytes / each.sample_count:.3f}",
            "" if each.ratio_to_arrow is None else f"{each.ratio_to_arrow:.3f}",
        )
        for each in sizes
    ]
    head = ("recording", "samples", "bytes a sample", "Arrow IPC (zstd)", "part")
    return aligned(head, rows)


def _new(folder: Path, name: str) -> Path:
    path = folder / name
    path.mkdir()
    return path

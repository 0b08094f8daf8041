"""Rows of healthy running machines out of the lake: what a model is trained on.

What a row is: `analytics.training.healthy`. One derived frame is one record and a record is in one
file, so rows are put together file by file, the newest first, until there are enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from analytics.training.healthy import STATE, Series, Span, healthy_rows
from cloud_sync.cloud.parquet import LakeSamples, read_samples, read_tags
from gateway.core.arrays import BoolArray, FloatArray, TimeArray, frozen
from gateway.core.quality import is_good
from gateway.core.records import RecordKind
from gateway.core.settings import Settings
from gateway.core.tags import TagId


class AlarmPeriod(Settings):
    """A time in which an asset is not known to be healthy."""

    gateway: str
    asset: str
    from_ns: int
    """UTC, inclusive."""
    to_ns: int
    """UTC, inclusive."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """Healthy rows of one asset in the order of time; the arrays are read-only."""

    asset: str
    """As `gateway/asset`."""
    time_ns: TimeArray
    """The tick of each row, UTC, shape (n,), ascending; stops and alarms leave gaps."""
    value: FloatArray
    """Shape (n, m), finite, in the columns' units."""
    alarm_row_count: int
    """Running rows that were left out for an alarm."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.time_ns)


def read_healthy_rows(
    paths: Sequence[Path],
    *,
    columns: Sequence[str],
    periods: Sequence[AlarmPeriod],
    row_count_max: int,
) -> tuple[Run, ...]:
    """Return the newest healthy rows in these files, by asset.

    Args:
        paths: Files of the lake, the oldest first.
        columns: The model's columns, m of them.
        periods: Times to leave out.
        row_count_max: Rows of all assets together to return at the most.
    Raises:
        StoreError: a file cannot be read.
    """
    parts: dict[str, list[Run]] = {}
    row_count = 0
    for path in reversed(paths):
        for part in _parts_of(path, columns, periods):
            parts.setdefault(part.asset, []).append(part)
            row_count += len(part)
        if row_count >= row_count_max:
            break
    runs = [_joined(parts[asset]) for asset in sorted(parts)]
    times = np.concatenate([run.time_ns for run in runs] or [np.zeros(0, np.int64)])
    if len(times) > row_count_max:
        # The newest of all assets together; rows of the same tick come or go together.
        oldest_ns = np.partition(times, -row_count_max)[-row_count_max]
        runs = [_part_of(run, run.time_ns > oldest_ns) for run in runs]
    return tuple(run for run in runs if len(run))


def split_by_time(
    runs: Sequence[Run], *, held_back_share: float
) -> tuple[tuple[Run, ...], tuple[Run, ...]]:
    """Return the older and the newer rows of all assets, parted at one instant.

    Args:
        runs: At least one row.
        held_back_share: Share of the rows that are newer.
    """
    times = np.concatenate([run.time_ns for run in runs])
    cut_ns = np.quantile(times, 1.0 - held_back_share, method="lower")
    older = tuple(_part_of(run, run.time_ns <= cut_ns) for run in runs)
    newer = tuple(_part_of(run, run.time_ns > cut_ns) for run in runs)
    return tuple(run for run in older if len(run)), tuple(run for run in newer if len(run))


def _joined(parts: Sequence[Run]) -> Run:
    time_ns = np.concatenate([part.time_ns for part in parts])
    value = np.concatenate([part.value for part in parts])
    order = np.argsort(time_ns, kind="stable")
    return Run(
        asset=parts[0].asset,
        time_ns=frozen(time_ns[order]),
        value=frozen(value[order]),
        alarm_row_count=sum(part.alarm_row_count for part in parts),
    )


def _part_of(run: Run, mask: BoolArray) -> Run:
    return replace(run, time_ns=frozen(run.time_ns[mask]), value=frozen(run.value[mask]))


def _parts_of(
    path: Path, columns: Sequence[str], periods: Sequence[AlarmPeriod]
) -> list[Run]:  # fmt: skip
    tags = read_tags([path], kind=RecordKind.DERIVED)
    assets = _assets_with(columns, tags)
    if not assets:
        return []
    wanted = [TagId(f"{asset}.{name}") for asset in assets for name in (*columns, STATE)]
    samples = read_samples([path], kind=RecordKind.DERIVED, tags=wanted)
    return [
        _rows_of(samples, gateway, asset, columns, periods)
        for gateway in range(len(samples.gateways))
        for asset in assets
    ]


def _assets_with(columns: Sequence[str], tags: frozenset[TagId]) -> list[str]:
    """Return the assets that have all these columns and a state."""
    ending = f".{STATE}"
    assets = sorted(tag.removesuffix(ending) for tag in tags if tag.endswith(ending))
    return [
        asset for asset in assets if all(TagId(f"{asset}.{name}") in tags for name in columns)
    ]  # fmt: skip


def _rows_of(
    samples: LakeSamples,
    gateway: int,
    asset: str,
    columns: Sequence[str],
    periods: Sequence[AlarmPeriod],
) -> Run:
    name = samples.gateways[gateway]
    found = healthy_rows(
        _series(samples, gateway, f"{asset}.{STATE}"),
        [_series(samples, gateway, f"{asset}.{column}") for column in columns],
        unhealthy=[
            Span(from_ns=period.from_ns, to_ns=period.to_ns)
            for period in periods
            if (period.gateway, period.asset) == (name, asset)
        ],
    )
    return Run(
        asset=f"{name}/{asset}",
        time_ns=frozen(found.time_ns),
        value=frozen(found.value),
        alarm_row_count=found.alarm_row_count,
    )


def _series(samples: LakeSamples, gateway: int, tag: str) -> Series:
    """Return the Good samples of one tag."""
    if TagId(tag) not in samples.tags:
        return Series(time_ns=np.zeros(0, np.int64), value=np.zeros(0))
    mine = (samples.tag_index == samples.tags.index(TagId(tag))) & is_good(samples.status)
    mine &= samples.gateway_index == gateway
    return Series.of(samples.time_ns[mine], samples.value[mine])

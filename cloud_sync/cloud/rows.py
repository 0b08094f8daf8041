"""Rows of healthy running machines out of the lake: what a model is trained on.

A twin writes one derived frame a tick: the columns of all its assets and their `state`, all with
the time of the tick. A row is an asset and a tick for which every column of the model is there
and Good while the state is RUNNING. One frame is one record and a record is in one file, so rows
are put together file by file, the newest first, until there are enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from cloud_sync.cloud.parquet import LakeSamples, read_samples, read_tags
from gateway.core.arrays import BoolArray, FloatArray, TimeArray, frozen
from gateway.core.quality import is_good
from gateway.core.records import RecordKind
from gateway.core.rows import OperatingState
from gateway.core.settings import Settings
from gateway.core.tags import TagId

STATE: Final = "state"
"""The derived tag `asset.state` holds the `OperatingState` as a number."""


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
    times, states = _series(samples, gateway, f"{asset}.{STATE}")
    times = times[states == OperatingState.RUNNING]
    value = np.full((len(times), len(columns)), np.nan)
    for column, column_name in enumerate(columns):
        column_times, column_values = _series(samples, gateway, f"{asset}.{column_name}")
        _, rows, places = np.intersect1d(
            times, column_times, assume_unique=True, return_indices=True
        )
        value[rows, column] = column_values[places]
    is_whole = np.isfinite(value).all(axis=1)
    is_alarmed = _within(times, [p for p in periods if (p.gateway, p.asset) == (name, asset)])
    keep = is_whole & ~is_alarmed
    return Run(
        asset=f"{name}/{asset}",
        time_ns=frozen(times[keep]),
        value=frozen(value[keep]),
        alarm_row_count=int((is_whole & is_alarmed).sum()),
    )


def _series(samples: LakeSamples, gateway: int, tag: str) -> tuple[TimeArray, FloatArray]:
    """Return the Good samples of one tag in the order of time, the last one of equal times."""
    if TagId(tag) not in samples.tags:
        return np.zeros(0, np.int64), np.zeros(0)
    mine = (samples.tag_index == samples.tags.index(TagId(tag))) & is_good(samples.status)
    mine &= samples.gateway_index == gateway
    times, first_from_behind = np.unique(samples.time_ns[mine][::-1], return_index=True)
    return times, samples.value[mine][::-1][first_from_behind]


def _within(times: TimeArray, periods: Sequence[AlarmPeriod]) -> BoolArray:
    """Return which times lie in one of the periods, same shape."""
    inside = np.zeros(len(times), dtype=np.bool_)
    for period in periods:
        inside |= (times >= period.from_ns) & (times <= period.to_ns)
    return inside

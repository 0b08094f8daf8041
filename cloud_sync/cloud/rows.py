"""Rows of healthy running machines out of the lake: what a model is trained on.

A twin writes one derived frame a tick: the columns of all its assets and their `state`, all with
the time of the tick. A row is an asset and a tick for which every column of the model is there
and Good while the state is RUNNING. One frame is one record and a record is in one file, so rows
are put together file by file, the newest first, until there are enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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
class HealthyRows:
    """Rows in the order of time, of all assets together; the arrays are read-only."""

    time_ns: TimeArray
    """The tick of each row, UTC, shape (n,), ascending."""
    value: FloatArray
    """Shape (n, m), finite, in the columns' units."""
    assets: tuple[str, ...]
    """`gateway/asset` of those that gave a row, sorted."""
    alarm_row_count: int
    """Running rows that were left out for an alarm."""


def read_healthy_rows(
    paths: Sequence[Path],
    *,
    columns: Sequence[str],
    periods: Sequence[AlarmPeriod],
    row_count_max: int,
) -> HealthyRows:
    """Return the newest healthy rows in these files.

    Args:
        paths: Files of the lake, the oldest first.
        columns: The model's columns, m of them.
        periods: Times to leave out.
        row_count_max: Rows to return at the most.
    Raises:
        StoreError: a file cannot be read.
    """
    parts: list[_Part] = []
    row_count = 0
    for path in reversed(paths):
        found = _parts_of(path, columns, periods)
        parts += found
        row_count += sum(len(part.time_ns) for part in found)
        if row_count >= row_count_max:
            break
    time_ns = np.concatenate([part.time_ns for part in parts] or [np.zeros(0, np.int64)])
    value = np.concatenate([part.value for part in parts] or [np.zeros((0, len(columns)))])
    order = np.argsort(time_ns, kind="stable")[-row_count_max:]
    return HealthyRows(
        time_ns=frozen(time_ns[order]),
        value=frozen(value[order]),
        assets=tuple(sorted({part.asset for part in parts if len(part.time_ns)})),
        alarm_row_count=sum(part.alarm_row_count for part in parts),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """The rows of one asset in one file."""

    asset: str
    time_ns: TimeArray
    value: FloatArray
    alarm_row_count: int


def _parts_of(
    path: Path, columns: Sequence[str], periods: Sequence[AlarmPeriod]
) -> list[_Part]:  # fmt: skip
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
) -> _Part:
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
    return _Part(
        asset=f"{name}/{asset}",
        time_ns=times[keep],
        value=value[keep],
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

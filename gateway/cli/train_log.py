"""Rows for `edgewright train anomaly` out of the gateway's own log."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gateway.cli.past import log_of
from gateway.config import read_config
from gateway.core.arrays import FloatArray
from gateway.core.errors import ConfigError
from gateway.core.records import Seq
from gateway.core.rows import AssetId
from gateway.recordings import usual_period_s
from gateway.recordings.pace import without_gaps
from gateway.service.own_rows import read_own_rows
from twins import AssetTwin, build_twins

NICENESS: Final = 15
"""Any other work of the machine goes first: a gateway trains beside its service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthyRuns:
    """What a model of the assets of one type is trained on."""

    asset_type: str
    columns: tuple[str, ...]
    runs: Sequence[FloatArray]
    """Stretches of each asset, (n, m)."""
    period_s: float
    is_averaged: bool
    """Whether they are means over that time."""
    has_physics: bool
    """Whether the columns are residuals in the twin's own standard deviations."""
    notes: tuple[str, ...]


def step_back() -> None:
    """Give the rest of this process a low priority."""
    # A sandbox may forbid to change one's priority.
    with suppress(PermissionError):
        os.nice(NICENESS)


def read_log_rows(path: Path, asset_type: str | None, *, from_ns: int, to_ns: int) -> HealthyRuns:
    """Return healthy rows out of the log of a configured gateway.

    Args:
        path: The gateway's configuration.
        asset_type: Of the assets; None where the configuration has one type only.
        from_ns: UTC, inclusive.
        to_ns: UTC, exclusive.
    Raises:
        ConfigError: the configuration has no such assets, or the log no such rows.
        StoreError: the log cannot be read.
    """
    config = read_config(path)
    twins = build_twins({AssetId(name): settings for name, settings in config.twins.items()})
    twin = _chosen(twins, asset_type)
    known = {tag.id for tag in twin.derived_tags}
    columns = tuple(
        name
        for name in twin.comparable_columns
        if all(f"{asset}.{name}" in known for asset in twin.assets)
    )
    damaged: set[Seq] = set()
    reader = log_of(config, on_corrupt=damaged.add)
    own = read_own_rows(reader, twin.assets, columns, from_ns=from_ns, to_ns=to_ns)
    if not own.runs:
        raise ConfigError(
            f"{twin.asset_type}: no asset ran with all its signals Good and without an alarm "
            "in this span"
        )
    notes = []
    if own.from_ns > from_ns + (to_ns - from_ns) // 20:
        begin = datetime.fromtimestamp(own.from_ns / 1e9, UTC).isoformat(timespec="seconds")
        notes.append(f"the rows begin at {begin}: the log holds no more, or not in one reading")
    in_alarm = sum(rows.alarm_row_count for rows in own.runs.values())
    if in_alarm:
        notes.append(f"{in_alarm} rows in or before an alarm were left out")
    if damaged:
        notes.append(f"{len(damaged)} records of the log are damaged and were left out")
    period_s = usual_period_s(next(iter(own.runs.values())).time_ns)
    return HealthyRuns(
        asset_type=twin.asset_type,
        columns=columns,
        runs=[
            stretch
            for rows in own.runs.values()
            for stretch in without_gaps(rows.time_ns, rows.value, period_s=period_s)
        ],
        period_s=period_s,
        is_averaged=False,
        has_physics=columns != twin.columns,
        notes=tuple(notes),
    )


def _chosen(twins: Sequence[AssetTwin], asset_type: str | None) -> AssetTwin:
    found = [twin for twin in twins if asset_type in (None, twin.asset_type, twin.name)]
    if len(found) == 1:
        return found[0]
    types = ", ".join(sorted({twin.name for twin in twins})) or "none"
    raise ConfigError(f"--asset-type: say which one of the configured types: {types}")

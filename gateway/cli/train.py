"""`edgewright train`: models from recordings."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from analytics.training.anomaly import FALSE_ALARM_SHARE, Purpose, train_anomaly
from analytics.training.cost import anomaly_cost, check_cost
from gateway.cli import train_rul, train_vibration
from gateway.cli.past import Time
from gateway.cli.recordings import GENERIC, ROLES_BY_TWIN, TwinRecording, known_faults
from gateway.cli.train_log import HealthyRuns, read_log_rows, step_back
from gateway.cli.training import check_names, over_budget_option, save, tell
from gateway.config import read_config
from gateway.core.errors import ConfigError
from gateway.core.manifest import AnomalyManifest, RolloutRules
from gateway.recordings import Recording, read_recording, usual_period_s
from gateway.recordings.pace import resampled, seconds_of, without_gaps
from gateway.wire.bundle import Bundle

SMOOTHING_S: Final = 10.0
_PACE_TOLERANCE: Final = 0.1
"""A recording whose rows come nearly at the rate that was asked for is taken as it is."""
FALSE_ALARM_SHARE_MAX: Final = 0.03
"""More is no alarm but a habit."""


@click.group("train")
def command() -> None:
    """Train a model from recordings."""


command.add_command(train_rul.command)
command.add_command(train_vibration.command)


@command.command("anomaly")
@click.option("--data", type=click.Path(path_type=Path), help="Healthy rows (CSV or Parquet).")
@click.option(
    "--from", "from_ns", type=Time(), help="Instead of --data: the gateway's own log, from -7d on."
)
@click.option("--to", "to_ns", type=Time(), default="now", show_default=True, help="End of that.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Bundle (.ewm).")
@click.option("--name", help="Of the model, over its versions.  [default: from the asset type]")
@click.option("--model-version", default="1.0", show_default=True, help="major.minor")
@click.option("--asset-type", help="Twin type of the rows.  [default: generic, or that of --twin]")
@click.option("--time", "time_column", help="Time column; found by itself under its usual names.")
@click.option("--tags", help="Columns to learn, with commas between.  [default: all]")
@click.option(
    "--rate",
    help="Time between rows, such as 1s or 500ms: the model gets the mean of each such time.  "
    "[default: the rows as they are]",
)
@click.option(
    "--false-alarms",
    type=click.FloatRange(min=0, max=FALSE_ALARM_SHARE_MAX, min_open=True),
    default=FALSE_ALARM_SHARE,
    show_default=True,
    help="Share of healthy rows that may score above 1; not with --twin.",
)
@click.option(
    "--twin",
    type=click.Choice(sorted(ROLES_BY_TWIN)),
    help="Let this twin make the rows, from columns such as P-101.flow_m3h.",
)
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    help="A gateway's configuration: of the log, or with --twin assets and nameplates.",
)
@click.option(
    "--shadow-rows",
    type=click.IntRange(min=1),
    default=RolloutRules().shadow_rows,
    show_default=True,
    help="Rows on trial before a gateway decides on it, and on probation after.",
)
@over_budget_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def anomaly(
    data: Path | None,
    from_ns: int | None,
    to_ns: int,
    out: Path,
    name: str | None,
    model_version: str,
    asset_type: str | None,
    time_column: str | None,
    tags: str | None,
    rate: str | None,
    false_alarms: float,
    twin: str | None,
    config: Path | None,
    shadow_rows: int,
    *,
    over_budget: bool,
    as_json: bool,
) -> None:
    """Learn what a healthy machine looks like.

    The recording must be of healthy, running machines, and of all that is normal for them: a day
    at least, better a week. What it does not hold will be an anomaly later.

    Try: edgewright train anomaly --data healthy.csv --out pump.ewm --twin centrifugal_pump

    With --twin the model reads what the physics of the machine does not explain, so a change of
    load is no anomaly. Without, it reads the columns as they are.

    On a gateway, from its own log, without its alarms and beside its service:

    edgewright train anomaly -c gateway.toml --from -7d --asset-type centrifugal_pump --out p.ewm
    """
    chosen = tags.split(",") if tags else None
    if (data is None) == (from_ns is None):
        raise click.UsageError("give either --data FILE, or -c FILE and --from TIME")
    if data is None:
        if config is None or from_ns is None or twin or tags or rate or time_column:
            raise click.UsageError("--from goes with -c, not with --twin, --tags, --rate or --time")
        step_back()
        rows = read_log_rows(config, asset_type, from_ns=from_ns, to_ns=to_ns)
    else:
        rows = _file_rows(data, time_column, chosen, rate, twin=twin, config=config)
    if rows.has_physics and false_alarms != FALSE_ALARM_SHARE:
        raise ConfigError("--false-alarms: with a twin its accuracy decides")
    kind = asset_type or rows.asset_type
    purpose = _purpose(
        name or f"{kind.replace('_', '-')}-anomaly",
        model_version,
        kind,
        rows.columns,
        period_s=rows.period_s,
        is_averaged=rows.is_averaged,
        # A twin's residuals are counted in what the healthy machine may show.
        tolerance=1.0 if rows.has_physics else 0.0,
        false_alarm_share=false_alarms,
        trial_rows=shadow_rows,
    )
    trained = train_anomaly(rows.runs, purpose, patterns=known_faults(rows.asset_type))
    bundle = _costed(trained.bundle, over_budget=over_budget)
    size_bytes = save(bundle, out)
    tell(
        bundle,
        out,
        _lines(bundle, run_count=len(rows.runs)),
        notes=(*rows.notes, *trained.notes),
        size_bytes=size_bytes,
        as_json=as_json,
    )


def _file_rows(
    data: Path,
    time_column: str | None,
    columns: Sequence[str] | None,
    rate: str | None,
    *,
    twin: str | None,
    config: Path | None,
) -> HealthyRuns:
    """Return the rows of a recording, as they are or through a twin."""
    recording, period_s, is_averaged = _recording(data, time_column, columns, rate)
    if twin is None:
        found = recording.columns
        runs = without_gaps(recording.time_ns, recording.value, period_s=period_s)
    else:
        settings = None if config is None else read_config(config)
        found, runs = TwinRecording(recording, twin, settings).healthy_runs()
    left_out = ", ".join(recording.left_out)
    return HealthyRuns(
        asset_type=twin or GENERIC,
        columns=found,
        runs=runs,
        period_s=period_s,
        is_averaged=is_averaged,
        has_physics=twin is not None,
        notes=(f"columns of words are left out: {left_out}",) if left_out else (),
    )


def _recording(
    data: Path, time_column: str | None, columns: Sequence[str] | None, rate: str | None
) -> tuple[Recording, float, bool]:
    """Return the recording, the time between its rows, and whether they are means over it."""
    if rate is None:
        recording = read_recording(data, time_column=time_column, columns=columns)
        return recording, usual_period_s(recording.time_ns), False
    period_s = seconds_of(rate)
    if period_s is None:
        raise ConfigError(f"--rate: {rate!r} is no time; write 1s, 500ms or 1min")
    recording = read_recording(data, time_column=time_column, columns=columns, period_s=period_s)
    own_s = usual_period_s(recording.time_ns)
    if own_s > period_s * (1.0 + _PACE_TOLERANCE):
        raise ConfigError(f"--rate: {rate} is shorter than the {own_s:g} s between rows of {data}")
    if own_s > period_s * (1.0 - _PACE_TOLERANCE):
        return recording, period_s, False
    return resampled(recording, period_s), period_s, True


def _costed(bundle: Bundle, *, over_budget: bool) -> Bundle:
    """Return the bundle with what it costs in its manifest.

    Raises:
        ModelError: it costs more than the budget, and nobody said that it may.
    """
    manifest = bundle.manifest
    assert isinstance(manifest, AnomalyManifest)
    cost = anomaly_cost(bundle, manifest)
    if not over_budget:
        check_cost(cost)
    return replace(bundle, manifest=manifest.model_copy(update={"cost": cost}))


def _lines(bundle: Bundle, *, run_count: int) -> list[str]:
    """Return what was learnt, for a person."""
    manifest = bundle.manifest
    assert isinstance(manifest, AnomalyManifest)
    assert manifest.cost is not None
    metrics = manifest.metrics
    return [
        f"learnt {len(manifest.columns)} columns from {manifest.trained_rows} rows in "
        f"{run_count} runs; {metrics['held_back_rows']:.0f} rows held back, "
        f"{metrics['held_back_alarm_share']:.2%} of them above the threshold",
        f"finds {metrics['canary_faults']:.0f} known faults of at most "
        f"{metrics['canary_size_sigma_max']:g} sigma; "
        f"a row takes {manifest.cost.row_ms_p50:.3f} ms",
    ]


def _purpose(
    name: str,
    version: str,
    asset_type: str,
    columns: tuple[str, ...],
    *,
    period_s: float,
    is_averaged: bool,
    tolerance: float,
    false_alarm_share: float,
    trial_rows: int,
) -> Purpose:
    """Return the purpose, its names checked: the manifest would tell a mistake too late."""
    check_names(name, version)
    return Purpose(
        name=name,
        version=version,
        asset_type=asset_type,
        columns=columns,
        period_s=period_s,
        is_averaged=is_averaged,
        smoothing_s=SMOOTHING_S,
        tolerance=tolerance,
        false_alarm_share=false_alarm_share,
        rollout=RolloutRules(shadow_rows=trial_rows, probation_rows=trial_rows),
    )

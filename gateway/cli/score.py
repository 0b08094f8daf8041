"""`edgewright score`: run a model over a recording, exactly as the gateway would."""

import csv
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import click
import numpy as np

from analytics.alarms import LimitAlarms
from analytics.defaults import anomaly_alarms
from analytics.multivariate import AnomalyDetector
from analytics.runtime import size_warning
from analytics.scoring import ALARM_SCORE, open_bundle
from gateway.cli.recordings import PLAIN_ASSET, ROLES_BY_TWIN, TwinRecording, plain_rows
from gateway.cli.score_rul import RulOptions, score_rul
from gateway.config import read_config
from gateway.core.arrays import frozen
from gateway.core.errors import ConfigError
from gateway.core.events import Transition
from gateway.core.manifest import AnomalyManifest
from gateway.core.quality import Quality, quality_of
from gateway.core.rows import AssetId, Rows
from gateway.core.rul_manifest import RulManifest
from gateway.core.tags import ConfigEpoch, TagTable
from gateway.recordings import read_recording
from gateway.wire.bundle import read_bundle

HEADER = ("time", "score", "threshold", "alarm", "quality", "top_tags", "top_shares")
TOP_COUNT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Rows to score and what they are rows of."""

    assets: tuple[AssetId, ...]
    columns: tuple[str, ...]
    rows: Iterator[Rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the output."""

    asset: AssetId
    is_alarm: bool
    cells: tuple[str, ...]
    """As `HEADER` names them."""


@click.command("score")
@click.option("--model", type=click.Path(path_type=Path), required=True, help="Bundle (.ewm).")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Recording (CSV).")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Scores (CSV).")
@click.option("--time", "time_column", help="Time column; found by itself under its usual names.")
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    help="Assets and nameplates from a gateway's configuration, for a model of a twin.",
)
@click.option("--unit", help="Column with the machine, for a model of remaining life.")
def command(
    model: Path,
    data: Path,
    out: Path,
    time_column: str | None,
    config: Path | None,
    unit: str | None,
) -> None:
    """Score a recording with a model.

    It is the gateway's own detector and alarm, fed line by line: no line sees a later one. A model
    made with --twin wants the twin's signals; the twin learns its machine from the beginning of
    the recording, and there are no scores until it has.

    The output has a line for each row and asset: the score (above 1 is anomalous), the threshold
    (always 1), whether the alarm is on, the quality of the score, and the columns that made it
    with their shares.

    A model of remaining life gives unit, time, remaining life, the ends of its interval, and
    whether it is known: 1 when wear shows. It wants the columns with the machine and the time
    that it was trained with, or --unit and --time.
    """
    try:
        bundle = model.read_bytes()
    except OSError as error:
        raise ConfigError(f"{model}: cannot be read: {error.strerror}") from error
    read = read_bundle(bundle)
    if isinstance(read.manifest, RulManifest):
        options = RulOptions(unit=unit, time=time_column)
        score_rul(read.manifest, read.model, data, out, options)
        return
    opened, manifest = open_bundle(bundle)
    warning = size_warning(opened.model)
    if warning:
        click.echo(f"{model}: {warning}", err=True)
    source = open_source(manifest, data, time_column=time_column, config=config)
    detector = AnomalyDetector(
        model_name=manifest.name,
        asset_type=manifest.asset_type,
        assets=source.assets,
        columns=source.columns,
        monotonic_ns=time.monotonic_ns,
    )
    detector.activate(bundle)
    try:
        with out.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(HEADER if len(source.assets) == 1 else (*HEADER, "asset"))
            counts: Counter[bool] = Counter()
            for line in scored(detector, source):
                writer.writerow(
                    line.cells if len(source.assets) == 1 else (*line.cells, line.asset)
                )
                counts[line.is_alarm] += 1
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written: {error.strerror}") from error
    click.echo(f"{out}: {counts.total()} rows, {counts[True]} of them in alarm")


def open_source(
    manifest: AnomalyManifest, data: Path, *, time_column: str | None, config: Path | None
) -> Source:
    """Return the rows that a model wants, out of a recording.

    Raises:
        ConfigError: the recording lacks columns, or a twin's signals.
    """
    recording = read_recording(data, time_column=time_column)
    if set(manifest.columns) <= set(recording.columns):
        at = [recording.columns.index(name) for name in manifest.columns]
        recording = replace(
            recording, columns=manifest.columns, value=frozen(recording.value[:, at])
        )
        return Source(assets=(PLAIN_ASSET,), columns=recording.columns, rows=plain_rows(recording))
    if manifest.asset_type not in ROLES_BY_TWIN:
        missing = sorted(set(manifest.columns) - set(recording.columns))
        raise ConfigError(f"{data}: lacks the columns {', '.join(missing)} of the model")
    settings = None if config is None else read_config(config)
    through = TwinRecording(recording, manifest.asset_type, settings)
    twin = through.new_twin()
    return Source(assets=twin.assets, columns=twin.columns, rows=through.rows(twin))


def scored(detector: AnomalyDetector, source: Source) -> Iterator[Line]:
    """Yield one line for each row and asset, in the order of time."""
    table = TagTable.build(detector.derived_tags, epoch=ConfigEpoch(1))
    board = LimitAlarms(anomaly_alarms(source.assets))
    detector.bind(table)
    board.bind(table)
    is_on = dict.fromkeys(source.assets, False)
    for rows in source.rows:
        frame = detector.update(rows).frame
        for event in () if frame is None else board.update(frame):
            is_on[AssetId(event.source)] = event.transition is Transition.RAISED
        for k, asset in enumerate(source.assets):
            # A line that is not newer than the one before is not scored.
            score = np.nan if frame is None else float(frame.value[k])
            quality = Quality.BAD if frame is None else Quality(quality_of(frame.status)[k])
            reasons = () if np.isnan(score) else detector.evidence(table.tags[k].id)[:TOP_COUNT]
            cells = (
                datetime.fromtimestamp(rows.time_ns / 1e9, UTC).isoformat(),
                "" if np.isnan(score) else f"{score:.6g}",
                f"{ALARM_SCORE:g}",
                str(int(is_on[asset])),
                quality.name.capitalize(),
                "|".join(reason.name.removeprefix(f"{asset}.") for reason in reasons),
                "|".join(f"{reason.share:.3f}" for reason in reasons),
            )
            yield Line(asset=asset, is_alarm=is_on[asset], cells=cells)

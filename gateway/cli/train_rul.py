"""`edgewright train rul`: remaining life, from machines that ran to their end."""

import json
import re
from pathlib import Path

import click

from analytics.training.cost import check_cost
from analytics.training.rul import RulPurpose, TrainedLife, train_rul
from gateway.cli.lives import read_lives_file, whole_lives
from gateway.cli.recordings import GENERIC
from gateway.core.errors import ConfigError
from gateway.core.manifest import MODEL_NAME_PATTERN, VERSION_PATTERN
from gateway.core.rul_manifest import RulManifest
from gateway.wire.bundle import write_bundle


@click.command("rul")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Whole lives.")
@click.option("--unit", required=True, help="Column with the name of the machine.")
@click.option("--time", "time_column", required=True, help="Column with dates, or with a count.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Bundle (.ewm).")
@click.option(
    "--cap",
    type=click.FloatRange(min=0, min_open=True),
    help="How far ahead to look, in hours, or in what --time counts.  [default: 125 rows]",
)
@click.option("--tags", help="Columns to learn, with commas between.  [default: all]")
@click.option("--name", help="Of the model, over its versions.  [default: from the asset type]")
@click.option("--model-version", default="1.0", show_default=True, help="major.minor")
@click.option("--asset-type", default=GENERIC, show_default=True, help="What the machines are.")
@click.option("--over-budget", is_flag=True, help="Also write a model above the size or the time.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    data: Path,
    unit: str,
    time_column: str,
    out: Path,
    cap: float | None,
    tags: str | None,
    name: str | None,
    model_version: str,
    asset_type: str,
    *,
    over_budget: bool,
    as_json: bool,
) -> None:
    """Learn how long a machine lasts, from others like it that ran to their end.

    The file holds whole lives, one row for each time and machine (CSV or Parquet); the last row of
    a machine is its end. Operating conditions are found in the data.

    Try: edgewright train rul --data runs.csv --unit engine --time cycle --cap 125 --out engine.ewm

    Columns of words, and columns that never change, are left out with a note.
    """
    file = read_lives_file(
        data, unit=unit, time=time_column, columns=tuple(tags.split(",")) if tags else None
    )
    lives, repeated = whole_lives(file)
    trained = train_rul(
        lives,
        _purpose(
            RulPurpose(
                name=name or f"{asset_type.replace('_', '-')}-life",
                version=model_version,
                asset_type=asset_type,
                columns=file.recording.columns,
                unit_column=unit,
                time_column=time_column,
                time_unit=file.time_unit,
                cap=cap,
            )
        ),
    )
    manifest = trained.bundle.manifest
    assert isinstance(manifest, RulManifest)
    assert manifest.cost is not None
    if not over_budget:
        check_cost(manifest.cost)
    bundle = write_bundle(trained.bundle)
    try:
        out.write_bytes(bundle)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written: {error.strerror}") from error
    notes = list(trained.notes)
    if file.recording.left_out:
        notes.append(f"columns of words are left out: {', '.join(file.recording.left_out)}")
    if repeated:
        notes.append(f"{repeated} rows repeat the time of another one and are left out")
    _report(TrainedLife(bundle=trained.bundle, notes=tuple(notes)), manifest, out, as_json=as_json)


def _purpose(purpose: RulPurpose) -> RulPurpose:
    """Return the purpose, its names checked: the manifest would tell a mistake too late."""
    mistakes = []
    if not re.match(MODEL_NAME_PATTERN, purpose.name):
        mistakes.append(f"--name: {purpose.name!r} must be lower-case letters, digits and hyphens")
    if not re.match(VERSION_PATTERN, purpose.version):
        mistakes.append(f"--model-version: {purpose.version!r} must be major.minor, such as 1.0")
    if mistakes:
        raise ConfigError(*mistakes)
    return purpose


def _report(trained: TrainedLife, manifest: RulManifest, out: Path, *, as_json: bool) -> None:
    """Print what the training made and what it noticed."""
    assert manifest.cost is not None
    size_bytes = manifest.cost.size_bytes
    if as_json:
        document = {
            "out": str(out),
            "size_bytes": size_bytes,
            "notes": trained.notes,
            "manifest": manifest.model_dump(mode="json"),
        }
        click.echo(json.dumps(document, indent=1))
        return
    what = "hours" if manifest.time_unit == "hour" else f"({manifest.time_column})"
    click.echo(f"{out}: {manifest.name} {manifest.version}, {size_bytes / 1024:.0f} KiB")
    click.echo(
        f"  learnt from {manifest.trained_units} lives, {manifest.trained_rows} rows, in "
        f"{manifest.metrics['conditions']:.0f} operating conditions; looks {manifest.cap:g} "
        f"{what} ahead"
    )
    click.echo(
        f"  on lives left out: off by {manifest.metrics['left_out_rmse']:.3g} {what} (RMSE); "
        f"a row takes {manifest.cost.row_ms_p50:.3f} ms"
    )
    for note in trained.notes:
        click.echo(f"  note: {note}")

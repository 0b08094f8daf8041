"""`edgewright train rul`: remaining life, from machines that ran to their end."""

from pathlib import Path

import click

from analytics.training.cost import check_cost
from analytics.training.rul import RulPurpose, train_rul
from gateway.cli.lives import read_lives_file, whole_lives
from gateway.cli.recordings import GENERIC
from gateway.cli.training import check_names, over_budget_option, save, tell
from gateway.core.rul_manifest import RulManifest


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
@over_budget_option
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
    name = name or f"{asset_type.replace('_', '-')}-life"
    check_names(name, model_version)
    file = read_lives_file(
        data, unit=unit, time=time_column, columns=tuple(tags.split(",")) if tags else None
    )
    lives, repeated = whole_lives(file)
    trained = train_rul(
        lives,
        RulPurpose(
            name=name,
            version=model_version,
            asset_type=asset_type,
            columns=file.recording.columns,
            unit_column=unit,
            time_column=time_column,
            time_unit=file.time_unit,
            cap=cap,
        ),
    )
    manifest = trained.bundle.manifest
    assert isinstance(manifest, RulManifest)
    assert manifest.cost is not None
    if not over_budget:
        check_cost(manifest.cost)
    size_bytes = save(trained.bundle, out)
    notes = list(trained.notes)
    if file.recording.left_out:
        notes.append(f"columns of words are left out: {', '.join(file.recording.left_out)}")
    if repeated:
        notes.append(f"{repeated} rows repeat the time of another one and are left out")
    tell(
        trained.bundle,
        out,
        _lines(manifest, row_ms=manifest.cost.row_ms_p50),
        notes=notes,
        size_bytes=size_bytes,
        as_json=as_json,
    )


def _lines(manifest: RulManifest, *, row_ms: float) -> list[str]:
    """Return what was learnt, for a person."""
    what = "hours" if manifest.time_unit == "hour" else f"({manifest.time_column})"
    return [
        f"learnt from {manifest.trained_units} lives, {manifest.trained_rows} rows, in "
        f"{manifest.metrics['conditions']:.0f} operating conditions; looks {manifest.cap:g} "
        f"{what} ahead",
        f"on lives left out: off by {manifest.metrics['left_out_rmse']:.3g} {what} (RMSE); "
        f"a row takes {row_ms:.3f} ms",
    ]

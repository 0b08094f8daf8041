"""`edgewright train vibration`: a classifier of faults from recordings with known faults."""

import csv
import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from analytics.training.vibration import KnownFault, TrainedVibration, train_vibration
from analytics.vibration.bearings import bearing
from analytics.vibration.diagnosis import FAULTS
from analytics.vibration.indicators import Machine
from gateway.cli.waveforms import UNITS, Unit, read_waveform
from gateway.core.errors import ConfigError
from gateway.core.manifest import MODEL_NAME_PATTERN, VERSION_PATTERN
from gateway.core.vibration_manifest import FaultLabel
from gateway.wire.bundle import write_bundle

COLUMNS: Final = ("file", "column", "rate_hz", "speed_rpm", "bearing", "fault")
RECORDINGS_MAX: Final = 10_000
SYNONYMS: Final[Mapping[str, FaultLabel]] = {
    "normal": "none",
    "healthy": "none",
    "ok": "none",
    "": "none",
}
"""What people call a machine without a fault."""


@click.command("vibration")
@click.option(
    "--data", type=click.Path(path_type=Path), required=True, help="Index of recordings (CSV)."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Bundle (.ewm).")
@click.option("--name", default="vibration", show_default=True, help="Of the model.")
@click.option("--model-version", default="1.0", show_default=True, help="major.minor")
@click.option("--unit", type=click.Choice(UNITS), default="g", show_default=True, help="Of files.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    data: Path, out: Path, name: str, model_version: str, unit: Unit, *, as_json: bool
) -> None:
    """Learn to tell faults from recordings whose fault is known.

    The index has the columns file, column, rate_hz, speed_rpm, bearing and fault; a column group
    may say which recordings are of one bearing, so that those are never on both sides of a test.
    Files (CSV, Parquet, .npy, .npz) are looked for beside the index. The bearing is a name such
    as 6205, "n=9 d=7.94 D=39.04 angle=0" or "bpfo=3.58 bpfi=5.42".

    Try: edgewright train vibration --data index.csv --out faults.ewm
    """
    mistakes = []
    if not re.match(MODEL_NAME_PATTERN, name):
        mistakes.append(f"--name: {name!r} must be lower-case letters, digits and hyphens")
    if not re.match(VERSION_PATTERN, model_version):
        mistakes.append(f"--model-version: {model_version!r} must be major.minor, such as 1.0")
    if mistakes:
        raise ConfigError(*mistakes)
    recordings = read_index(data, unit=unit)
    trained = train_vibration(recordings, name=name, version=model_version)
    bundle = write_bundle(trained.bundle)
    try:
        out.write_bytes(bundle)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written: {error.strerror}") from error
    _report(trained, recordings, out, size_bytes=len(bundle), as_json=as_json)


def read_index(path: Path, *, unit: Unit) -> list[KnownFault]:
    """Return the recordings that an index names.

    Raises:
        ConfigError: the index or one of its files is wrong; every line that is.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            lines = [(reader.line_num, line) for line in reader]
            names = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise ConfigError(f"{path}:1: lacks the columns {', '.join(missing)}")
    if not 0 < len(lines) <= RECORDINGS_MAX:
        raise ConfigError(f"{path}: {len(lines)} recordings; from 1 to {RECORDINGS_MAX}")
    recordings: list[KnownFault] = []
    mistakes: list[str] = []
    for number, line in lines:
        try:
            recordings.append(_recording(path.parent, line, unit))
        except ConfigError as error:
            mistakes += [f"{path}:{number}: {mistake}" for mistake in error.mistakes]
    if mistakes:
        raise ConfigError(*mistakes)
    return recordings


def _recording(folder: Path, line: Mapping[str, str | None], unit: Unit) -> KnownFault:
    cell = {name: (line.get(name) or "").strip() for name in (*COLUMNS, "group")}
    word = cell["fault"].lower()
    fault = next((each for each in FAULTS if each == word), SYNONYMS.get(word))
    if fault is None:
        raise ConfigError(f"the fault {cell['fault']!r} is none of {', '.join(FAULTS)}")
    rate_hz = _positive(cell["rate_hz"], "rate_hz")
    machine = Machine(bearing=bearing(cell["bearing"]))
    return KnownFault(
        acceleration_g=read_waveform(
            folder / cell["file"], cell["column"] or None, rate_hz=rate_hz, unit=unit
        ),
        rate_hz=rate_hz,
        speed_hz=_positive(cell["speed_rpm"], "speed_rpm") / 60,
        machine=machine,
        fault=fault,
        group=cell["group"] or cell["file"],
    )


def _positive(text: str, name: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise ConfigError(f"{name}: {text!r} is no number") from error
    if not 0 < number < 1e9:
        raise ConfigError(f"{name}: {text!r} is not above 0")
    return number


def _report(
    trained: TrainedVibration,
    recordings: list[KnownFault],
    out: Path,
    *,
    size_bytes: int,
    as_json: bool,
) -> None:
    """Print what the training made and what it noticed."""
    manifest = trained.manifest
    if as_json:
        document = {
            "out": str(out),
            "size_bytes": size_bytes,
            "notes": trained.notes,
            "manifest": manifest.model_dump(mode="json"),
        }
        click.echo(json.dumps(document, indent=1))
        return
    counts = Counter(each.fault for each in recordings)
    click.echo(f"{out}: {manifest.name} {manifest.version}, {size_bytes / 1024:.0f} KiB")
    click.echo("  learnt from " + ", ".join(f"{each} {count}" for each, count in counts.items()))
    metrics = manifest.metrics
    if "balanced_accuracy" in metrics:
        click.echo(
            f"  {metrics['balanced_accuracy']:.0%} balanced accuracy with each of "
            f"{metrics['groups']:.0f} groups of recordings kept apart in turn"
        )
    if manifest.cost is not None:
        click.echo(f"  {manifest.cost.row_ms_p50:.2f} ms for 4,096 samples on one core")
    for note in trained.notes:
        click.echo(f"  note: {note}")

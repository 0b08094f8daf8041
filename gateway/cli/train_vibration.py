"""`edgewright train vibration`: a classifier of faults from recordings with known faults."""

import csv
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from analytics.training.cost import check_cost
from analytics.training.vibration import KnownFault, TrainedVibration, train_vibration
from analytics.vibration.bearings import bearing
from analytics.vibration.diagnosis import FAULTS
from analytics.vibration.indicators import Machine
from gateway.cli.training import check_names, over_budget_option, save, tell
from gateway.cli.waveforms import UNITS, Unit, read_waveform
from gateway.core.errors import ConfigError
from gateway.core.vibration_manifest import FaultLabel

COLUMNS: Final = ("file", "column", "rate_hz", "speed_rpm", "bearing", "fault")
RECORDINGS_MAX: Final = 10_000
WAVEFORM_MS_MAX: Final = 2.0
"""Of a diagnosis of 4,096 samples; nearly all of it is the indicators', not the model's."""
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
@over_budget_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    data: Path,
    out: Path,
    name: str,
    model_version: str,
    unit: Unit,
    *,
    over_budget: bool,
    as_json: bool,
) -> None:
    """Learn to tell faults from recordings whose fault is known.

    The index has the columns file, column, rate_hz, speed_rpm, bearing and fault; a column group
    may say which recordings are of one bearing, so that those are never on both sides of a test.
    Files (CSV, Parquet, .npy, .npz) are looked for beside the index. The bearing is a name such
    as 6205, "n=9 d=7.94 D=39.04 angle=0" or "bpfo=3.58 bpfi=5.42".

    Try: edgewright train vibration --data index.csv --out faults.ewm
    """
    check_names(name, model_version)
    recordings = read_index(data, unit=unit)
    trained = train_vibration(recordings, name=name, version=model_version)
    assert trained.manifest.cost is not None
    if not over_budget:
        check_cost(trained.manifest.cost, row_ms_max=WAVEFORM_MS_MAX)
    tell(
        trained.bundle,
        out,
        _lines(trained, recordings),
        notes=trained.notes,
        size_bytes=save(trained.bundle, out),
        as_json=as_json,
    )


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


def _lines(trained: TrainedVibration, recordings: list[KnownFault]) -> list[str]:
    """Return what was learnt, for a person."""
    counts = Counter(each.fault for each in recordings)
    lines = ["learnt from " + ", ".join(f"{each} {count}" for each, count in counts.items())]
    metrics, cost = trained.manifest.metrics, trained.manifest.cost
    if "balanced_accuracy" in metrics:
        lines.append(
            f"{metrics['balanced_accuracy']:.0%} balanced accuracy with each of "
            f"{metrics['groups']:.0f} groups of recordings kept apart in turn"
        )
    if cost is not None:
        lines.append(f"{cost.row_ms_p50:.2f} ms for 4,096 samples on one core")
    return lines

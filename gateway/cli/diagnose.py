"""`edgewright diagnose`: which fault the vibration of a machine speaks of."""

import json
from math import isnan
from pathlib import Path
from typing import get_args

import click

from analytics.vibration.bearings import Bearing, bearing, bearing_of_orders
from analytics.vibration.diagnosis import FAULTS, Diagnosis, diagnose
from analytics.vibration.findings import Finding, findings
from analytics.vibration.indicators import NAMES, Axis, Machine
from analytics.vibration.iso20816 import Foundation, Group
from analytics.vibration.orders import at_constant_speed
from gateway.cli.waveforms import UNITS, Unit, read_waveform
from gateway.core.errors import ConfigError

Document = dict[str, object]
"""What becomes one JSON object."""


@click.command("diagnose")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    help="Waveform (CSV, Parquet, .npy, .npz).",
)
@click.option("--column", help="Of the waveform.  [default: the only one]")
@click.option("--rate-hz", type=click.FloatRange(min=1), required=True, help="Samples in a second.")
@click.option("--speed-rpm", type=click.FloatRange(min=0), help="Speed of the shaft.")
@click.option("--speed-column", help="With the speed in rpm at each sample, where it varies.")
@click.option("--bearing", "bearing_name", help='Such as 6205, or "n=9 d=7.94 D=39.04 angle=0".')
@click.option("--bpfo", type=float, help="Order of the outer ring's defects, instead of --bearing.")
@click.option("--bpfi", type=float, help="Order of the inner ring's defects.")
@click.option("--bsf", type=float, help="Turns of a ball for each of the shaft.")
@click.option("--ftf", type=float, help="Turns of the cage for each of the shaft.")
@click.option("--model", type=click.Path(path_type=Path), help="Bundle (.ewm), on top of physics.")
@click.option("--unit", type=click.Choice(UNITS), default="g", show_default=True, help="Of it.")
@click.option(
    "--machine-group",
    type=click.Choice([str(group) for group in get_args(Group)]),
    default="2",
    show_default=True,
    help="Of ISO 20816-3: 1 above 300 kW, 2 from 15 kW.",
)
@click.option(
    "--foundation",
    type=click.Choice(get_args(Foundation)),
    default="rigid",
    show_default=True,
    help="Of the machine.",
)
@click.option(
    "--axis",
    type=click.Choice(get_args(Axis)),
    default="radial",
    show_default=True,
    help="Of the sensor.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    data: Path,
    column: str | None,
    rate_hz: float,
    speed_rpm: float | None,
    speed_column: str | None,
    bearing_name: str | None,
    bpfo: float | None,
    bpfi: float | None,
    bsf: float | None,
    ftf: float | None,
    model: Path | None,
    unit: Unit,
    machine_group: str,
    foundation: Foundation,
    axis: Axis,
    *,
    as_json: bool,
) -> None:
    """Tell the fault of a machine from a waveform of its vibration.

    Physics first: the lines of the bearing in the envelope, the orders of the shaft, and the zone
    of ISO 20816-3. A model made by `edgewright train vibration` judges the same lines.

    Try: edgewright diagnose --data accel.csv --rate-hz 12000 --speed-rpm 1797 --bearing 6205
    """
    machine = Machine(
        bearing=_bearing(bearing_name, bpfo=bpfo, bpfi=bpfi, bsf=bsf, ftf=ftf),
        group=1 if machine_group == "1" else 2,
        foundation=foundation,
        axis=axis,
    )
    waveform = read_waveform(data, column, rate_hz=rate_hz, unit=unit)
    classifier = None
    if model is not None:
        # Heavy: only where there is a model.
        from analytics.vibration.learned import LearnedClassifier

        try:
            classifier = LearnedClassifier(model.read_bytes())
        except OSError as error:
            raise ConfigError(f"{model}: cannot be read: {error.strerror}") from error
    speed_hz = None if not speed_rpm else speed_rpm / 60
    if speed_column is not None and speed_rpm is not None:
        raise ConfigError("--speed-rpm and --speed-column were both given: give one of them")
    try:
        if speed_column is not None:
            # Read as it stands: the unit is that of the waveform.
            speeds_rpm = read_waveform(data, speed_column, rate_hz=rate_hz, unit="g")
            waveform, rate_hz, speed_hz = at_constant_speed(
                waveform, rate_hz=rate_hz, speed_hz=speeds_rpm / 60
            )
        diagnosis = diagnose(waveform, rate_hz, speed_hz, machine, classifier)
        evidence = findings(waveform, rate_hz, speed_hz, machine, diagnosis)
    except ValueError as error:
        raise ConfigError(f"{data}: {error}") from error
    if as_json:
        click.echo(json.dumps(_document(diagnosis, evidence, machine), indent=1))
    else:
        _print(diagnosis, evidence, machine)


def _bearing(
    name: str | None,
    *,
    bpfo: float | None,
    bpfi: float | None,
    bsf: float | None,
    ftf: float | None,
) -> Bearing | None:
    if all(order is None for order in (bpfo, bpfi, bsf, ftf)):
        return None if name is None else bearing(name)
    if name is not None:
        raise ConfigError("--bearing and orders such as --bpfo were both given: give one of them")
    if bpfo is None or bpfi is None:
        raise ConfigError(
            "--bpfo and --bpfi belong together: give both, the others may be left out"
        )
    return bearing_of_orders(bpfo=bpfo, bpfi=bpfi, bsf=bsf, ftf=ftf)


def _document(diagnosis: Diagnosis, evidence: tuple[Finding, ...], machine: Machine) -> Document:
    found = diagnosis.indicators
    return {
        "fault": diagnosis.fault,
        "confidence": round(diagnosis.confidence, 4),
        "probabilities": {
            fault: _rounded(float(each))
            for fault, each in zip(FAULTS, diagnosis.probabilities, strict=True)
        },
        "evidence": [
            {
                "name": each.name,
                "frequency_hz": _rounded(each.frequency_hz),
                "order": _rounded(each.order),
                "amplitude": _rounded(each.amplitude),
                "unit": each.unit,
                "expected": _rounded(each.expected),
                "ratio": _rounded(each.ratio),
                "evidence_db": _rounded(each.evidence_db),
            }
            for each in evidence
        ],
        "zone": diagnosis.zone,
        "velocity_rms_mm_s": _rounded(found.named("velocity_rms_mm_s")),
        "machine_group": machine.group,
        "foundation": machine.foundation,
        "indicators": {
            name: _rounded(float(value)) for name, value in zip(NAMES, found.value, strict=True)
        },
        "notes": list(diagnosis.notes),
    }


def _rounded(value: float | None) -> float | None:
    """Return six significant digits; None for what is not known: JSON has no NaN."""
    return None if value is None or isnan(value) else float(f"{value:.6g}")


def _print(diagnosis: Diagnosis, evidence: tuple[Finding, ...], machine: Machine) -> None:
    velocity = diagnosis.indicators.named("velocity_rms_mm_s")
    told = "no fault is seen" if diagnosis.fault == "none" else f"fault: {diagnosis.fault}"
    click.echo(f"{told} ({diagnosis.confidence:.0%} sure)")
    ranked = sorted(zip(FAULTS, diagnosis.probabilities, strict=True), key=lambda each: -each[1])
    click.echo("  " + ", ".join(f"{fault} {each:.0%}" for fault, each in ranked if each >= 0.005))
    click.echo(
        f"  zone {diagnosis.zone} of ISO 20816-3, group {machine.group}, {machine.foundation}: "
        f"{velocity:.2f} mm/s (check the limits against the standard)"
    )
    for note in diagnosis.notes:
        click.echo(f"  note: {note}")
    click.echo(f"  {'':14}{'Hz':>9}{'order':>8}{'amplitude':>12}{'expected':>11}{'ratio':>8}")
    for each in evidence:
        hertz = "" if each.frequency_hz is None else f"{each.frequency_hz:.1f}"
        order = "" if each.order is None else f"{each.order:.3f}"
        click.echo(
            f"  {each.name:14}{hertz:>9}{order:>8}{each.amplitude:>12.4g}{each.expected:>11.4g}"
            f"{each.ratio:>8.2f} {each.unit}"
        )

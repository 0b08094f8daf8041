"""`edgewright diagnose` and `edgewright train vibration`, as a person runs them."""

import csv
import json
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from analytics.vibration.bearings import bearing
from gateway.cli.diagnose import command as diagnose_command
from gateway.cli.train import command as train_command
from gateway.core.arrays import FloatArray
from gateway.core.errors import ConfigError, GatewayError
from gateway.core.vibration_manifest import FaultLabel
from tests.analytics.rotating import bearing_waveform, shaft_waveform

RATE_HZ, SPEED_RPM = 12_000.0, 1740.0
MACHINE = ("--rate-hz", RATE_HZ, "--speed-rpm", SPEED_RPM, "--bearing", "6205")


def run(command: click.Command, *arguments: object) -> Result:
    """Run a command; what it raises is what `edgewright` would turn into a message."""
    result = CliRunner().invoke(command, [str(each) for each in arguments])
    if isinstance(result.exception, GatewayError):
        raise result.exception
    assert result.exception is None, result.exception
    return result


def signal_of(fault: FaultLabel, *, seed: int = 1, turns: float = 20) -> FloatArray:
    return bearing_waveform(
        fault,
        bearing("6205"),
        rate_hz=RATE_HZ,
        speed_hz=SPEED_RPM / 60,
        turns=turns,
        seed=seed,
    )


def write_csv(path: Path, signal: FloatArray, *, name: str = "x") -> Path:
    path.write_text(f"{name}\n" + "\n".join(map(repr, signal.tolist())) + "\n", encoding="utf-8")
    return path


def diagnosed(*arguments: object) -> dict[str, object]:
    document = json.loads(run(diagnose_command, *arguments, "--json").output)
    assert isinstance(document, dict)
    return document


def test_a_waveform_alone_in_a_file_is_diagnosed_by_physics(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", signal_of("outer"))
    document = diagnosed("--data", path, *MACHINE)
    assert document["fault"] == "outer"
    assert document["zone"] in {"A", "B", "C", "D"}
    probabilities = document["probabilities"]
    assert isinstance(probabilities, dict)
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert document["confidence"] == pytest.approx(probabilities["outer"], abs=1e-3)
    evidence = document["evidence"]
    assert isinstance(evidence, list)
    assert {"name", "frequency_hz", "order", "amplitude", "unit", "expected", "ratio"} <= set(
        evidence[0]
    )
    assert any(each["name"] == "BPFO" and each["ratio"] > 3 for each in evidence)


def test_people_get_a_table(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", signal_of("inner"))
    said = run(diagnose_command, "--data", path, "--column", "x", *MACHINE).output
    assert said.startswith("fault: inner (")
    assert "BPFI" in said
    assert "zone B of ISO 20816-3, group 2, rigid: 1.50 mm/s" in said


@pytest.mark.parametrize("kind", ["csv", "headless", "two columns", "parquet", "npy", "npz"])
def test_every_kind_of_file_gives_the_same(tmp_path: Path, kind: str) -> None:
    signal = signal_of("outer")
    plain = diagnosed("--data", write_csv(tmp_path / "plain.csv", signal), *MACHINE)
    path = tmp_path / "other"
    match kind:
        case "csv":
            path = write_csv(path.with_suffix(".csv"), signal, name="accel z / g")
        case "headless":
            path = path.with_suffix(".txt")
            path.write_text("\n".join(map(repr, signal.tolist())), encoding="utf-8")
        case "two columns":
            path = path.with_suffix(".csv")
            lines = [f"{k};{value!r}" for k, value in enumerate(signal.tolist())]
            path.write_text("\n".join(["n;x", *lines]), encoding="utf-8")
        case "parquet":
            path = path.with_suffix(".parquet")
            pq.write_table(pa.table({"x": signal}), path)
        case "npy":
            path = path.with_suffix(".npy")
            np.save(path, signal)
        case "npz":
            path = path.with_suffix(".npz")
            np.savez(path, x=signal, other=np.ones(3))
    column = ("--column", "x") if kind in {"two columns", "npz"} else ()
    assert diagnosed("--data", path, *MACHINE, *column) == plain


def test_orders_may_stand_for_the_name_of_the_bearing(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", signal_of("outer"))
    orders = ("--bpfo", 3.58, "--bpfi", 5.41, "--bsf", 2.36, "--ftf", 0.398)
    document = diagnosed("--data", path, "--rate-hz", RATE_HZ, "--speed-rpm", SPEED_RPM, *orders)
    assert document["fault"] == "outer"


def test_the_unit_of_the_file_is_minded(tmp_path: Path) -> None:
    signal = shaft_waveform({1.0: 6.0}, rate_hz=5000.0, speed_hz=25.0, turns=40, seed=2)
    given = ("--rate-hz", 5000, "--speed-rpm", 1500, "--bearing", "6205")
    in_g = diagnosed("--data", write_csv(tmp_path / "g.csv", signal), *given)
    in_si = diagnosed(
        "--data", write_csv(tmp_path / "si.csv", signal * 9.80665), "--unit", "m/s2", *given
    )
    assert in_g["fault"] == in_si["fault"] == "unbalance"
    assert in_g["zone"] == in_si["zone"] == "D"
    assert in_si["velocity_rms_mm_s"] == pytest.approx(in_g["velocity_rms_mm_s"])
    time_s = np.arange(8000) / 5000
    velocity = 6 * np.sqrt(2) * np.sin(2 * np.pi * 25 * time_s)
    moving = diagnosed("--data", write_csv(tmp_path / "v.csv", velocity), "--unit", "mm/s", *given)
    assert moving["velocity_rms_mm_s"] == pytest.approx(6, rel=0.03)
    assert moving["fault"] == "unbalance"


def test_a_speed_that_varies_comes_from_a_column(tmp_path: Path) -> None:
    """Run-up by half while the outer ring is struck: by the mean speed its line is smeared."""
    even = signal_of("outer", turns=40)
    count = len(even)
    speed_rpm = SPEED_RPM * np.linspace(0.75, 1.25, count)
    angle = np.concatenate(([0.0], np.cumsum((speed_rpm[1:] + speed_rpm[:-1]) / 2)))
    at = np.interp(angle / angle[-1], np.linspace(0, 1, count), np.arange(count))
    varied = np.interp(at, np.arange(count), even)
    path = tmp_path / "a.csv"
    lines = [f"{x!r},{v!r}" for x, v in zip(varied.tolist(), speed_rpm.tolist(), strict=True)]
    path.write_text("\n".join(["x,rpm", *lines]), encoding="utf-8")
    given = ("--data", path, "--column", "x", "--rate-hz", RATE_HZ, "--bearing", "6205")
    assert diagnosed(*given, "--speed-column", "rpm")["fault"] == "outer"
    assert diagnosed(*given, "--speed-rpm", SPEED_RPM)["fault"] != "outer"
    with pytest.raises(ConfigError, match="give one of them"):
        run(diagnose_command, *given, "--speed-column", "rpm", "--speed-rpm", SPEED_RPM)


def test_the_zone_is_that_of_the_machine(tmp_path: Path) -> None:
    signal = shaft_waveform({1.0: 4.0}, rate_hz=5000.0, speed_hz=25.0, turns=40, seed=3)
    path = write_csv(tmp_path / "a.csv", signal)
    given = ("--data", path, "--rate-hz", 5000, "--speed-rpm", 1500)
    assert diagnosed(*given)["zone"] == "C"
    soft = diagnosed(*given, "--machine-group", "1", "--foundation", "flexible")
    assert soft["zone"] == "B"


def test_recordings_with_known_faults_become_a_model(tmp_path: Path) -> None:
    lines = []
    for fault in ("normal", "inner", "outer", "ball"):
        for seed in range(3):
            name = f"{fault}{seed}.npz"
            kind: FaultLabel = (
                "inner" if fault == "inner" else "outer" if fault == "outer" else "ball"
            )
            signal = signal_of("none" if fault == "normal" else kind, seed=seed, turns=40)
            np.savez(tmp_path / name, a=signal)
            lines.append([name, "a", RATE_HZ, SPEED_RPM, "SKF 6205-2RS", fault])
    index = tmp_path / "index.csv"
    with index.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "column", "rate_hz", "speed_rpm", "bearing", "fault"])
        writer.writerows(lines)
    model = tmp_path / "x.ewm"
    said = run(train_command, "vibration", "--data", index, "--out", model).output
    assert "learnt from none 3, inner 3, outer 3, ball 3" in said
    assert "12 groups of recordings kept apart" in said
    again = run(train_command, "vibration", "--data", index, "--out", model, "--json").output
    assert json.loads(again)["manifest"]["kind"] == "vibration"
    path = write_csv(tmp_path / "a.csv", signal_of("ball", seed=50))
    assert diagnosed("--data", path, *MACHINE, "--model", model)["fault"] == "ball"


@pytest.mark.parametrize(
    ("content", "options", "reason"),
    [
        ("x\n1\n2\n", (), "at least 16"),
        ("x\n" + "1\n" * 20 + "\nnan\n" + "1\n" * 20, (), "row 21 of the waveform"),
        ("a,b\n" + "1,2\n" * 20, (), "--column"),
        ("a,b\n" + "1,2\n" * 20, ("--column", "c"), "no column 'c'"),
        ("x\n" + "1\n" * 20, ("--bearing", "none"), "not in the table"),
        ("x\n" + "1\n" * 20, ("--bpfo", 3.5), "belong together"),
        ("x\n" + "1\n" * 20, ("--bpfo", 3, "--bpfi", 5, "--bearing", "6205"), "one of them"),
        ("x\n" + "1\n" * 20, ("--model", "missing.ewm"), "cannot be read"),
    ],
)
def test_a_mistake_is_told_with_its_place(
    tmp_path: Path, content: str, options: tuple[object, ...], reason: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=reason):
        run(diagnose_command, "--data", path, "--rate-hz", 1000, *options)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.csv", "a.parquet"])
def test_a_file_that_is_not_what_it_says_is_told(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"PK\x03\x04 this is nothing of the kind \xff\xfe")
    with pytest.raises(ConfigError, match=name):
        run(diagnose_command, "--data", path, "--rate-hz", 1000)


def test_every_wrong_line_of_an_index_is_told(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", signal_of("outer"))
    index = tmp_path / "index.csv"
    index.write_text(
        "file,column,rate_hz,speed_rpm,bearing,fault\n"
        "a.npy,,12000,1740,6205,outer\n"
        "a.npy,,12000,1740,6205,rust\n"
        "a.npy,,fast,1740,6205,outer\n"
        "a.npy,,12000,0,6205,outer\n"
        "b.npy,,12000,1740,6205,outer\n"
        "a.npy,,12000,1740,unheard,outer\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as caught:
        run(train_command, "vibration", "--data", index, "--out", tmp_path / "x.ewm")
    assert [mistake.partition("index.csv:")[2][0] for mistake in caught.value.mistakes] == [
        *("3", "4", "5", "6", "7")
    ]


def test_an_index_without_its_columns_is_told(tmp_path: Path) -> None:
    index = tmp_path / "index.csv"
    index.write_text("file,fault\na.npy,outer\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="lacks the columns column, rate_hz, speed_rpm, bearing"):
        run(train_command, "vibration", "--data", index, "--out", tmp_path / "x.ewm")

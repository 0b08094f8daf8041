"""`edgewright train` and `edgewright score`, as a person runs them."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from gateway.cli.score import command as score_command
from gateway.cli.train import command as train_command
from gateway.core.errors import ConfigError, GatewayError, ModelError
from gateway.simulate.faults import Fault, FaultKind
from gateway.simulate.plant import Plant
from gateway.simulate.recording import record
from gateway.wire.bundle import read_bundle
from tests.analytics.models import COLUMNS, healthy

T0_S = 1_583_748_873


def write_rows(path: Path, rows: np.ndarray, *, columns: tuple[str, ...] = COLUMNS) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(("datetime", *columns))
        for k, row in enumerate(rows):
            time = datetime.fromtimestamp(T0_S + k, UTC).isoformat()
            writer.writerow((time, *("" if np.isnan(x) else repr(float(x)) for x in row)))
    return path


def run(command: click.Command, *arguments: object) -> Result:
    """Run a command; what it raises is what `edgewright` would turn into a message."""
    result = CliRunner().invoke(command, [str(each) for each in arguments])
    if isinstance(result.exception, GatewayError):
        raise result.exception
    assert result.exception is None, result.exception
    return result


def read_scores(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_recording_becomes_a_model_and_a_model_scores_another(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "healthy.csv", healthy(1000))
    bundle = tmp_path / "pump.ewm"
    said = run(train_command, "anomaly", "--data", data, "--out", bundle).output
    assert "generic-anomaly 1.0" in said
    assert "learnt 4 columns from 1000 rows" in said
    test = healthy(300, seed=2)
    test[200:, 2] += 20.0
    test[100, 1] = np.nan
    scores = tmp_path / "scores.csv"
    test_csv = write_rows(tmp_path / "test.csv", test)
    said = run(score_command, "--model", bundle, "--data", test_csv, "--out", scores).output
    lines = read_scores(scores)
    assert len(lines) == 300
    assert list(lines[0]) == [
        *("time", "score", "threshold", "alarm", "quality", "top_tags", "top_shares")
    ]
    assert lines[0]["time"] == "2020-03-09T10:14:33+00:00"
    assert {line["threshold"] for line in lines} == {"1"}
    assert {line["alarm"] for line in lines[:205]} == {"0"}
    assert {line["alarm"] for line in lines[220:]} == {"1"}
    assert (lines[100]["score"], lines[100]["quality"]) == ("", "Bad")
    assert {line["quality"] for line in lines[:15]} == {"Bad"}, "the first rows wait"
    assert {line["quality"] for line in lines[15:100]} == {"Good"}
    assert lines[-1]["top_tags"].split("|")[0] == "bearing_temperature_residual_k"
    shares = [float(share) for share in lines[-1]["top_shares"].split("|")]
    assert shares == sorted(shares, reverse=True)
    assert f"{sum(line['alarm'] == '1' for line in lines)} of them in alarm" in said


def test_scores_depend_on_nothing_that_comes_later(tmp_path: Path) -> None:
    bundle = tmp_path / "pump.ewm"
    data = write_rows(tmp_path / "healthy.csv", healthy(500))
    run(train_command, "anomaly", "--data", data, "--out", bundle)
    rows = healthy(200, seed=2)
    outputs = []
    for count in (100, 200):
        part = write_rows(tmp_path / f"part{count}.csv", rows[:count])
        out = tmp_path / f"scores{count}.csv"
        run(score_command, "--model", bundle, "--data", part, "--out", out)
        outputs.append(read_scores(out))
    assert outputs[0] == outputs[1][:100]


def test_options_of_train(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "healthy.csv", healthy(500))
    bundle = tmp_path / "pump.ewm"
    said = run(
        train_command,
        *("anomaly", "--data", data, "--out", bundle, "--name", "my-pump", "--json"),
        *("--model-version", "2.3", "--asset-type", "centrifugal_pump"),
        *("--time", "datetime", "--tags", "vibration_mm_s,current_a", "--shadow-rows", "50"),
    ).output
    document = json.loads(said)
    manifest = read_bundle(bundle.read_bytes()).manifest
    assert document["manifest"] == json.loads(manifest.model_dump_json())
    assert manifest.kind == "anomaly"
    assert (manifest.name, manifest.version) == ("my-pump", "2.3")
    assert manifest.columns == ("vibration_mm_s", "current_a")
    assert manifest.asset_type == "centrifugal_pump"
    assert (manifest.rollout.shadow_rows, manifest.rollout.probation_rows) == (50, 50)


@pytest.mark.parametrize(
    ("options", "mistake"),
    [
        (["--name", "My Pump"], "--name: 'My Pump'"),
        (["--model-version", "one"], "--model-version: 'one'"),
        (["--tags", "pressure"], "no column 'pressure'"),
        (["--time", "when"], "no column 'when'"),
        (["--twin", "compressor"], "no compressor"),
    ],
)
def test_wrong_options_are_told(tmp_path: Path, options: list[str], mistake: str) -> None:
    data = write_rows(tmp_path / "healthy.csv", healthy(200))
    with pytest.raises(ConfigError, match=mistake):
        run(train_command, "anomaly", "--data", data, "--out", tmp_path / "x.ewm", *options)


def test_rows_that_make_no_model_are_told(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "healthy.csv", healthy(20))
    with pytest.raises(ModelError, match="too few"):
        run(train_command, "anomaly", "--data", data, "--out", tmp_path / "x.ewm")


def test_a_recording_without_the_models_columns_is_told(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "healthy.csv", healthy(200))
    bundle = tmp_path / "pump.ewm"
    run(train_command, "anomaly", "--data", data, "--out", bundle)
    other = write_rows(tmp_path / "other.csv", healthy(5)[:, :3], columns=COLUMNS[:3])
    with pytest.raises(ConfigError, match="lacks the columns vibration_mm_s"):
        run(score_command, "--model", bundle, "--data", other, "--out", tmp_path / "scores.csv")


def test_a_file_that_is_no_model_is_told(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "healthy.csv", healthy(200))
    with pytest.raises(ModelError):
        run(score_command, "--model", data, "--data", data, "--out", tmp_path / "scores.csv")
    with pytest.raises(ConfigError, match="cannot be read"):
        run(score_command, "--model", "none", "--data", data, "--out", tmp_path / "scores.csv")


@pytest.mark.slow
def test_through_a_twin(tmp_path: Path) -> None:
    """Two hours of two healthy pumps, then a filter that clogs: only its pump alarms.

    The other pump takes over part of the flow, and two hours have shown how it runs then.
    """
    recording, bundle = tmp_path / "healthy.csv", tmp_path / "pump.ewm"
    record(Plant(seed=3), recording, duration_s=7200, period_s=1.0)
    said = run(
        train_command,
        *("anomaly", "--data", recording, "--out", bundle, "--twin", "centrifugal_pump"),
    ).output
    assert "centrifugal-pump-anomaly 1.0" in said
    canary = read_bundle(bundle.read_bytes()).canary
    assert canary is not None
    assert any(name.startswith("suction filter clogged by ") for name in canary.fault_names)
    fault = Fault(
        kind=FaultKind.CLOGGED_FILTER, asset="P-102", onset_s=1000, growth_s=200, size=0.8
    )
    test, scores = tmp_path / "test.csv", tmp_path / "scores.csv"
    record(Plant(seed=3, faults=[fault]), test, duration_s=1500, period_s=1.0)
    run(score_command, "--model", bundle, "--data", test, "--out", scores)
    lines = read_scores(scores)
    alarms = {line["asset"] for line in lines if line["alarm"] == "1"}
    assert alarms == {"P-102"}
    assert any("filter_dp" in line["top_tags"] for line in lines if line["alarm"] == "1")
    assert {line["quality"] for line in lines[:600]} == {"Bad"}, "the twin is still learning"

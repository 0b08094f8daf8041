"""`edgewright train rul` and `edgewright score` with its model, as a person runs them."""

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.cli.score import command as score_command
from gateway.cli.train import command as train_command
from gateway.core.errors import ConfigError, ModelError
from gateway.wire.bundle import write_bundle
from tests.analytics.lives import COLUMNS, life, trained
from tests.analytics.test_cli import read_scores, run

HEADER = ["unit", "time", "rul", "rul_low", "rul_high", "known"]
T0 = datetime(2026, 3, 9, tzinfo=UTC)


def write_lives(path: Path, seeds: range, *, dated: bool = False, shuffled: bool = False) -> Path:
    """Rows of several machines; with a column of words that nobody needs."""
    lines: list[list[object]] = []
    for seed in seeds:
        whole = life(seed)
        for time, row in zip(whole.time, whole.value, strict=True):
            moment = (T0 + timedelta(hours=float(time))).isoformat() if dated else f"{time:g}"
            lines.append([whole.unit, moment, "fine", *map(repr, row.tolist())])
    if shuffled:
        # The rows of different machines in turns, each machine's own in order.
        lines.sort(key=lambda line: str(line[1]) if dated else float(str(line[1])))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["unit", "time", "remark", *COLUMNS])
        writer.writerows(lines)
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "machine.ewm"
    path.write_bytes(write_bundle(trained().bundle))
    return path


def test_lives_become_a_model_and_it_scores_others(tmp_path: Path) -> None:
    data = write_lives(tmp_path / "runs.csv", range(5), dated=True)
    model, scores = tmp_path / "x.ewm", tmp_path / "scores.csv"
    names = ("--unit", "unit", "--time", "time", "--asset-type", "small_mill")
    said = run(train_command, "rul", "--data", data, *names, "--cap", 40, "--out", model).output
    assert "small-mill-life 1.0" in said
    assert "looks 40 hours ahead" in said
    assert "columns of words are left out: remark" in said
    others = write_lives(tmp_path / "others.csv", range(50, 52), dated=True)
    run(score_command, "--model", model, "--data", others, "--out", scores)
    lines = read_scores(scores)
    assert list(lines[0]) == HEADER
    assert len(lines) == sum(len(life(seed).time) for seed in range(50, 52))
    assert lines[0]["time"] == (T0 + timedelta(hours=1)).isoformat()
    assert lines[-1]["known"] == "1"
    assert float(lines[-1]["rul"]) < 10


def test_json_is_one_object(tmp_path: Path) -> None:
    data = write_lives(tmp_path / "runs.csv", range(3))
    names = ("--unit", "unit", "--time", "time", "--cap", 40, "--out", tmp_path / "x.ewm")
    document = json.loads(run(train_command, "rul", "--data", data, *names, "--json").output)
    assert document["manifest"]["kind"] == "rul"
    assert document["manifest"]["cap"] == 40


def test_every_row_has_a_line_in_the_order_of_the_file(tmp_path: Path, model: Path) -> None:
    """Rows of different machines in turns give each machine what it has alone."""
    files = [
        write_lives(tmp_path / "plain.csv", range(50, 53)),
        write_lives(tmp_path / "turns.csv", range(50, 53), shuffled=True),
    ]
    found = []
    for k, data in enumerate(files):
        out = tmp_path / f"{k}.csv"
        run(score_command, "--model", model, "--data", data, "--out", out)
        with data.open(encoding="utf-8") as file:
            asked = [(line["unit"], line["time"]) for line in csv.DictReader(file)]
        lines = read_scores(out)
        assert [(line["unit"], line["time"]) for line in lines] == asked
        found.append({(line["unit"], line["time"]): tuple(line.values()) for line in lines})
    assert found[0] == found[1]


def test_no_line_sees_a_later_row(tmp_path: Path, model: Path) -> None:
    whole = write_lives(tmp_path / "whole.csv", range(50, 51))
    part = tmp_path / "part.csv"
    part.write_text("".join(whole.read_text().splitlines(keepends=True)[:41]))
    for data in (whole, part):
        run(score_command, "--model", model, "--data", data, "--out", data.with_suffix(".out"))
    scores = [read_scores(data.with_suffix(".out")) for data in (whole, part)]
    assert scores[0][:40] == scores[1]


def test_an_empty_cell_gives_an_empty_figure(tmp_path: Path, model: Path) -> None:
    data = write_lives(tmp_path / "x.csv", range(50, 51))
    lines = data.read_text().splitlines()
    cells = lines[30].split(",")
    cells[-2] = ""
    lines[30] = ",".join(cells)
    data.write_text("\n".join(lines))
    out = tmp_path / "out.csv"
    run(score_command, "--model", model, "--data", data, "--out", out)
    told = read_scores(out)
    assert [told[k]["rul"] == "" for k in (28, 29, 30)] == [False, True, False]
    assert told[29]["known"] == "0"


def test_other_names_of_machine_and_time_can_be_said(tmp_path: Path, model: Path) -> None:
    data = write_lives(tmp_path / "x.csv", range(50, 51))
    text = data.read_text()
    data.write_text(text.replace("unit,time", "engine,cycle", 1))
    out = tmp_path / "out.csv"
    with pytest.raises(ConfigError, match="there is no column"):
        run(score_command, "--model", model, "--data", data, "--out", out)
    names = ("--unit", "engine", "--time", "cycle")
    run(score_command, "--model", model, "--data", data, "--out", out, *names)
    assert read_scores(out)[0]["unit"] == "machine-50"


def test_dates_are_no_counts(tmp_path: Path, model: Path) -> None:
    data = write_lives(tmp_path / "x.csv", range(50, 51), dated=True)
    with pytest.raises(ConfigError, match="its times are dates; the model was trained on numbers"):
        run(score_command, "--model", model, "--data", data, "--out", tmp_path / "out.csv")


def test_mistakes_are_named_with_what_to_do(tmp_path: Path) -> None:
    data = write_lives(tmp_path / "runs.csv", range(2))
    base = ("rul", "--data", data, "--time", "time", "--out", tmp_path / "x.ewm")
    with pytest.raises(ModelError, match="2 lives are too few"):
        run(train_command, *base, "--unit", "unit")
    with pytest.raises(ConfigError, match="there is no column 'engine'"):
        run(train_command, *base, "--unit", "engine")
    with pytest.raises(ConfigError, match="cannot tell both"):
        run(train_command, *base, "--unit", "time")
    data.write_text(data.read_text().replace("machine-0", "", 1))
    with pytest.raises(ConfigError, match="row 1 has nothing under 'unit'"):
        run(train_command, *base, "--unit", "unit")


def test_names_are_checked_before_anything_is_learnt(tmp_path: Path) -> None:
    data = write_lives(tmp_path / "runs.csv", range(3))
    names = ("--unit", "unit", "--time", "time", "--out", tmp_path / "x.ewm")
    with pytest.raises(ConfigError, match="must be lower-case") as raised:
        run(train_command, "rul", "--data", data, *names, "--name", "A B", "--model-version", "1")
    assert len(raised.value.mistakes) == 2


def test_repeated_rows_are_left_out_with_a_note(tmp_path: Path) -> None:
    data = write_lives(tmp_path / "runs.csv", range(3))
    lines = data.read_text().splitlines()
    data.write_text("\n".join([*lines, lines[1]]))
    names = ("--unit", "unit", "--time", "time", "--cap", 40, "--out", tmp_path / "x.ewm")
    assert "1 rows repeat the time" in run(train_command, "rul", "--data", data, *names).output

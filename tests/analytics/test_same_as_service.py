"""`edgewright score` and the running chain give the same scores and alarms, row by row."""

import csv
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from analytics.alarms import LimitAlarms
from analytics.defaults import anomaly_alarms
from analytics.multivariate import AnomalyDetector
from gateway.cli.score import command as score_command
from gateway.cli.train import command as train_command
from gateway.core.arrays import FloatArray
from gateway.core.events import Transition
from gateway.core.frame import Frame, Origin
from gateway.core.rows import AssetId
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable
from tests.analytics.frames import NS
from tests.analytics.models import COLUMNS, healthy
from twins import build_twins
from twins.generic import GenericSettings

T0_S = 1_600_000_000
ASSET = AssetId("loop")


def write_rows(path: Path, rows: FloatArray) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("time", *COLUMNS))
        for k, row in enumerate(rows):
            time = datetime.fromtimestamp(T0_S + k, UTC).isoformat()
            writer.writerow((time, *(repr(float(x)) for x in row)))
    return path


def faulty(count: int) -> FloatArray:
    rows = healthy(count, seed=3)
    rows[60:120, 2] += 5.0
    return rows


def as_the_service_runs_it(bundle: bytes, rows: FloatArray) -> dict[int, tuple[float, bool]]:
    """Score and alarm by the row's time in seconds: a generic twin, the detector, the board."""
    tags = {column: TagId(f"rig.{column}") for column in COLUMNS}
    settings = GenericSettings.model_validate({"tags": tags, "period_s": 1.0})
    (twin,) = build_twins({ASSET: settings})
    detector = AnomalyDetector(
        model_name="generic-anomaly",
        asset_type="generic",
        assets=twin.assets,
        columns=twin.columns,
        monotonic_ns=lambda: 0,
    )
    board = LimitAlarms(anomaly_alarms(twin.assets))
    table = TagTable.build(
        [*(Tag(id=tag) for tag in tags.values()), *twin.derived_tags, *detector.derived_tags],
        epoch=ConfigEpoch(1),
    )
    for part in (twin, detector, board):
        part.bind(table)
    detector.activate(bundle)
    found: dict[int, tuple[float, bool]] = {}
    is_on = False
    for k, row in enumerate(rows):
        frame = Frame(
            tag_index=table.indices(list(tags.values())),
            time_ns=np.full(len(row), (T0_S + k) * NS),
            value=row.copy(),
            status=np.zeros(len(row), dtype=np.uint32),
            received_ns=(T0_S + k) * NS,
            origin=Origin.LIVE,
        )
        for made in twin.update(frame).rows:
            scored = detector.update(made).frame
            assert scored is not None
            for event in board.update(scored):
                is_on = event.transition is Transition.RAISED
            found[made.time_ns // NS] = (float(scored.value[0]), is_on)
    return found


@pytest.mark.parametrize("rate", [[], ["--rate", "4s"]], ids=["as they are", "means"])
def test_the_command_gives_what_the_service_gives(tmp_path: Path, rate: list[str]) -> None:
    """To the six digits of the file, for every row that the twin has finished."""
    model, out = tmp_path / "loop.ewm", tmp_path / "scores.csv"
    healthy_rows = write_rows(tmp_path / "healthy.csv", healthy(2000 if rate else 500))
    train = ["anomaly", "--data", str(healthy_rows), *rate]
    assert CliRunner().invoke(train_command, [*train, "--out", str(model)]).exit_code == 0
    rows = faulty(300)
    test = write_rows(tmp_path / "test.csv", rows)
    score = ["--model", str(model), "--data", str(test), "--out", str(out)]
    assert CliRunner().invoke(score_command, score).exit_code == 0
    with out.open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    service = as_the_service_runs_it(model.read_bytes(), rows)
    assert len(lines) == len(rows)
    assert len(service) >= len(rows) - 1
    for line in lines:
        second = round(datetime.fromisoformat(line["time"]).timestamp())
        if second not in service:
            continue
        score_there, alarm_there = service[second]
        assert line["score"] == ("" if np.isnan(score_there) else f"{score_there:.6g}")
        assert line["alarm"] == str(int(alarm_there))
    assert {line["alarm"] for line in lines} == {"0", "1"}

"""The public recordings: read in their published layout, judged beside plain and blind ways."""

import json
import os
from functools import cache, partial
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from click.testing import CliRunner

from analytics.scorers.nab import probation_rows
from gateway.cli import bench_subject
from gateway.cli.bench import command
from gateway.cli.bench_subject import Product
from gateway.proof import cwru, nab, skab
from gateway.proof.reading import BEGIN_NS, recording, steady_times
from gateway.proof.rows import Better, Row, Target
from gateway.proof.run import SETS, measure_sets
from gateway.proof.subject import Lives, Waveform
from gateway.proof.table import tables
from gateway.proof.targets import TARGETS
from gateway.proof.workers import Here, processes
from tests.gateway.proof_sets import Expert, Refusing, write_all, write_skab

ROW_KEYS = {
    "set", "metric", "value", "baseline", "published", "gate", "gate_held", "goal", "goal_met",
    "latency_ms", "size_kb",
}  # fmt: skip

EXPERT = Expert()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_all(tmp_path_factory.mktemp("recordings"))


def silent(text: str) -> None:
    del text


@cache
def measured(folder: Path, name: str, subject: Expert = EXPERT) -> dict[str, Row]:
    rows = measure_sets(folder, [name], subject, Here(), silent)
    return {row.metric: row for row in rows}


def test_whoever_knows_the_faults_meets_every_goal_of_skab(folder: Path) -> None:
    rows = measured(folder, "skab")
    assert rows["edge-F1"].value == 1
    assert rows["false edges"].value == 0
    assert (rows["FAR %"].value, rows["MAR %"].value) == (0, 0)
    assert rows["NAB of changes"].value == pytest.approx(100)
    assert rows["delay s, median"].value == 0
    assert all(row.goal_met is not False for row in rows.values())
    assert dict(rows["edge-F1"].beside)["always on"] == 0
    assert rows["edge-F1"].baseline == 1  # the made-up fault is easy


def test_the_detector_never_sees_the_judged_rows_before_their_time(folder: Path) -> None:
    """It learns from the first 400 rows, and is given the rest alone."""
    path = skab.paths(folder)[0]

    class Looking(Expert):
        def watch(self, healthy, test):  # type: ignore[no-untyped-def]  # as its base
            assert len(healthy.time_ns) == 400
            assert len(test.time_ns) == 300
            assert healthy.time_ns[-1] < test.time_ns[0]
            return super().watch(healthy, test)

    skab.judge(Looking(), path)


def test_the_first_rows_of_nab_are_learnt_from_and_the_whole_is_scored(folder: Path) -> None:
    rows = measured(folder, "nab")
    # The first alarm of the window comes in its first row.
    assert rows["standard, threshold fixed"].value == pytest.approx(100, abs=1)
    assert rows["standard, corpus threshold"].value == pytest.approx(100, abs=1)
    assert rows["µs a point"].value == pytest.approx(10)
    assert rows["kB a tag"].value == 2
    judged = nab.judge(Expert(), nab.files(folder)[0])
    assert len(judged.watched.score) == 600
    assert probation_rows(600) == 90


def test_volumes_and_attribution(folder: Path) -> None:
    rows = measured(folder, "smd")
    assert rows["VUS-PR"].value == pytest.approx(1, abs=0.05)
    assert dict(rows["VUS-PR"].beside)["at random"] < 0.5
    assert rows["top-3 attribution"].value == 1
    both = measured(folder, "smap")
    assert set(both) == {"VUS-PR, all channels", "VUS-PR, published ones"}


def test_tennessee_eastman_counts_its_rows(folder: Path) -> None:
    rows = measured(folder, "tep")
    assert rows["FDR %"].value == 100
    assert rows["FAR %"].value == 0
    assert rows["delay min, median"].value == 0


def test_lives_are_judged_at_the_last_row(folder: Path) -> None:
    rows = measured(folder, "cmapss")
    assert rows["FD001 RMSE"].value == 0
    assert rows["FD001 coverage %"].value == 100
    assert rows["FD002 width"].value == 2
    assert rows["FD001 RMSE"].baseline is not None


def test_bearings_are_left_out_one_by_one(folder: Path) -> None:
    rows = measured(folder, "femto")
    assert rows["onsets in good time, of 6"].value == 2
    assert rows["RUL error %, last fifth"].value == 0
    assert rows["false onsets, most in a life"].value == 0


def test_a_fault_size_is_left_out_and_the_normal_recording_brought_to_its_rate(
    folder: Path,
) -> None:
    rows = measured(folder, "cwru")
    assert rows["balanced accuracy"].value == 1
    assert rows["macro AUROC"].value == 1
    assert rows["normal windows without a fault"].value == 1
    found = cwru.recordings(folder)
    assert {each.waveform.rate_hz for each in found} == {12_000}
    normal = next(each.waveform for each in found if each.waveform.fault == "none")
    assert len(normal.acceleration_g) == (4 * 2 * 4_096 + 50) // 4


def test_decimating_keeps_what_is_slow_and_takes_out_what_is_too_fast() -> None:
    time_s = np.arange(48_000) / 48_000
    slow, fast = np.sin(2 * np.pi * 100 * time_s), np.sin(2 * np.pi * 9_000 * time_s)
    assert cwru.decimated(slow + fast, 4) == pytest.approx(slow[::4], abs=1e-6)


@pytest.mark.parametrize("name", ["cmapss", "femto", "cwru"])
def test_what_is_not_built_has_rows_that_say_so(folder: Path, name: str) -> None:
    rows = measured(folder, name, Expert(has_life=False, has_diagnosis=False))
    assert rows
    assert all(row.value is None for row in rows.values())
    assert all("not built" in row.note for row in rows.values())
    assert all(row.gate_held is None for row in rows.values())


def test_forty_tags_and_a_thousand_assets_have_their_budget(tmp_path: Path) -> None:
    rows = measured(tmp_path, "budget")
    assert rows["anomaly, ms a row of 40 tags"].value == 0.01
    assert rows["anomaly, ms for 1,000 assets"].value == 1
    assert rows["anomaly, kB of the bundle"].goal_met


@pytest.mark.parametrize("name", sorted(set(SETS) - {"budget"}))
def test_a_set_that_is_not_there_is_no_error(tmp_path: Path, name: str) -> None:
    rows = measured(tmp_path, name)
    assert rows
    assert all("not there" in row.note for row in rows.values())


def test_every_figure_has_its_target_and_every_target_a_figure(folder: Path) -> None:
    figures = {(name, metric) for name in SETS for metric in measured(folder, name)}
    assert figures == set(TARGETS)


def test_a_refusal_is_told(folder: Path) -> None:
    rows = measured(folder, "tep", Expert(refusal="too few rows"))
    assert "too few rows" in rows["FDR %"].note


def test_a_task_that_cannot_be_learnt_leaves_the_others_their_figures(folder: Path) -> None:
    rows = measure_sets(folder, ["cwru", "tep"], Refusing(), Here(), silent)
    assert {row.note for row in rows if row.set_name == "cwru"} == {"refused: too few recordings"}
    assert all(row.value is not None for row in rows if row.set_name == "tep")


def test_limits_are_reached_from_the_right_side() -> None:
    high, low = Target(gate=2, goal=3), Target(better=Better.LOWER, gate=2)
    near = Target(better=Better.NEAR, goal=90, tolerance=2)
    assert [high.is_reached(value, 2) for value in (1.9, 2, 5)] == [False, True, True]
    assert [low.is_reached(value, 2) for value in (1.9, 2, 5)] == [True, True, False]
    assert [near.is_reached(value, 90) for value in (87.9, 88, 92, 93)] == [
        False, True, True, False,
    ]  # fmt: skip
    assert high.is_reached(np.nan, 2) is False
    assert high.is_reached(1, None) is None


def test_a_row_is_a_flat_object_and_a_line() -> None:
    row = Row(
        set_name="skab", metric="edge-F1", value=0.812345, target=Target(gate=0.8, goal=0.9),
        baseline=0.7, baseline_name="PCA", beside=(("always on", 0.03),), note="27 of 34",
    )  # fmt: skip
    document = row.as_document()
    assert set(document) >= ROW_KEYS
    assert (document["value"], document["gate_held"], document["goal_met"]) == (0.8123, True, False)
    figures, beside = tables([row]).split("\n\n")
    assert "| 0.8123 | 0.7 (PCA) |" in figures
    assert "≥ 0.8: yes" in figures
    assert "≥ 0.9: NO" in figures
    assert "always on 0.03" in beside
    assert (
        json.loads(json.dumps(Row(set_name="a", metric="b", value=np.nan).as_document()))["value"]
        is None
    )


def test_processes_keep_the_order_and_have_one_thread() -> None:
    before = os.environ.get("OMP_NUM_THREADS")
    with processes(2) as workers:
        assert workers.each(partial(pow, 2), [3, 1, 2], silent) == [8, 2, 4]
        assert workers.each(os.getenv, ["OMP_NUM_THREADS"], silent) == ["1"]
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_the_product_learns_and_scores_as_its_commands_do() -> None:
    """A jump of one of three columns is found, and told; a short recording is refused.

    The limit is one of chance: in this recording 16 healthy rows exceed it, in most others none.
    """
    rng = np.random.default_rng(1)
    shared = rng.normal(size=(1_400, 1))
    value = shared + 0.3 * rng.normal(size=(1_400, 3))
    value[1_200:, 1] += 8
    columns = ["speed", "flow", "current"]
    healthy = recording(steady_times(800, 1.0), columns, value[:800])
    test = recording(steady_times(600, 1.0) + 800 * 10**9, columns, value[800:])
    assert healthy.time_ns[0] == BEGIN_NS
    watched = Product().watch(healthy, test)
    assert watched.score.shape == watched.alarm.shape == (600,)
    assert watched.alarm[:400].mean() < 0.05
    assert watched.alarm[500:].all()
    assert watched.shares[550][0][0] == "flow"
    assert watched.size_kb is not None
    assert watched.latency_ms is not None
    short = recording(steady_times(100, 1.0), columns, value[:100])
    refused = Product().watch(short, test)
    assert refused.refusal
    assert not refused.alarm.any()
    assert refused.ranking.tolist() == [0] * 600


def test_what_is_told_of_lives_is_read_in_the_order_of_the_table() -> None:
    """Also where a machine has no figure yet, and the lines come in another order."""
    test = Lives(
        unit=("b", "a", "a"),
        time=np.array([1.0, 1.0, 2.0]),
        columns=("s",),
        value=np.zeros((3, 1)),
    )
    lines = [
        {"unit": "a", "time": "1", "rul": "", "rul_low": "", "rul_high": "", "known": "0"},
        {"unit": "a", "time": "2.0", "rul": "7", "rul_low": "5", "rul_high": "9", "known": "1"},
        {"unit": "b", "time": "1.0", "rul": "3", "rul_low": "2", "rul_high": "4", "known": "1"},
    ]
    foreseen = bench_subject._foreseen(lines, test)
    assert foreseen.known.tolist() == [True, False, True]
    assert foreseen.rul[[0, 2]].tolist() == [3, 7]
    assert np.isnan([foreseen.rul[1], foreseen.low[1], foreseen.high[1]]).all()


def test_the_product_diagnoses_as_its_commands_do() -> None:
    """Impacts of the inner and the outer race, and noise alone, learnt and told apart."""
    rng = np.random.default_rng(2)
    time_s = np.arange(4 * 4_096) / 12_000

    def waveform(name: str, order: float | None, fault: str) -> Waveform:
        signal = 0.3 * rng.normal(size=len(time_s))
        if order is not None:
            since_impact_s = time_s % (60 / 1_797 / order)
            signal += np.exp(-since_impact_s * 800) * np.sin(2 * np.pi * 3_000 * since_impact_s)
        return Waveform(
            name=name,
            acceleration_g=signal,
            rate_hz=12_000.0,
            speed_rpm=1_797.0,
            bearing="6205",
            fault=fault,
        )

    kinds = (("inner", 5.4152), ("outer", 3.5848), ("none", None))
    known = [waveform(f"{fault} {k}", order, fault) for k in range(3) for fault, order in kinds]
    test = [waveform(fault, order, fault) for fault, order in kinds]
    windows = [window for each in test for window in cwru.windows(each)]
    diagnosed = Product().diagnose(known, windows)
    assert list(diagnosed.faults) == [window.fault for window in windows]
    assert dict(diagnosed.probabilities[0])["inner"] > 0.5
    assert diagnosed.latency_ms is not None


def test_a_diagnosis_is_its_fault_and_the_probabilities() -> None:
    text = json.dumps({"fault": "inner", "probabilities": {"inner": 0.9, "none": 0.1}})
    assert bench_subject._answer(text) == ("inner", (("inner", 0.9), ("none", 0.1)))


@pytest.mark.parametrize(("cost", "stated"), [({"row_ms_p50": 0.04}, 0.04), (None, None)])
def test_a_bundle_states_what_a_row_costs(
    tmp_path: Path, cost: dict[str, float] | None, stated: float | None
) -> None:
    path = tmp_path / "x.ewm"
    with ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", json.dumps({"cost": cost}))
    assert bench_subject._stated_cost(path) == (stated, path.stat().st_size / 1024)


@pytest.mark.slow
def test_the_command_prints_rows_and_nothing_else(tmp_path: Path) -> None:
    write_skab(tmp_path / "skab", np.random.default_rng(4))
    arguments = ["analytics", "--data", str(tmp_path), "--jobs", "1", "--json"]
    answer = CliRunner().invoke(command, [*arguments, "--set", "skab", "--set", "tep"])
    assert answer.exit_code == 0, answer.output
    rows = json.loads(answer.stdout)["rows"]
    assert {row["set"] for row in rows} == {"skab", "tep"}
    assert all(set(row) >= ROW_KEYS for row in rows)
    assert all(row["value"] is None for row in rows if row["set"] == "tep")
    assert "skab: done" in answer.stderr
    strict = CliRunner().invoke(command, [*arguments, "--set", "tep", "--strict"])
    assert strict.exit_code == 0, "what is not measured breaks no gate"
    assert CliRunner().invoke(command, ["analytics", "--data", str(tmp_path / "no")]).exit_code == 1

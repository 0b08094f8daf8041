"""The scorers give the figures that others have published, from the same predictions."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from analytics.scorers.alarms import AlarmRun, edge_score
from analytics.scorers.life import life_score
from analytics.scorers.nab import PROFILES, Corpus
from analytics.scorers.process import detection_score
from analytics.scorers.ranking import period_rows, vus_pr
from analytics.scorers.skab import change_score, row_score
from gateway.core.arrays import BoolArray, FloatArray
from gateway.proof import cmapss, nab, skab, tep
from gateway.proof.plain import fit_components
from gateway.proof.reading import arrays, numbers, table

SHARED = Path(__file__).parent.parent.parent.parent / "shared"
DATA = SHARED / "data"
SKAB_TABLE = {
    "Conv_AE": (0.78, 13.55, 28.02, 23.61),
    "MSET": (0.78, 39.73, 14.13, 13.84),
    "T2-q": (0.76, 26.62, 24.92, 25.35),
    "LSTM_AE": (0.74, 29.96, 25.92, 23.51),
    "T2": (0.66, 19.21, 42.60, 19.54),
    "Vanilla_AE": (0.39, 2.59, 75.15, 11.41),
}
"""F1, FAR %, MAR % and NAB (standard) of the leaderboard."""
SKAB_EDGES = {
    "Conv_AE": (0.77, 25, 6),
    "LSTM_AE": (0.65, 26, 20),
    "MSET": (0.52, 21, 26),
    "T2-q": (0.49, 28, 52),
    "Isolation_Forest": (0.36, 31, 108),
}
"""F1, hits and false ones of the edges of the same predictions."""

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not DATA.is_dir(), reason="the recordings are not part of the project"),
]


@pytest.fixture(scope="module")
def skab_runs() -> dict[str, tuple[BoolArray, BoolArray, FloatArray]]:
    """Labels, changes and times of the judged part of each run."""
    found = {}
    for path in skab.paths(DATA):
        _, lines = table(path, ";")
        cells = np.array([line[9:11] for line in lines[skab.HEALTHY_ROWS :]], dtype=np.float64) > 0
        stamps = [line[0] for line in lines[skab.HEALTHY_ROWS :]]
        times = np.array(stamps, dtype="datetime64[s]").astype(np.float64)
        name = f"{path.parent.name}/{path.name.removesuffix('.gz')}"
        found[name] = (cells[:, 0], cells[:, 1], times)
    return found


def predicted(
    skab_runs: dict[str, tuple[BoolArray, BoolArray, FloatArray]], method: str
) -> list[AlarmRun]:
    stored = arrays(DATA / "skab" / "published_predictions.npz")
    return [
        AlarmRun(truth=truth, alarm=stored[f"{method}|{name}"].astype(np.bool_), time_s=time_s)
        for name, (truth, _, time_s) in skab_runs.items()
    ]


@pytest.mark.parametrize("method", SKAB_TABLE)
def test_the_leaderboard_of_skab(
    skab_runs: dict[str, tuple[BoolArray, BoolArray, FloatArray]], method: str
) -> None:
    runs = predicted(skab_runs, method)
    rows = row_score(runs)
    changes = change_score(runs, [change for _, change, _ in skab_runs.values()])
    ours = (rows.f1, rows.false_percent, rows.missed_percent, changes)
    assert ours == pytest.approx(SKAB_TABLE[method], abs=0.00501)


@pytest.mark.parametrize("method", SKAB_EDGES)
def test_the_edges_of_skab_s_predictions(
    skab_runs: dict[str, tuple[BoolArray, BoolArray, FloatArray]], method: str
) -> None:
    score = edge_score(predicted(skab_runs, method))
    f1, hits, false = SKAB_EDGES[method]
    assert score.f1 == pytest.approx(f1, abs=0.00501)
    assert (score.hit_count, score.false_count) == (hits, false)


def test_the_scoreboard_of_nab() -> None:
    """Fourteen detectors under three profiles, from where they alarm, to six decimals."""
    files = nab.files(DATA)
    truths = [nab.truth_of(file) for file in files]
    sizes = [len(truth.worth) for truth in truths]
    corpus = Corpus(truths)
    board = json.loads((DATA / "nab/results/final_results.json").read_text(encoding="utf-8"))
    profiles = {profile.name: profile for profile in PROFILES}
    stored = arrays(DATA / "nab" / "published_alarms.npz")
    assert len(stored) == 14 * 3
    for key, packed in stored.items():
        detector, profile = key.split("|")
        marks = np.unpackbits(packed.astype(np.uint8), count=sum(sizes)).astype(np.bool_)
        alarms = np.split(marks, np.cumsum(sizes)[:-1])
        assert corpus.score(alarms, profiles[profile]) == pytest.approx(
            board[detector][profile], abs=1e-6
        )


def test_the_published_volumes_of_a_simple_method() -> None:
    """COPOD (Li et al. 2020), done anew on the test series as TSB-AD does, to four decimals."""
    with (DATA / "smd" / "published_vus_pr.csv").open(encoding="utf-8") as file:
        published = {line["entity"]: float(line["COPOD"]) for line in csv.DictReader(file)}
    for name, expected in published.items():
        stored = arrays(DATA / "smd" / f"{name}.npz", "test_u6", "label")
        value = stored["test_u6"].astype(np.float64) / 1e6
        spread = value.std(axis=1, ddof=1, keepdims=True)
        rows = np.nan_to_num((value - value.mean(axis=1, keepdims=True)) / spread)
        volume = vus_pr(
            stored["label"].astype(np.bool_), copod(rows), window_rows=period_rows(value[:, 0])
        )
        assert volume == pytest.approx(expected, abs=0.000051)


def copod(rows: FloatArray) -> FloatArray:
    total = np.zeros(len(rows))
    for column in rows.T:
        ordered = np.sort(column)
        left = -np.log(np.searchsorted(ordered, column, side="right") / len(column))
        right = -np.log(1 - np.searchsorted(ordered, column, side="left") / len(column))
        skew = ((column - column.mean()) ** 3).mean()
        tail = left + right if skew == 0 else left if skew < 0 else right
        total += np.maximum(tail, (left + right) / 2)
    return total


def test_the_textbook_figures_of_the_tennessee_eastman_residual() -> None:
    """SPE of nine components, its limit where 1 % of the normal test run are."""
    stored = {name: run.astype(np.float64) for name, run in arrays(DATA / "tep" / tep.FILE).items()}
    components = fit_components(stored["d00"], count=tep.COMPONENTS)
    limit = np.quantile(components.statistics(stored["d00_te"])[:, 1], 0.99)
    for fault, expected in (("d11_te", 64.4), ("d19_te", 13.2)):
        alarm = components.statistics(stored[fault])[:, 1] > limit
        found = detection_score(alarm, fault_row=tep.FAULT_ROW).detected_percent
        assert found == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize(("subset", "expected"), [("FD001", 41.5), ("FD002", 44.5)])
def test_a_constant_life(subset: str, expected: float) -> None:
    """The mean of the capped lives of the training engines, from their tenth cycle on."""
    train = numbers(DATA / "cmapss" / f"train_{subset}.txt.gz")
    actual = numbers(DATA / "cmapss" / f"RUL_{subset}.txt.gz").ravel()
    lengths = [len(engine) for engine in cmapss.engines(train)]
    mean = np.mean(np.concatenate([np.minimum(np.arange(n - 9), cmapss.CAP) for n in lengths]))
    score = life_score(np.full(len(actual), mean), actual, cap=cmapss.CAP)
    assert score.rmse == pytest.approx(expected, abs=0.06)


def test_the_other_scorers_agree_on_real_scores() -> None:
    """Where another implementation of the same definitions lies beside the recordings."""
    if not (SHARED / "scorers").is_dir():
        pytest.skip("there is no other implementation beside the recordings")
    sys.path.append(str(SHARED))
    import scorers  # type: ignore[import-not-found]  # outside of the project

    for name in ("machine-1-7", "machine-2-7"):
        stored = arrays(DATA / "smd" / f"{name}.npz", "test_u6", "label")
        value, truth = stored["test_u6"].astype(np.float64), stored["label"].astype(np.bool_)
        score = np.abs(value - value.mean(axis=0)).max(axis=1)
        window = period_rows(value[:, 0])
        assert window == scorers.autocorrelation_period(value[:, 0])
        theirs = scorers.vus_pr(truth, score, window_rows=window)
        assert vus_pr(truth, score, window_rows=window) == pytest.approx(theirs, abs=1e-12)
        alarm = score > np.quantile(score, 0.99)
        time_s = np.arange(0.0, 60.0 * len(truth), 60.0)
        edges = edge_score([AlarmRun(truth=truth, alarm=alarm, time_s=time_s, row_s=60.0)])
        other = scorers.edge_f1([truth], [alarm], row_s=60.0)
        assert edges.f1 == pytest.approx(other.f1)
        assert edges.delays_s.tolist() == other.delays_s.tolist()
        assert edges.false_per_h == pytest.approx(other.false_edges_per_h)

"""The scorers: by hand, and against their definitions read row by row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import balanced_accuracy_score, f1_score

from analytics.scorers.alarms import AlarmRun, edge_score, rising_edges, segments
from analytics.scorers.diagnosis import (
    attribution_hit,
    balanced_accuracy,
    macro_auroc,
    macro_f1,
)
from analytics.scorers.life import interval_score, life_score, onset_score, phm_score
from analytics.scorers.nab import PROFILES, Corpus, file_truth, probation_rows
from analytics.scorers.process import detection_score
from analytics.scorers.ranking import THRESHOLD_COUNT, period_rows, vus_pr
from analytics.scorers.skab import change_score, row_score
from gateway.core.arrays import BoolArray, FloatArray
from tests.naive import scores as naive

MASKS = st.integers(1, 40).flatmap(lambda n: arrays.arrays(np.bool_, (2, n)))


def bits(text: str) -> BoolArray:
    return np.array([mark == "1" for mark in text], dtype=np.bool_)


def run(truth: str, alarm: str, row_s: float = 1.0) -> AlarmRun:
    time_s = row_s * np.arange(len(truth), dtype=np.float64)
    return AlarmRun(truth=bits(truth), alarm=bits(alarm), time_s=time_s, row_s=row_s)


def test_edges_by_hand() -> None:
    """One hit after ten seconds, a second edge in it, two false ones, one missed segment."""
    score = edge_score([run("0111100011", "1101101100", row_s=10.0)])
    assert (score.hit_count, score.segment_count, score.false_count) == (1, 2, 2)
    assert score.f1 == pytest.approx(2 / 5)
    assert score.delays_s.tolist() == [20.0, 20.0]
    assert score.normal_h == pytest.approx(40 / 3600)
    assert score.false_per_h == pytest.approx(2 / (40 / 3600))


def test_an_alarm_that_is_always_on_finds_nothing() -> None:
    score = edge_score([run("00110", "11111"), run("01100", "11111")])
    assert (score.hit_count, score.false_count) == (0, 2)
    assert score.f1 == 0


def test_nothing_to_count_is_no_number() -> None:
    score = edge_score([run("00", "00")])
    assert np.isnan(score.f1)
    assert np.isnan(score.delay_s(0.5))
    assert np.isnan(edge_score([run("11", "00")]).false_per_h)


def test_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(2,\), \(3,\)"):
        AlarmRun(truth=bits("01"), alarm=bits("010"), time_s=np.zeros(2))


@given(MASKS)
def test_edges_agree_with_the_rows(masks: BoolArray) -> None:
    truth, alarm = masks
    time_s = np.arange(len(truth), dtype=np.float64)
    score = edge_score([AlarmRun(truth=truth, alarm=alarm, time_s=time_s)])
    hits, false, firsts = naive.edges(truth.tolist(), alarm.tolist())
    spans = naive.runs_of(truth.tolist())
    assert (score.hit_count, score.false_count) == (hits, false)
    assert segments(truth).tolist() == [[first, last + 1] for first, last in spans]
    delays = [
        (last - first + 1 if edge is None else edge - first)
        for edge, (first, last) in zip(firsts, spans, strict=True)
    ]
    assert score.delays_s.tolist() == delays


def test_rows_of_skab_by_hand() -> None:
    score = row_score([run("1100", "1010"), run("1000", "0001")])
    assert score.f1 == pytest.approx(2 / (2 + 2 + 2))
    assert score.false_percent == pytest.approx(100 * 2 / 5)
    assert score.missed_percent == pytest.approx(100 * 2 / 3)


def test_changes_told_at_once_are_perfect_and_silence_is_zero() -> None:
    truth = "0" * 200
    change = np.zeros(200, dtype=np.bool_)
    change[[10, 120]] = True
    at_once = np.zeros(200, dtype=np.bool_)
    at_once[10:120] = True
    runs = [AlarmRun(truth=bits(truth), alarm=at_once, time_s=np.arange(200.0))]
    assert change_score(runs, [change]) == pytest.approx(100)
    assert change_score([run(truth, truth)], [change]) == 0


def test_a_change_told_outside_costs_and_half_way_is_worth_the_middle() -> None:
    """In the middle of its window a change is worth the mean of 1 and a false one."""
    change = np.zeros(300, dtype=np.bool_)
    change[0] = True
    middle = np.zeros(300, dtype=np.bool_)
    middle[30:] = True
    late = np.zeros(300, dtype=np.bool_)
    late[200:] = True
    runs = [AlarmRun(truth=change, alarm=a, time_s=np.arange(300.0)) for a in (middle, late)]
    assert change_score(runs[:1], [change]) == pytest.approx(100 * (1 + 0.445) / 2, abs=0.1)
    assert change_score(runs[1:], [change]) == pytest.approx(-100 * 0.11 / 2)


@given(st.data())
def test_vus_agrees_with_its_definition(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 25))
    truth = data.draw(arrays.arrays(np.bool_, n).filter(lambda mask: bool(mask.any())))
    score = data.draw(arrays.arrays(np.float64, n, elements=st.integers(0, 6).map(float)))
    window = data.draw(st.integers(0, 9))
    expected = naive.vus_pr(
        truth.tolist(), score.tolist(), window_rows=window, threshold_count=THRESHOLD_COUNT
    )
    assert vus_pr(truth, score, window_rows=window) == pytest.approx(expected, abs=1e-9)


def test_a_perfect_score_has_the_whole_volume() -> None:
    truth = bits("000011100000110000")
    assert vus_pr(truth, truth.astype(np.float64), window_rows=0) == 1
    blind = vus_pr(truth, np.ones(len(truth)), window_rows=0)
    assert blind == pytest.approx(truth.mean())


@pytest.mark.parametrize("score", [[np.nan, 1.0], [1.0], [np.inf, 0.0]])
def test_scores_that_are_none_are_refused(score: list[float]) -> None:
    with pytest.raises(ValueError, match="labels"):
        vus_pr(bits("10"), np.array(score), window_rows=1)


def test_the_period_is_that_of_the_signal() -> None:
    rows = np.arange(3000.0)
    assert period_rows(np.sin(2 * np.pi * rows / 60)) == 60
    assert period_rows(1e6 + np.sin(2 * np.pi * rows / 60)) == 60


@pytest.mark.parametrize(
    "values", [np.ones(500), np.arange(2.0), np.arange(500.0), np.tile([1.0, 2, 3, 4], 100)]
)
def test_a_signal_without_a_usable_period_has_the_default(values: FloatArray) -> None:
    """Constant, short, a ramp, and one that is too fast."""
    assert period_rows(values) == 125


@given(st.data())
def test_nab_agrees_with_its_rows(data: st.DataObject) -> None:
    n = data.draw(st.integers(8, 60))
    alarm = data.draw(arrays.arrays(np.bool_, n))
    at = sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=4, max_size=4)))
    windows = [(at[0], at[1]), (at[2], at[3])]
    corpus = Corpus([file_truth(np.arange(n), windows)])
    for profile in PROFILES:
        raw = naive.nab_score(
            windows,
            alarm.tolist(),
            probation=probation_rows(n),
            false_alarm=profile.false_alarm,
            miss=profile.miss,
        )
        silence = -2 * profile.miss
        expected = 100 * (raw - silence) / (2 - silence)
        assert corpus.score([alarm], profile) == pytest.approx(expected, abs=1e-9)


@given(st.data())
def test_no_threshold_is_better_than_the_best(data: st.DataObject) -> None:
    sizes = (30, 50)
    corpus = Corpus([file_truth(np.arange(n), [(n // 3, n // 2)]) for n in sizes])
    levels = st.integers(0, 9).map(float)
    scores = [data.draw(arrays.arrays(np.float64, n, elements=levels)) for n in sizes]
    for profile in PROFILES:
        tried = [
            corpus.score([score >= limit for score in scores], profile)
            for limit in (*range(10), np.inf)
        ]
        best = corpus.best_threshold(scores, profile)
        reached = corpus.score([score >= best for score in scores], profile)
        assert reached == pytest.approx(max(tried))


def test_a_window_without_rows_does_not_count() -> None:
    truth = file_truth(np.arange(20), [(3, 5), (100, 200)])
    assert truth.window_count == 1


def test_rows_that_are_not_the_corpus_are_refused() -> None:
    corpus = Corpus([file_truth(np.arange(20), [(10, 15)])])
    with pytest.raises(ValueError, match="19"):
        corpus.score([np.zeros(19, dtype=np.bool_)], PROFILES[0])


def test_detection_by_hand() -> None:
    alarm = bits("0100" + "00110111111000")
    score = detection_score(alarm, fault_row=4)
    assert score.detected_percent == pytest.approx(100 * 8 / 14)
    assert score.false_percent == 25
    assert score.delay_rows == 5
    assert detection_score(bits("00110111110"), fault_row=2).delay_rows is None
    assert np.isnan(detection_score(bits("00"), fault_row=2).detected_percent)
    assert detection_score(bits("00"), fault_row=2).delay_rows is None


def test_lives_by_hand() -> None:
    score = life_score(np.array([100.0, 90, 130]), np.array([113.0, 80, 200]), cap=125)
    assert score.rmse == pytest.approx(np.sqrt((169 + 100 + 25) / 3))
    assert score.nasa == pytest.approx(np.e + np.e + np.exp(0.5) - 3)
    assert score.mae == pytest.approx(28 / 3)
    assert life_score(np.array([130.0]), np.array([200.0]), cap=None).rmse == 70
    with pytest.raises(ValueError, match="not finite"):
        life_score(np.array([np.nan]), np.array([1.0]), cap=None)


def test_intervals_by_hand() -> None:
    score = interval_score(np.array([0.0, 5]), np.array([2.0, 6]), np.array([2.0, 7]))
    assert (score.covered_percent, score.width) == (50, 1.5)


def test_the_challenge_halves_for_twenty_percent_early_and_five_late() -> None:
    predicted, actual = np.array([100.0, 80, 105]), np.full(3, 100.0)
    assert phm_score(predicted, actual) == pytest.approx((1 + 0.5 + 0.5) / 3)


def test_onsets_by_hand() -> None:
    share = np.linspace(0, 1, 11)
    score = onset_score(bits("01000001111"), share)
    assert score.noticed_at == pytest.approx(0.7)
    assert score.false_count == 1
    assert onset_score(bits("11111111111"), share).noticed_at is None
    assert onset_score(bits("00000000001"), share).noticed_at is None


@given(st.data())
def test_diagnoses_agree_with_another_library(data: st.DataObject) -> None:
    names = st.sampled_from(["inner", "outer", "ball"])
    n = data.draw(st.integers(3, 30))
    actual = [*data.draw(st.lists(names, min_size=n, max_size=n)), "inner", "outer", "ball"]
    told = data.draw(st.lists(names, min_size=n + 3, max_size=n + 3))
    assert balanced_accuracy(actual, told) == pytest.approx(balanced_accuracy_score(actual, told))
    assert macro_f1(actual, told) == pytest.approx(f1_score(actual, told, average="macro"))


@given(st.data())
def test_areas_agree_with_all_pairs(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 15))
    letters = st.sampled_from(["a", "b", "c"])
    actual = [*data.draw(st.lists(letters, min_size=n, max_size=n)), "a", "b", "c"]
    levels = st.integers(0, 4).map(float)
    scores = {name: data.draw(arrays.arrays(np.float64, n + 3, elements=levels)) for name in "abc"}
    expected = [
        naive.auroc([each == name for each in actual], scores[name].tolist()) for name in "abc"
    ]
    assert macro_auroc(actual, scores) == pytest.approx(np.mean(expected))


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(ValueError, match="one class"):
        macro_auroc(["a", "a"], {"a": np.zeros(2)})
    with pytest.raises(ValueError, match="0 truths"):
        balanced_accuracy([], [])
    with pytest.raises(ValueError, match="2 predictions"):
        macro_f1(["a"], ["a", "b"])


def test_a_fault_outside_of_the_classes_is_wrong_and_no_more() -> None:
    assert balanced_accuracy(["a", "b"], ["a", "none"]) == 0.5
    assert macro_f1(["a", "b"], ["a", "none"]) == 0.5


def test_attribution_looks_at_the_top_columns_with_a_share() -> None:
    shares = {"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.1, "e": 0.0}
    assert attribution_hit(shares, ["c", "x"], 3)
    assert not attribution_hit(shares, ["d"], 3)
    assert not attribution_hit(shares, ["e"], 9)
    assert not attribution_hit({}, ["a"], 3)


def test_an_alarm_on_from_the_beginning_comes_on_there() -> None:
    assert rising_edges(bits("1101")).tolist() == [True, False, False, True]
    assert rising_edges(bits("")).tolist() == []

"""The estimator against regression all at once, and its lag against small explicit steps."""

import numpy as np
import pytest

from gateway.core.arrays import BoolArray, FloatArray
from tests.naive.regression import lagged, ridge
from tests.twins.frames import SECOND_NS
from twins.estimator import CORRELATED_ROWS, Estimator, Expectation

NOISE = 0.05
PRIOR = np.array([[1.0, 0.0]])
SPREAD = np.array([[0.3, 0.2]])
TRUTH = np.array([1.12, -0.15])
YES: BoolArray = np.ones((1, 1), dtype=np.bool_)


def estimator(rows: int) -> Estimator:
    return Estimator(
        prior=PRIOR, spread=SPREAD, noise=np.full((1, 1), NOISE), rows=np.full((1, 1), rows)
    )


def data(count: int, *, seed: int = 3) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    terms = np.column_stack((rng.uniform(0.5, 1.2, count), rng.uniform(0.0, 1.0, count)))
    return terms, terms @ TRUTH + NOISE * 0.1 * rng.standard_normal(count)


def give(
    learner: Estimator,
    terms: FloatArray,
    target: float,
    *,
    second: float,
    lag_s: float = 0.0,
    healthy: BoolArray = YES,
) -> Expectation:
    return learner.update(
        terms=terms[None, None, :],
        lag_s=np.full((1, 1), lag_s),
        target=np.full((1, 1), target),
        is_healthy=healthy,
        time_ns=round(second * SECOND_NS),
    )


def test_it_equals_regression_all_at_once() -> None:
    """Without outliers the recursion is the ridge regression, but for rounding: 1e-9."""
    terms, target = data(200)
    learner = estimator(200)
    for i in range(200):
        give(learner, terms[i], target[i], second=i)
    expected = ridge(terms, target, PRIOR[0], SPREAD[0], NOISE * np.sqrt(CORRELATED_ROWS))
    np.testing.assert_allclose(learner.parameters[0, 0], expected, rtol=1e-9)


def test_it_finds_a_nameplate_that_is_15_percent_off() -> None:
    """The parameters within a tenth of what the nameplate was off."""
    terms, target = data(600)
    learner = estimator(600)
    for i in range(600):
        give(learner, terms[i], target[i], second=i)
    np.testing.assert_allclose(learner.parameters[0, 0], TRUTH, atol=0.015)


def test_it_freezes_after_its_rows_and_not_before() -> None:
    terms, target = data(30)
    learner = estimator(20)
    for i in range(19):
        give(learner, terms[i], target[i], second=i)
    assert not learner.is_commissioned.any()
    assert learner.progress[0, 0] == pytest.approx(19 / 20)
    give(learner, terms[19], target[19], second=19)
    assert learner.is_commissioned.all()
    frozen = learner.parameters.copy()
    give(learner, terms[20], 50.0, second=20)
    np.testing.assert_array_equal(frozen, learner.parameters)


def test_rows_that_are_not_healthy_teach_nothing() -> None:
    terms, target = data(10)
    learner = estimator(5)
    for i in range(10):
        give(learner, terms[i], target[i], second=i, healthy=~YES)
    np.testing.assert_array_equal(learner.parameters[0], PRIOR)
    assert learner.progress[0, 0] == 0.0


def test_no_rows_take_the_nameplate_as_it_is() -> None:
    learner = estimator(0)
    assert learner.is_commissioned.all()
    found = give(learner, np.array([2.0, 1.0]), 9.0, second=0)
    assert found.value[0, 0] == pytest.approx(2.0)
    np.testing.assert_array_equal(learner.parameters[0], PRIOR)


def test_one_outlier_in_ten_hardly_pulls() -> None:
    terms, target = data(600)
    spoilt = target.copy()
    spoilt[::10] += 40 * NOISE
    learner, naive = estimator(600), estimator(600)
    for i in range(600):
        give(learner, terms[i], spoilt[i], second=i)
        give(naive, terms[i], target[i], second=i)
    pull = np.abs(learner.parameters - naive.parameters).max()
    least_squares = ridge(terms, spoilt, PRIOR[0], SPREAD[0], NOISE * np.sqrt(CORRELATED_ROWS))
    assert pull < 0.2 * np.abs(least_squares - naive.parameters[0, 0]).max()


def test_it_finds_the_noise_of_a_machine_that_is_noisier_than_stated() -> None:
    """Ten times the floor, and one row in twenty wild: within 35 %, two of the steps' 15 %."""
    rng = np.random.default_rng(8)
    learner = estimator(1000)
    for i in range(1000):
        wild = 1e6 if i % 20 == 0 else 0.0
        target = 1.1 + 10 * NOISE * rng.standard_normal() + wild
        give(learner, np.array([1.0, 0.0]), target, second=i)
    sigma = give(learner, np.array([1.0, 0.0]), 1.0, second=1000).sigma[0, 0]
    assert sigma == pytest.approx(10 * NOISE, rel=0.35)


def test_tolerance_widens_where_nothing_was_learnt() -> None:
    learner = estimator(100)
    for i in range(100):
        give(learner, np.array([1.0, 0.5]), 1.0, second=i)
    known = give(learner, np.array([1.0, 0.5]), 1.0, second=101).sigma[0, 0]
    unknown = give(learner, np.array([1.0, -0.5]), 1.0, second=102).sigma[0, 0]
    assert unknown > 2 * known >= 2 * NOISE


def test_a_bad_input_gives_no_expectation_and_changes_nothing() -> None:
    learner = estimator(10)
    found = give(learner, np.array([np.nan, 1.0]), 1.0, second=0)
    assert not found.is_usable.any()
    assert np.isnan(found.value).all()
    np.testing.assert_array_equal(learner.parameters[0], PRIOR)
    assert learner.progress[0, 0] == 0.0


def test_the_lag_follows_like_small_steps() -> None:
    """An hour of a jumping input, against explicit Euler steps a hundred times finer: 0.2 %."""
    lag_s, step_s = 600.0, 10.0
    inputs = [20.0 + 15.0 * ((i // 90) % 2) for i in range(360)]
    expected = lagged(inputs, start=30.0, step_s=step_s, lag_s=lag_s)
    learner = estimator(0)
    give(learner, np.array([inputs[0], 0.0]), 30.0, second=0, lag_s=lag_s)
    found = [
        give(learner, np.array([value, 0.0]), 30.0, second=(i + 1) * step_s, lag_s=lag_s).value[
            0, 0
        ]
        for i, value in enumerate(inputs)
    ]
    np.testing.assert_allclose(found, expected, rtol=2e-3)


def test_a_long_gap_begins_the_lag_at_the_measured_value() -> None:
    learner = estimator(0)
    for second in range(100):
        give(learner, np.array([20.0, 0.0]), 20.0, second=second, lag_s=600.0)
    found = give(learner, np.array([20.0, 0.0]), 55.0, second=5000, lag_s=600.0)
    assert found.value[0, 0] == pytest.approx(55.0)


def test_saved_and_loaded_it_goes_on_the_same() -> None:
    terms, target = data(100)
    whole, half = estimator(80), estimator(80)
    for i in range(50):
        give(whole, terms[i], target[i], second=i, lag_s=60.0)
        give(half, terms[i], target[i], second=i, lag_s=60.0)
    other = estimator(80)
    other.load(half.save())
    for i in range(50, 100):
        one = give(whole, terms[i], target[i], second=i, lag_s=60.0)
        two = give(other, terms[i], target[i], second=i, lag_s=60.0)
        np.testing.assert_array_equal(one.value, two.value)
        np.testing.assert_array_equal(one.sigma, two.sigma)

"""Operating conditions: found where there are some, and nowhere else."""

import numpy as np
import pytest

from analytics.prognosis.conditions import STEPS_MAX, Conditions
from analytics.training.conditions import fit_conditions
from gateway.core.arrays import FloatArray
from tests.analytics.lives import life

RUNS = [life(seed).value for seed in range(10)]


def plain(value: FloatArray) -> Conditions:
    """One condition, with a centre of 0 and a spread of 1."""
    count = value.shape[1]
    return Conditions(
        selecting=np.zeros(0, dtype=np.intp),
        levels=np.zeros((1, 0)),
        tolerance=np.zeros(0),
        measured=np.arange(count),
        center=np.zeros((1, count)),
        spread=np.ones((1, count)),
    )


def test_a_setting_makes_the_conditions_and_is_no_measurement() -> None:
    conditions = fit_conditions(RUNS)
    assert len(conditions.levels) == 2
    assert conditions.selecting.tolist() == [0]
    assert conditions.measured.tolist() == [2, 3, 4]


def test_a_column_that_never_varies_is_not_measured() -> None:
    assert 1 not in fit_conditions(RUNS).measured


def test_rows_of_both_settings_are_alike_once_standardised() -> None:
    conditions = fit_conditions(RUNS)
    rows = np.concatenate([run[:30] for run in RUNS])
    steps, is_usable = conditions.standardise(rows)
    condition, _ = conditions.of(rows)
    assert is_usable.all()
    for k in range(2):
        assert np.abs(np.median(steps[condition == k], axis=0)).max() < 0.5


def test_levels_that_only_come_from_rounding_are_no_conditions() -> None:
    """A coarse instrument shows few values, but nothing follows them."""
    generator = np.random.default_rng(1)
    runs = [
        np.column_stack([generator.integers(0, 4, 100), generator.normal(size=(100, 3))])
        for _ in range(5)
    ]
    conditions = fit_conditions(runs)
    assert len(conditions.levels) == 1
    assert list(conditions.measured) == [0, 1, 2, 3]


def test_levels_that_come_with_wear_are_no_conditions() -> None:
    """Wear that others follow, too, but not at the beginning of a life."""
    ramp = np.linspace(0, 1, 200) ** 4
    generator = np.random.default_rng(1)
    runs = [
        np.column_stack(
            [np.round(4 * ramp), ramp + generator.normal(0, 0.01, 200), generator.normal(size=200)]
        )
        for _ in range(5)
    ]
    assert len(fit_conditions(runs).levels) == 1


def test_a_condition_that_was_never_seen_cannot_be_used() -> None:
    conditions = fit_conditions(RUNS)
    row = RUNS[0][:1].copy()
    row[0, conditions.selecting[0]] *= 7
    steps, is_usable = conditions.standardise(row)
    assert not is_usable[0]
    assert not steps.any()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_row_with_no_number_cannot_be_used_and_the_others_can(wrong: float) -> None:
    rows = np.zeros((3, 2))
    rows[1, 1] = wrong
    steps, is_usable = plain(rows).standardise(rows)
    assert is_usable.tolist() == [True, False, True]
    assert np.isfinite(steps).all()


def test_no_number_in_the_setting_belongs_to_no_condition() -> None:
    conditions = fit_conditions(RUNS)
    row = RUNS[0][:1].copy()
    row[0, conditions.selecting[0]] = np.nan
    assert not conditions.of(row)[1][0]


def test_a_wild_value_is_bounded_and_small_ones_stay_as_they_are() -> None:
    steps, _ = plain(np.zeros((1, 2))).standardise(np.array([[1e300, 0.01]]))
    assert steps[0, 0] == pytest.approx(np.arcsinh(STEPS_MAX))
    assert steps[0, 1] == pytest.approx(0.01, rel=1e-3)


def test_a_huge_offset_changes_nothing() -> None:
    """As far as float64 holds the digits."""
    moved = [run + 1e6 for run in RUNS]
    steps, _ = fit_conditions(RUNS).standardise(RUNS[0])
    shifted, is_usable = fit_conditions(moved).standardise(moved[0])
    assert is_usable.all()
    np.testing.assert_allclose(shifted, steps, atol=1e-4)

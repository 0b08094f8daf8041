"""A baseline that follows drift: the loop's result, bounded steps, and no fault swallowed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.anomaly.baseline import WIDENING_MAX, Baseline, followed_run
from gateway.core.arrays import BoolArray, FloatArray
from tests.naive import baseline as naive

BOTH: BoolArray = np.ones((1, 2), dtype=np.bool_)
CALM: BoolArray = np.ones(1, dtype=np.bool_)
TROUBLED: BoolArray = np.zeros(1, dtype=np.bool_)
LEVEL = np.array([100.0, -3.0])
SPREAD = np.array([2.0, 0.5])


def one(follow_rows: float = 500.0) -> Baseline:
    return Baseline(asset_count=1, level=LEVEL, spread=SPREAD, follow_rows=follow_rows)


def noise(rows: int, seed: int = 1) -> FloatArray:
    dice = np.random.default_rng(seed)
    return np.asarray(LEVEL + SPREAD * dice.normal(size=(rows, 2)))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(-1e9, 1e9) | st.sampled_from([np.nan, np.inf, -np.inf, 100.0]), st.booleans()
        ),
        max_size=60,
    )
)
def test_each_column_is_the_loop(rows: list[tuple[float, bool]]) -> None:
    values, calm = [value for value, _ in rows], [is_calm for _, is_calm in rows]
    found = followed_run(
        np.array(values).reshape(-1, 1),
        level=LEVEL[:1],
        spread=SPREAD[:1],
        is_calm=calm,
        follow_rows=20.0,
    )
    expected = naive.followed(values, level=100.0, spread=2.0, calm=calm, follow_rows=20.0)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-9)


def test_assets_do_not_touch_each_other() -> None:
    """Three assets in one call get what each gets alone, whoever is calm and whatever counts."""
    dice = np.random.default_rng(2)
    rows = 3.0 * dice.normal(size=(200, 3, 2))
    usable, calm = dice.random((200, 3, 2)) > 0.3, dice.random((200, 3)) > 0.3
    zero, unit = np.zeros(2), np.ones(2)
    together = Baseline(asset_count=3, level=zero, spread=unit)
    alone = [Baseline(asset_count=1, level=zero, spread=unit) for _ in range(3)]
    for row, counted, is_calm in zip(rows, usable, calm, strict=True):
        z = together.update(row, counted, is_calm)
        for k, each in enumerate(alone):
            expected = each.update(row[k : k + 1], counted[k : k + 1], is_calm[k : k + 1])
            np.testing.assert_array_equal(z[k : k + 1], expected)


def test_slow_drift_is_followed() -> None:
    """Half a spread in 500 rows, for eight spreads in all: z stays about 0."""
    rows = noise(8_000) + SPREAD * np.linspace(0.0, 8.0, 8_000)[:, np.newaxis]
    z = followed_run(rows, level=LEVEL, spread=SPREAD)
    assert np.abs(np.median(z[-500:], axis=0)).max() < 1.6
    still = (rows - LEVEL) / SPREAD
    assert np.median(still[-500:], axis=0).min() > 7.0


def test_a_step_is_followed_by_a_spread_in_its_rows_at_the_most() -> None:
    """However far it goes: a wrong reading moves the level no more than a slight one."""
    for size in (1.0, 1e6):
        baseline = one()
        row = (LEVEL + size * SPREAD)[np.newaxis]
        z = [baseline.update(row, BOTH, CALM) for _ in range(100)]
        assert baseline.moved.max() <= 100 * np.exp(0.2) / 500
        assert z[-1].min() > 0.6 * size


def test_a_fault_of_an_asset_that_is_not_calm_is_not_swallowed() -> None:
    baseline = one()
    row = (LEVEL + 5.0 * SPREAD)[np.newaxis]
    for _ in range(1_000):
        z = baseline.update(row, BOTH, TROUBLED)
    assert z.min() > 3.5
    swallowed = one()
    for _ in range(1_000):
        z = swallowed.update(row, BOTH, CALM)
    assert z.max() < 1.0


def test_restlessness_widens_the_spread_and_quiet_brings_it_back() -> None:
    baseline = one()
    restless = LEVEL + 4.0 * (noise(3_000) - LEVEL)
    for row in restless:
        baseline.update(row[np.newaxis], BOTH, CALM)
    assert 3.0 < baseline.widened.min() <= baseline.widened.max() < 5.0
    for row in noise(3_000, seed=3):
        baseline.update(row[np.newaxis], BOTH, CALM)
    assert baseline.widened.max() < 1.3


def test_a_constant_column_stays_at_its_trained_spread() -> None:
    baseline = one()
    for _ in range(1_000):
        z = baseline.update(LEVEL[np.newaxis], BOTH, CALM)
    np.testing.assert_array_equal(z, 0.0)
    np.testing.assert_array_equal(baseline.widened, 1.0)


def test_no_scale_grows_without_end() -> None:
    baseline = one(follow_rows=2.0)
    for sign in [-1.0, 1.0] * 100:
        baseline.update((sign * np.full(2, 1e200))[np.newaxis], BOTH, CALM)
    assert baseline.widened.max() == WIDENING_MAX
    assert np.isfinite(baseline.moved).all()


def test_a_large_offset_costs_no_digits() -> None:
    offset = 1e9
    rows = np.random.default_rng(4).normal(size=(300, 1))
    unit = np.ones(1)
    plain = followed_run(rows, level=np.zeros(1), spread=unit)
    moved = followed_run(rows + offset, level=np.full(1, offset), spread=unit)
    np.testing.assert_allclose(moved, plain, atol=1e-5)


def test_values_that_do_not_count_leave_everything_as_it_was() -> None:
    baseline = one()
    for row in noise(50):
        baseline.update(row[np.newaxis], BOTH, CALM)
    before = baseline.checkpoint()
    z = baseline.update(LEVEL[np.newaxis], ~BOTH, CALM)
    assert np.isnan(z).all()
    np.testing.assert_array_equal(baseline.checkpoint(), before)


def test_a_checkpoint_goes_on_exactly() -> None:
    rows = noise(120)
    unbroken, first, second = one(), one(), one()
    for row in rows[:60]:
        unbroken.update(row[np.newaxis], BOTH, CALM)
        first.update(row[np.newaxis], BOTH, CALM)
    second.restore(first.checkpoint())
    for row in rows[60:]:
        expected = unbroken.update(row[np.newaxis], BOTH, CALM)
        np.testing.assert_array_equal(second.update(row[np.newaxis], BOTH, CALM), expected)


def test_a_checkpoint_of_others_is_refused() -> None:
    with pytest.raises(ValueError, match="the checkpoint of the baseline has shape"):
        one().restore(np.zeros((2, 3, 2)))

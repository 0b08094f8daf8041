"""Control charts: what loops give, what they find, and what must not make them alarm."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.anomaly.charts import (
    CUSUM_SLACK,
    EWMA_ROWS,
    MAD_OF_SIGMA,
    REFERENCE_ROWS,
    SUM_SURPRISE_MAX,
    Chart,
    ChartModel,
    CusumChart,
    EwmaChart,
    PageHinkleyChart,
    RobustLimits,
)
from analytics.training.trackers import ROWS_MIN, fit_chart
from gateway.core.arrays import BoolArray, FloatArray
from tests.naive import trackers as naive

CHARTS = (EwmaChart, CusumChart, PageHinkleyChart, RobustLimits)
LIMIT = 4.0


def unit_model(columns: int = 1) -> ChartModel:
    """Level 0, spread 1: values are steps."""
    return ChartModel(
        level=np.zeros(columns), spread=np.ones(columns), limit=np.full(columns, LIMIT)
    )


def run(chart: Chart, values: FloatArray, usable: BoolArray | None = None) -> FloatArray:
    """Surprises of a recording of one asset, shape (rows, m)."""
    counts = np.ones(values.shape, dtype=np.bool_) if usable is None else usable
    rows = zip(values[:, np.newaxis], counts[:, np.newaxis], strict=True)
    return np.concatenate([chart.update(row, known) for row, known in rows])


def noise(rows: int, columns: int = 1, seed: int = 1) -> FloatArray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.floats(-40, 40), min_size=1, max_size=80))
def test_each_chart_gives_what_a_loop_gives(steps: list[float]) -> None:
    """Both compute in doubles: only the order of sums differs."""
    bound = SUM_SURPRISE_MAX * LIMIT
    expected: dict[type[Chart], list[float]] = {
        EwmaChart: naive.ewma_chart(steps, rows=EWMA_ROWS),
        CusumChart: naive.cusum(steps, slack=CUSUM_SLACK, bound=bound),
        PageHinkleyChart: naive.page_hinkley(
            steps, slack=CUSUM_SLACK, bound=bound, rows=REFERENCE_ROWS
        ),
        RobustLimits: naive.robust_limits(
            steps, rows=REFERENCE_ROWS, mad=MAD_OF_SIGMA, spread_min=0.5
        ),
    }
    for kind, statistic in expected.items():
        got = run(kind(unit_model(), asset_count=1), np.array(steps)[:, np.newaxis])[:, 0]
        np.testing.assert_allclose(got * LIMIT, statistic, rtol=1e-9, atol=1e-9)


def test_cusum_gives_the_textbook_sums() -> None:
    """By hand: steps 1, 1, -2, 1.5 with slack 0.5 sum up to 0.5, 1, 0, 1 and down to 1.5, 0."""
    steps = np.array([[1.0], [1.0], [-2.0], [1.5]])
    got = run(CusumChart(unit_model(), asset_count=1), steps)[:, 0] * LIMIT
    np.testing.assert_allclose(got, [0.5, 1.0, 1.5, 1.0])


@pytest.mark.parametrize("kind", CHARTS)
def test_each_chart_finds_a_step_and_is_quiet_before_it(kind: type[Chart]) -> None:
    """A step of three spreads, on a level and a scale of its own; robust limits want six."""
    size = 6.0 if kind is RobustLimits else 3.0
    values = noise(1_300)
    values[1_200:] += size
    values = 1e6 + 0.01 * values
    model = fit_chart(kind, values[:700], np.ones((700, 1), dtype=np.bool_))
    surprise = run(kind(model, asset_count=1), values)[:, 0]
    assert (surprise[700:1_200] > 1).mean() < 0.02
    assert (surprise[1_200:1_240] > 1).any()


@pytest.mark.parametrize("kind", [PageHinkleyChart, RobustLimits])
def test_charts_with_a_moving_reference_accept_a_level_that_lasts(kind: type[Chart]) -> None:
    values = noise(9_000)
    values[1_000:] += 4.0
    model = fit_chart(kind, values[:700], np.ones((700, 1), dtype=np.bool_))
    surprise = run(kind(model, asset_count=1), values)[:, 0]
    assert (surprise[1_000:1_300] > 1).any()
    assert (surprise[-500:] > 1).mean() < 0.02


@pytest.mark.parametrize("kind", CHARTS)
def test_one_wild_reading_is_forgotten(kind: type[Chart]) -> None:
    values = noise(1_500)
    values[1_000] = 1e300
    model = fit_chart(kind, values[:700], np.ones((700, 1), dtype=np.bool_))
    surprise = run(kind(model, asset_count=1), values)[:, 0]
    assert np.isfinite(surprise).all()
    assert (surprise[-300:] > 1).mean() < 0.02


@pytest.mark.parametrize("kind", CHARTS)
def test_a_column_that_stood_still_is_left_out(kind: type[Chart]) -> None:
    """It has no spread to measure a move in; its neighbour is judged as if alone."""
    moving = noise(600)
    values = np.hstack([moving, np.full((600, 1), 45.0)])
    usable = np.ones(values.shape, dtype=np.bool_)
    model = fit_chart(kind, values, usable)
    values[-1, 1] = 46.0
    surprise = run(kind(model, asset_count=1), values)
    assert (surprise[:, 1] == 0).all()
    alone = fit_chart(kind, moving, usable[:, :1])
    np.testing.assert_array_equal(surprise[:, 0], run(kind(alone, asset_count=1), moving)[:, 0])


@pytest.mark.parametrize("kind", CHARTS)
def test_rows_that_are_not_usable_change_nothing(kind: type[Chart]) -> None:
    """NaN and Bad values are passed over, and their surprise is NaN."""
    values = noise(200)
    usable = np.ones(values.shape, dtype=np.bool_)
    usable[50:90] = False
    spoiled = np.where(usable, values, np.nan)
    got = run(kind(unit_model(), asset_count=1), spoiled, usable)
    assert np.isnan(got[50:90]).all()
    kept = run(kind(unit_model(), asset_count=1), values[usable[:, 0]])
    np.testing.assert_array_equal(got[usable], kept[:, 0])


@pytest.mark.parametrize("kind", CHARTS)
def test_assets_do_not_touch_one_another(kind: type[Chart]) -> None:
    """Three assets of two columns in one call are three assets alone."""
    values = noise(120, 6).reshape(120, 3, 2)
    usable = np.random.default_rng(2).random(values.shape) > 0.2
    together = kind(unit_model(2), asset_count=3)
    got = np.stack([together.update(row, known) for row, known in zip(values, usable, strict=True)])
    for asset in range(3):
        alone = run(kind(unit_model(2), asset_count=1), values[:, asset], usable[:, asset])
        np.testing.assert_array_equal(got[:, asset], alone)


@pytest.mark.parametrize("kind", CHARTS)
def test_a_checkpoint_goes_on_exactly(kind: type[Chart]) -> None:
    values = noise(200)
    whole = kind(unit_model(), asset_count=1)
    run(whole, values[:120])
    resumed = kind(unit_model(), asset_count=1)
    resumed.restore(whole.checkpoint())
    np.testing.assert_array_equal(run(whole, values[120:]), run(resumed, values[120:]))
    with pytest.raises(ValueError, match="shape"):
        resumed.restore(kind(unit_model(2), asset_count=1).checkpoint())


def test_level_and_spread_are_median_and_median_deviation() -> None:
    values = np.random.default_rng(4).standard_t(2, size=(301, 1)) * 3 + 1e4
    model = fit_chart(EwmaChart, values, np.ones(values.shape, dtype=np.bool_))
    level, spread = naive.level_and_spread(values[:, 0].tolist())
    np.testing.assert_allclose([model.level[0], model.spread[0]], [level, spread], rtol=1e-9)


def test_too_few_rows_are_refused() -> None:
    values = noise(ROWS_MIN - 1)
    with pytest.raises(ValueError, match="usable rows"):
        fit_chart(EwmaChart, values, np.ones(values.shape, dtype=np.bool_))

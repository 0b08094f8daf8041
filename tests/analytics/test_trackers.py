"""The univariate detector: what a loop gives, what is an event, and what must not be one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.anomaly.memory import BANDS, FEATURES, NoveltyMemory, empty_memory
from analytics.anomaly.surprise import EventGate, RunningLimit
from analytics.anomaly.trackers import (
    TagTracker,
    Tracked,
    asset_event,
    tracker_arrays,
    tracker_of,
)
from analytics.training.trackers import POINT_COUNT, ROWS_MIN, fit_trackers
from gateway.core.arrays import BoolArray, FloatArray
from tests.naive import trackers as naive

TRAINED = 700
ROWS = 3_000
STATE_SIZE_MAX = 64_000
EVENTS_PER_ROW_MAX = 0.01


def all_known(values: FloatArray) -> BoolArray:
    return np.ones(values.shape, dtype=np.bool_)


def run(
    tracker: TagTracker, values: FloatArray, usable: BoolArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Novelty and event of a recording of one asset, each of shape (rows, m)."""
    counts = all_known(values) if usable is None else usable
    rows = zip(values[:, np.newaxis], counts[:, np.newaxis], strict=True)
    told: list[Tracked] = [tracker.update(row, known) for row, known in rows]
    return np.concatenate([t.novelty for t in told]), np.concatenate([t.event for t in told])


def trained(values: FloatArray, *, point_count: int = 64) -> TagTracker:
    begin = values[:TRAINED]
    return TagTracker(fit_trackers(begin, all_known(begin), point_count=point_count), asset_count=1)


def noise(rows: int = ROWS, columns: int = 1, seed: int = 1) -> FloatArray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


def ordinary() -> dict[str, FloatArray]:
    """Signals as plants have them, all healthy."""
    rng, time = np.random.default_rng(3), np.arange(ROWS)
    white = rng.normal(size=ROWS)
    drifting = np.zeros(ROWS)
    for k in range(1, ROWS):
        drifting[k] = 0.95 * drifting[k - 1] + white[k]
    return {
        "noise": white,
        "noise on a huge offset": 1e9 + white,
        "huge noise": 1e99 * white,
        "heavy-tailed": rng.standard_t(3, ROWS),
        "correlated": drifting,
        "random walk": white.cumsum(),
        "daily cycle": 10 * np.sin(2 * np.pi * time / 288) + white,
        "rounded": np.round(white),
        "counter that only rises": (5 + np.abs(white)).cumsum(),
        "counter that starts again": (7.0 * time) % 2_000,
        "switch": (time // 50 % 2).astype(np.float64),
        "random switch": (rng.random(ROWS) < 0.1).astype(np.float64),
        "flat": np.full(ROWS, 45.0),
        "flat, then noisy": np.where(time < 1_000, 5.0, 5.0 + 0.01 * white),
        "zero, then noisy": np.where(time < 1_000, 0.0, 0.01 * white),
    }


@settings(max_examples=25, deadline=None)
@given(
    values=st.lists(st.sampled_from([0.0, 1.0, 5.0]) | st.floats(-50, 50), min_size=2, max_size=60),
    point_count=st.sampled_from([2, 5, 40]),
)
def test_the_memory_gives_what_a_loop_gives(values: list[float], point_count: int) -> None:
    """Distances to the points, which are made and replaced as the loop does it."""
    spread = (0.5, 0.7, 2.0)
    memory = NoveltyMemory(
        empty_memory(np.array([1.5]), np.array([spread]), point_count=point_count), asset_count=1
    )
    plain = naive.Memory(level=1.5, spread=spread, point_count=point_count)
    got = [float(memory.update(np.array([value]), None)[0]) ** 0.5 for value in values]
    np.testing.assert_allclose(got, [plain.update(value) for value in values], atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(distances=st.lists(st.floats(0, 1e4), min_size=1, max_size=80), start=st.floats(-3, 3))
def test_limit_and_gate_give_what_loops_give(distances: list[float], start: float) -> None:
    limit = RunningLimit(log_limit=np.array([start]), log_limit_min=float(np.log(0.3)), rate=0.005)
    gate = EventGate(column_count=1)
    excess = [
        limit.update(np.array([0.5 * np.log(distance**2 + 1e-6)]), None) for distance in distances
    ]
    novelty = [float(np.exp(value[0])) for value in excess]
    expected = naive.novelties(distances, log_limit=start, rate=0.005)
    np.testing.assert_allclose(novelty, expected, rtol=1e-9)
    assert naive.events(novelty) == [bool(gate.update(value, None)[0]) for value in excess]


def test_the_running_limit_keeps_its_rate() -> None:
    """Begun far too low and far too high, it comes to where the stated share lies above."""
    rng = np.random.default_rng(5)
    limit = RunningLimit(log_limit=np.array([-2.0, 3.0]), log_limit_min=-9.0, rate=0.05)
    above = [limit.update(np.repeat(rng.normal(), 2), None) > 0 for _ in range(20_000)]
    np.testing.assert_allclose(np.mean(above[8_000:], axis=0), 0.05, atol=0.01)


def test_ordinary_signals_make_no_storm() -> None:
    """No healthy signal has more than one event in 100 rows, whatever its kind."""
    signals = ordinary()
    _, event = run(trained(np.stack(list(signals.values()), axis=1)), values_of(signals))
    told = dict(zip(signals, (event[TRAINED:] > 1).mean(axis=0), strict=True))
    assert {name: share for name, share in told.items() if share > EVENTS_PER_ROW_MAX} == {}


def values_of(signals: dict[str, FloatArray]) -> FloatArray:
    return np.stack(list(signals.values()), axis=1)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_a_step_is_one_event_and_soon_usual(offset: float) -> None:
    """Told in the row where it begins; 500 rows later the new level is nothing new."""
    values = offset + noise()
    values[1_500:] += 8.0
    novelty, event = run(trained(values), values)
    assert event[1_500, 0] > 1
    assert (event[1_501:1_600, 0] > 1).sum() <= 3
    assert (novelty[2_000:, 0] > 1).mean() < 0.02


def test_a_wild_reading_does_not_blind_the_tag() -> None:
    """One event; a thousand rows later a step is found as ever."""
    values = noise()
    values[1_000] = 1e300
    values[2_000:] += 8.0
    novelty, event = run(trained(values), values)
    assert np.isfinite(novelty).all()
    assert event[1_000, 0] > 1
    assert event[2_000, 0] > 1


def test_many_tags_have_the_false_alarms_of_one() -> None:
    """The largest of 20 tags of noise, over the margin, is novel about as often as one tag."""
    values = noise(ROWS, 20)
    begin = values[:TRAINED]
    model = fit_trackers(begin, all_known(begin), point_count=64)
    novelty, event = run(TagTracker(model, asset_count=1), values)
    assert (novelty[TRAINED:] > 1).any(axis=1).mean() > 0.03
    score, _ = asset_event(event[TRAINED:], margin=model.tag_margin)
    assert model.tag_margin > 1
    assert (score > 1).mean() < EVENTS_PER_ROW_MAX


def test_what_comes_again_is_not_new() -> None:
    """The same dip ten times: the first is an event, the last ones are not."""
    values = noise()
    starts = range(1_000, 3_000, 200)
    for start in starts:
        values[start : start + 20] -= 10.0
    _, event = run(trained(values, point_count=POINT_COUNT), values)
    found = [bool((event[start : start + 20, 0] > 1).any()) for start in starts]
    assert found[0]
    assert not any(found[-3:])


def test_a_familiar_value_at_the_wrong_time_is_an_event() -> None:
    """Every value of it was seen before; the way there was not."""
    time = np.arange(ROWS)
    values = 10 * np.sin(2 * np.pi * time / 100)[:, np.newaxis] + 0.1 * noise()
    values[2_025:2_035] = -10.0
    _, event = run(trained(values), values)
    assert event[2_025, 0] > 1


def test_what_creeps_is_no_event() -> None:
    """A ramp of a fiftieth of a spread a row becomes usual as it goes: the charts find it."""
    values = noise()
    values[1_000:, 0] += 0.02 * np.arange(2_000)
    _, event = run(trained(values), values)
    assert (event[1_000:, 0] > 1).mean() < EVENTS_PER_ROW_MAX


def test_the_first_move_of_a_column_that_stood_still_is_an_event() -> None:
    values = np.zeros((1_000, 1))
    values[800:] = 1.0
    _, event = run(trained(values), values)
    assert event[800, 0] > 1
    assert (event[801:, 0] > 1).sum() <= 3


def test_rows_that_are_not_usable_change_nothing_but_the_rest() -> None:
    """A gap of NaN: no novelty there, and afterwards as if the gap had not been.

    Only the rest after an event goes on through the gap; no event passes here.
    """
    values = noise(1_200)
    usable = all_known(values)
    usable[900:1_000] = False
    gap = np.where(usable, values, np.nan)
    with_gap, event = run(trained(values), gap, usable)
    assert np.isnan(with_gap[900:1_000]).all()
    assert np.isnan(event[900:1_000]).all()
    without, _ = run(trained(values), values[usable[:, 0]])
    np.testing.assert_allclose(with_gap[usable], without[:, 0])


def test_columns_and_assets_do_not_touch_one_another() -> None:
    """Two assets of two columns in one call, with gaps, are four columns alone."""
    values = noise(ROWS, 2)
    model = fit_trackers(values[:TRAINED], all_known(values[:TRAINED]), point_count=32)
    rows = noise(400, 4, seed=8).reshape(400, 2, 2)
    usable = np.random.default_rng(9).random(rows.shape) > 0.1
    together = TagTracker(model, asset_count=2)
    told = [together.update(row, known) for row, known in zip(rows, usable, strict=True)]
    novelty = np.stack([each.novelty for each in told])
    for asset in range(2):
        alone, _ = run(TagTracker(model, asset_count=1), rows[:, asset], usable[:, asset])
        np.testing.assert_allclose(novelty[:, asset], alone, rtol=1e-9)
    for column in range(2):
        single = values[:TRAINED, column : column + 1]
        tracker = TagTracker(fit_trackers(single, all_known(single), point_count=32), asset_count=1)
        one = slice(column, column + 1)
        alone, _ = run(tracker, rows[:, 0, one], usable[:, 0, one])
        np.testing.assert_allclose(novelty[:, 0, one], alone, rtol=1e-6)


def test_a_checkpoint_goes_on_exactly_and_copies() -> None:
    values = noise(1_400)
    whole, resumed = trained(values), trained(values)
    run(whole, values[:1_000])
    saved = whole.checkpoint()
    resumed.restore(saved)
    expected = run(whole, values[1_000:])
    np.testing.assert_array_equal(expected, run(resumed, values[1_000:]))
    resumed.restore(saved)
    np.testing.assert_array_equal(expected, run(resumed, values[1_000:]))


def test_a_checkpoint_of_other_columns_is_refused_and_changes_nothing() -> None:
    values = noise(1_000)
    tracker = trained(values)
    before = tracker.checkpoint()
    with pytest.raises(ValueError, match="shapes"):
        tracker.restore(trained(noise(1_000, 2)).checkpoint())
    for kept, now in zip(before, tracker.checkpoint(), strict=True):
        np.testing.assert_array_equal(kept, now)


def test_the_state_of_a_tag_is_small() -> None:
    tracker = trained(noise(1_000), point_count=POINT_COUNT)
    assert sum(array.nbytes for array in tracker.checkpoint()) <= STATE_SIZE_MAX


def test_a_model_is_not_changed_by_what_runs_on_it() -> None:
    values = noise(1_500)
    model = fit_trackers(values[:TRAINED], all_known(values[:TRAINED]))
    first = run(TagTracker(model, asset_count=1), values)
    np.testing.assert_array_equal(first, run(TagTracker(model, asset_count=1), values))
    assert not model.memory.points.flags.writeable
    assert model.memory.points.shape == (1, POINT_COUNT, FEATURES + 1)
    assert model.memory.spread.shape == (1, BANDS)


def test_a_training_with_gaps_is_a_training_without_those_rows() -> None:
    values = noise(TRAINED)
    usable = np.random.default_rng(6).random(values.shape) > 0.3
    gaps = fit_trackers(np.where(usable, values, np.nan), usable, point_count=64)
    kept = values[usable[:, 0]]
    plain = fit_trackers(kept, all_known(kept), point_count=64)
    np.testing.assert_allclose(gaps.memory.spread, plain.memory.spread)
    np.testing.assert_allclose(gaps.memory.level, plain.memory.level)


def test_a_model_is_the_same_after_a_file() -> None:
    """Through named arrays, as an `.npz` would hold them."""
    values = noise(1_200, 2)
    model = fit_trackers(values[:TRAINED], all_known(values[:TRAINED]), point_count=32)
    again = tracker_of(tracker_arrays(model))
    expected = run(TagTracker(model, asset_count=1), values)
    np.testing.assert_array_equal(expected, run(TagTracker(again, asset_count=1), values))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("level", None),
        ("spread", np.zeros((1, BANDS))),
        ("points", np.zeros((1, 3, FEATURES + 1))),
        ("log_limit", np.array([np.nan])),
        ("rate", np.array([1.5])),
        ("tag_margin", np.array([0.5])),
    ],
)
def test_arrays_that_hold_no_model_are_refused(name: str, wrong: FloatArray | None) -> None:
    values = noise(TRAINED)
    arrays = tracker_arrays(fit_trackers(values, all_known(values), point_count=8))
    if wrong is None:
        del arrays[name]
    else:
        arrays[name] = wrong
    with pytest.raises(ValueError, match="tracker"):
        tracker_of(arrays)


def test_too_few_rows_are_refused() -> None:
    values = noise(ROWS_MIN - 1)
    with pytest.raises(ValueError, match="usable rows"):
        fit_trackers(values, all_known(values))


def test_the_event_of_an_asset_is_the_largest_of_its_tags() -> None:
    event = np.array([[0.0, 3.0, np.nan], [np.nan, np.nan, np.nan]])
    score, part = asset_event(event, margin=1.5)
    np.testing.assert_allclose(score, [2.0, 0.0])
    np.testing.assert_allclose(part, [[0.0, 2.0, 0.0], [0.0, 0.0, 0.0]])

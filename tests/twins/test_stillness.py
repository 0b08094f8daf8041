"""Sensors that show one and the same number while their machine runs."""

import numpy as np

from twins.stillness import CHANGES_MIN, FROZEN_ROWS_MIN, RUNS_MAX, Stillness

NOISE = [float(i % 7) for i in range(2 * CHANGES_MIN)]


def watched(values: list[float], *, running: list[bool] | None = None) -> list[bool]:
    found = Stillness(count=1, roles=1)
    frozen = []
    for value, runs in zip(values, running or [True] * len(values), strict=True):
        found.update(np.array([[value]]), is_running=np.array([runs]))
        frozen.append(bool(found.is_frozen[0, 0]))
    return frozen


def test_a_sensor_that_repeats_itself_is_frozen() -> None:
    frozen = watched(NOISE + [3.3] * (FROZEN_ROWS_MIN + 5))
    assert not any(frozen[: len(NOISE) + FROZEN_ROWS_MIN])
    assert frozen[-1]


def test_a_coarse_sensor_is_given_the_time_it_needs() -> None:
    """It held its value for 20 rows while healthy, so 100 rows are not remarkable."""
    steps = [float(i // 21) for i in range(21 * CHANGES_MIN)]
    limit = round(RUNS_MAX * 20)
    frozen = watched(steps + [99.0] * (limit + 5))
    assert not any(frozen[: len(steps) + limit])
    assert frozen[-1]


def test_a_signal_that_hardly_ever_changed_is_not_judged() -> None:
    assert not any(watched([1.0, 2.0, 3.0] + [4.0] * 5_000))


def test_standstill_of_the_machine_is_none_of_the_sensor() -> None:
    """The rows before and after count together, those between do not."""
    half = FROZEN_ROWS_MIN // 2 + 1
    values = NOISE + [3.3] * (half + 1_000 + half)
    running = [True] * (len(NOISE) + half) + [False] * 1_000 + [True] * half
    frozen = watched(values, running=running)
    assert not any(frozen[: len(NOISE) + half + 1_000])
    assert frozen[-1]


def test_a_sensor_that_moves_again_is_well_and_given_more_time() -> None:
    """Not the time that it was frozen for: what it had when it was called so, times `RUNS_MAX`."""
    limit = round(RUNS_MAX * FROZEN_ROWS_MIN)
    frozen = watched(NOISE + [3.3] * 50_000 + NOISE + [4.4] * (limit + 5))
    assert frozen[len(NOISE) + 49_999]
    assert not any(frozen[len(NOISE) + 50_001 : 2 * len(NOISE) + 50_000 + limit])
    assert frozen[-1]


def test_bad_values_neither_count_nor_change_anything() -> None:
    values = NOISE + [3.3] * 40 + [np.nan] * 1_000 + [3.3] * 30
    frozen = watched(values)
    assert not any(frozen[: len(NOISE) + 1_040])
    assert frozen[-1]

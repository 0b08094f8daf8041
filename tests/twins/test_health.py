"""Health from residuals, and sensors that repeat themselves."""

import numpy as np
import pytest

from tests.twins.frames import SECOND_NS
from twins.health import FROZEN_ROWS_MIN, FROZEN_RUNS, Health, health_of

NO, YES = np.zeros(1, dtype=np.bool_), np.ones(1, dtype=np.bool_)


def health() -> Health:
    return Health(count=1, relations=2, roles=1, smoothing_s=np.array([30.0]))


def judged(sigmas: list[float], *, valid: bool = True) -> Health:
    found = health()
    for second, size in enumerate(sigmas):
        found.judge(np.array([[size, 0.0]]), np.full((1, 2), valid), time_ns=second * SECOND_NS)
    return found


def watched(values: list[float], *, learnt: int, every: int = 1) -> list[bool]:
    found, frozen = health(), []
    for second, value in enumerate(values):
        found.watch(
            np.array([[value]]),
            np.array([[second // every]], dtype=np.int64),
            is_running=YES,
            is_commissioned=YES if second >= learnt else NO,
        )
        frozen.append(bool(found.is_frozen[0, 0]))
    return frozen


@pytest.mark.parametrize(
    ("sigmas", "expected"), [(0.0, 1.0), (3.0, 1.0), (9.0, 0.5), (15.0, 0.2), (21.0, 0.1)]
)
def test_the_documented_points_of_the_mapping(sigmas: float, expected: float) -> None:
    assert health_of(np.array([sigmas]))[0] == pytest.approx(expected)


def test_health_is_unknown_until_something_was_judged() -> None:
    assert np.isnan(health().value[0])
    assert np.isnan(judged([5.0] * 50, valid=False).value[0])


def test_health_follows_with_its_time_constant_in_either_direction() -> None:
    """After 30 rows of 10 sigmas, a lag of 30 s stands at 6.3: 10·(1 - exp(-1)), within 5 %."""
    for sign in (-1.0, 1.0):
        found = judged([0.0] + [10.0 * sign] * 30)
        assert found.sigmas[0, 0] == pytest.approx(sign * 6.32, rel=0.05)


def test_one_wild_row_does_not_decide() -> None:
    assert judged([0.0] * 10 + [1e9]).value[0] == pytest.approx(1.0)


def test_a_sensor_that_repeats_itself_is_frozen_and_halves_health() -> None:
    noise = [float(i % 7) for i in range(50)]
    frozen = watched(noise + [3.3] * (FROZEN_ROWS_MIN + 5), learnt=50)
    assert not any(frozen[: 50 + FROZEN_ROWS_MIN])
    assert frozen[-1]


def test_a_coarse_sensor_is_given_the_time_it_needs() -> None:
    """It held its value for 20 rows while healthy, so 100 rows are not remarkable."""
    steps = [float(i // 21) for i in range(210)]
    limit = FROZEN_RUNS * 20
    frozen = watched(steps + [99.0] * (limit + 5), learnt=200)
    assert not any(frozen[: 210 + limit])
    assert frozen[-1]


def test_silence_is_no_repetition() -> None:
    assert not any(watched([1.0] * 300, learnt=1, every=300))

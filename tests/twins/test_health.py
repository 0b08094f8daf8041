"""Health from residuals."""

import numpy as np
import pytest

from tests.twins.frames import SECOND_NS
from twins.health import Health, health_of

NO, YES = np.zeros(1, dtype=np.bool_), np.ones(1, dtype=np.bool_)


def health() -> Health:
    return Health(count=1, relations=2, smoothing_s=np.array([30.0]))


def judged(sigmas: list[float], *, valid: bool = True) -> Health:
    found = health()
    for second, size in enumerate(sigmas):
        found.judge(
            np.array([[size, 0.0]]),
            np.full((1, 2), valid),
            has_frozen=NO,
            time_ns=second * SECOND_NS,
        )
    return found


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


def test_a_frozen_sensor_halves_health() -> None:
    found = health()
    for second in range(10):
        found.judge(
            np.zeros((1, 2)), np.full((1, 2), YES), has_frozen=YES, time_ns=second * SECOND_NS
        )
    assert found.value[0] == pytest.approx(0.5)

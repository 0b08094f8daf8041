import itertools

import pytest

from analytics.vibration.iso20816 import LIMITS_MM_S, Zone, low_hz, zone


@pytest.mark.parametrize(
    ("velocity", "expected"),
    [(0.0, "A"), (1.4, "A"), (1.41, "B"), (2.8, "B"), (2.81, "C"), (4.5, "C"), (4.51, "D")],
)
def test_a_value_on_a_limit_belongs_to_the_better_zone(velocity: float, expected: Zone) -> None:
    assert zone(velocity, group=2, foundation="rigid") == expected


def test_a_larger_machine_or_a_softer_foundation_may_shake_more() -> None:
    for group, foundation in itertools.product((1, 2), ("rigid", "flexible")):
        limits = LIMITS_MM_S[
            1 if group == 1 else 2, "rigid" if foundation == "rigid" else "flexible"
        ]
        assert 0 < limits.a < limits.b < limits.c
    assert LIMITS_MM_S[1, "rigid"].b > LIMITS_MM_S[2, "rigid"].b
    assert LIMITS_MM_S[2, "flexible"].b > LIMITS_MM_S[2, "rigid"].b


def test_the_band_of_slow_machines_begins_lower() -> None:
    assert (low_hz(5.0), low_hz(25.0), low_hz(None)) == (2.0, 10.0, 10.0)

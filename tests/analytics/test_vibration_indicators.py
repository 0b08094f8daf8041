import math

import numpy as np
import pytest

from analytics.vibration.bearings import bearing
from analytics.vibration.evidence import FEATURES
from analytics.vibration.indicators import NAMES, SHAFT_NAMES, Machine, indicators
from tests.analytics.rotating import bearing_waveform, noise, shaft_waveform

MACHINE = Machine(bearing=bearing("6205"))


def test_the_indicators_of_time_are_those_of_their_definition() -> None:
    signal = np.random.default_rng(1).normal(size=500) ** 3 + 2
    found = indicators(signal, 1000.0, None, Machine())
    mean = sum(signal.tolist()) / 500
    moved = [x - mean for x in signal.tolist()]
    rms = math.sqrt(sum(x**2 for x in moved) / 500)
    peak = max(abs(x) for x in moved)
    assert found.named("rms_g") == pytest.approx(rms)
    assert found.named("peak_g") == pytest.approx(peak)
    assert found.named("crest") == pytest.approx(peak / rms)
    assert found.named("kurtosis") == pytest.approx(sum(x**4 for x in moved) / 500 / rms**4)
    assert found.named("skewness") == pytest.approx(sum(x**3 for x in moved) / 500 / rms**3)


def test_noise_has_a_kurtosis_of_three() -> None:
    found = indicators(noise(100_000, seed=2), 12_000.0, None, Machine())
    assert found.named("kurtosis") == pytest.approx(3, abs=0.1)


def test_the_orders_of_the_shaft_have_their_velocities() -> None:
    given = {0.5: 0.7, 1.0: 5.0, 2.0: 2.0, 3.0: 1.0, 5.0: 0.6, 7.0: 0.8}
    signal = shaft_waveform(given, rate_hz=5000.0, speed_hz=25.0, turns=20, seed=3)
    found = indicators(signal, 5000.0, 25.0, MACHINE)
    expected = (0.7, 5.0, 2.0, 1.0, 1.0)  # the last two together: sqrt(0.36 + 0.64)
    for name, rms in zip(SHAFT_NAMES[:-1], expected, strict=True):
        assert found.named(name) == pytest.approx(rms, rel=0.1)  # noise is in the line
    assert found.named("shaft_harmonics") == 5
    total = math.sqrt(sum(rms**2 for rms in given.values()))
    assert found.named("velocity_rms_mm_s") == pytest.approx(total, rel=0.03)


def test_without_a_speed_only_what_needs_none_is_known() -> None:
    found = indicators(noise(4096, seed=4), 12_000.0, None, MACHINE)
    unknown = {name for name in NAMES if math.isnan(found.named(name))}
    assert unknown == {*SHAFT_NAMES, *(f"{name}_db" for name in FEATURES)}
    assert found.lines is None


@pytest.mark.parametrize("speed_hz", [0.0, -29.0, math.nan])
def test_a_speed_that_is_none_is_unknown(speed_hz: float) -> None:
    found = indicators(noise(4096, seed=5), 12_000.0, speed_hz, MACHINE)
    assert found.lines is None
    assert math.isnan(found.named("shaft_1x_mm_s"))


def test_a_constant_waveform_has_no_amplitudes_and_no_shape() -> None:
    found = indicators(np.full(4096, 9.81), 12_000.0, 29.0, MACHINE)
    for name in NAMES:
        value = found.named(name)
        if name in {"crest", "kurtosis", "skewness", "impact_ratio_db"}:
            assert math.isnan(value)
        else:
            assert value == 0, name


def test_an_offset_changes_nothing() -> None:
    signal = bearing_waveform(
        "inner", bearing("6205"), rate_hz=12_000.0, speed_hz=29.0, turns=10, seed=6
    )
    plain = indicators(signal, 12_000.0, 29.0, MACHINE).value
    offset = indicators(signal + 1000, 12_000.0, 29.0, MACHINE).value
    assert offset == pytest.approx(plain, rel=1e-6, abs=1e-6)


def test_blows_ring_where_the_shaft_does_not_turn() -> None:
    healthy = indicators(noise(4096, seed=7), 12_000.0, 29.0, MACHINE)
    struck = indicators(
        bearing_waveform(
            "outer", bearing("6205"), rate_hz=12_000.0, speed_hz=29.0, turns=10, seed=7
        ),
        12_000.0,
        29.0,
        MACHINE,
    )
    assert struck.named("impact_ratio_db") > healthy.named("impact_ratio_db") + 3
    assert struck.named("kurtosis") > healthy.named("kurtosis") + 1


def test_a_value_that_is_no_number_is_named() -> None:
    signal = np.zeros(64)
    signal[3] = np.nan
    with pytest.raises(ValueError, match="sample 3 "):
        indicators(signal, 100.0, None, Machine())


def test_the_shortest_waveform_has_indicators() -> None:
    found = indicators(np.arange(16.0), 100.0, 5.0, MACHINE)
    assert found.named("rms_g") > 0
    assert found.lines is None

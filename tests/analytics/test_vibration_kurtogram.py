import numpy as np
import pytest

from analytics.vibration.kurtogram import best_band, divisions, kurtogram
from tests.naive import vibration as naive


@pytest.mark.parametrize("division", [1, 2, 3])
def test_each_level_is_that_of_the_definition(division: int) -> None:
    signal = np.random.default_rng(division).normal(size=480)
    signal[::60] += 6
    width_hz = 480 // 2 // division / 480
    bands = [
        each
        for each in kurtogram(signal, rate_hz=1.0)
        if each.high_hz - each.low_hz == pytest.approx(width_hz)
    ]
    assert len(bands) == division
    for k, each in enumerate(bands):
        assert each.kurtosis == pytest.approx(naive.band_kurtosis(signal, division, k))


def test_levels_are_halved_and_cut_in_three_by_turns() -> None:
    assert divisions() == (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)


def test_the_band_where_blows_ring_is_found() -> None:
    """Blows that ring at 3 kHz over a whole spectrum of noise, 10 of them in 16,384 samples."""
    rng = np.random.default_rng(1)
    count, rate_hz = 16_384, 12_000.0
    blows = np.zeros(count)
    blows[::1200] = 3
    ring = np.exp(-np.arange(200) / 40) * np.sin(2 * np.pi * 3000 / rate_hz * np.arange(200))
    signal = np.convolve(blows, ring)[:count] + rng.normal(size=count) * 0.3
    band = best_band(signal, rate_hz=rate_hz, width_hz_min=100)
    assert band.low_hz <= 3000 <= band.high_hz
    assert band.high_hz - band.low_hz <= 2001
    assert band.kurtosis > 1


def test_noise_has_no_band_of_its_own() -> None:
    signal = np.random.default_rng(2).normal(size=16_384)
    assert all(abs(each.kurtosis) < 0.6 for each in kurtogram(signal, rate_hz=1.0))


def test_narrower_bands_than_asked_for_are_left_out() -> None:
    signal = np.random.default_rng(3).normal(size=4096)
    widths = [
        each.high_hz - each.low_hz for each in kurtogram(signal, rate_hz=12_000.0, width_hz_min=700)
    ]
    assert min(widths) >= 700


def test_a_constant_has_no_impulses() -> None:
    assert {each.kurtosis for each in kurtogram(np.ones(512), rate_hz=1.0)} == {0.0}


def test_too_short_a_signal_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 128"):
        kurtogram(np.zeros(127), rate_hz=1.0)

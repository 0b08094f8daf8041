import numpy as np
import pytest

from analytics.vibration.spectrum import (
    G_M_S2,
    acceleration_of,
    amplitude_spectrum,
    band_rms,
    checked,
    row_medians,
    velocity_spectrum,
    welch_density,
)
from tests.naive import vibration as naive


@pytest.mark.parametrize("count", [16, 17, 48, 75])
def test_the_amplitudes_are_those_of_the_definition(count: int) -> None:
    signal = np.random.default_rng(count).normal(size=count) + 5
    assert amplitude_spectrum(signal) == pytest.approx(naive.amplitude_spectrum(signal), abs=1e-12)


def test_a_sine_has_its_amplitude_on_its_bin() -> None:
    time_s = np.arange(1000) / 1000
    amplitude = amplitude_spectrum(2.5 * np.sin(2 * np.pi * 50 * time_s))
    assert amplitude[50] == pytest.approx(2.5)
    assert amplitude[60:].max() < 1e-9


def test_an_offset_changes_nothing_however_large() -> None:
    """To the precision that is left beside it: a million times the signal leaves ten digits."""
    signal = np.random.default_rng(1).normal(size=256)
    assert amplitude_spectrum(signal + 1e6) == pytest.approx(amplitude_spectrum(signal), abs=1e-8)


def test_the_rms_of_a_band_is_that_of_the_sines_in_it() -> None:
    time_s = np.arange(4000) / 4000
    signal = 3 * np.sin(2 * np.pi * 100 * time_s) + 4 * np.sin(2 * np.pi * 300 * time_s)
    amplitude = amplitude_spectrum(signal)
    both = band_rms(amplitude, bin_hz=1.0, low_hz=50, high_hz=400)
    assert both == pytest.approx(5 / np.sqrt(2))
    assert band_rms(amplitude, bin_hz=1.0, low_hz=50, high_hz=200) == pytest.approx(3 / np.sqrt(2))
    assert band_rms(amplitude, bin_hz=1.0, low_hz=9000, high_hz=9999) == 0


def test_the_rms_of_noise_is_that_of_its_samples() -> None:
    """Within 2 %: a Hann window gives the middle of the record more weight than its ends."""
    signal = np.random.default_rng(2).normal(size=100_000)
    amplitude = amplitude_spectrum(signal)
    rms = band_rms(amplitude, bin_hz=1.0, low_hz=0, high_hz=1e9)
    assert rms == pytest.approx(signal.std(), rel=0.02)


def test_the_density_of_white_noise_is_flat_and_sums_to_its_power() -> None:
    rate_hz = 2000.0
    signal = np.random.default_rng(3).normal(size=200_000)
    density = welch_density(signal, rate_hz=rate_hz, segment=256)
    assert density.sum() * rate_hz / 256 == pytest.approx(1.0, rel=0.02)
    assert density[5:-5] == pytest.approx(2 / rate_hz, rel=0.2)


def test_an_acceleration_of_one_g_at_159_hz_moves_at_9_8_mm_s() -> None:
    """The velocity is a / (2 pi f), and 2 pi times 159.155 is 1000."""
    time_s = np.arange(20_000) / 20_000
    signal = G_M_S2 * np.sin(2 * np.pi * 159 * time_s)
    velocity = velocity_spectrum(signal, rate_hz=20_000, low_hz=10)
    assert velocity[159] == pytest.approx(G_M_S2 * 1000 / (2 * np.pi * 159))
    assert not velocity[:10].any()


def test_the_acceleration_of_a_velocity_integrates_back_to_it() -> None:
    """One sine at a hundredth of the rate: central differences lose 0.07 % there."""
    rate_hz = 10_000.0
    time_s = np.arange(10_000) / rate_hz
    velocity = 4 * np.sin(2 * np.pi * 100 * time_s)
    acceleration = acceleration_of(velocity, rate_hz=rate_hz)
    back = velocity_spectrum(acceleration * G_M_S2, rate_hz=rate_hz, low_hz=10)
    assert back[100] == pytest.approx(4, rel=0.002)


def test_a_constant_has_no_spectrum() -> None:
    assert not amplitude_spectrum(np.full(64, 7.0)).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_is_named(bad: float) -> None:
    signal = np.zeros(64)
    signal[17] = bad
    with pytest.raises(ValueError, match="sample 17 "):
        checked(signal)


@pytest.mark.parametrize("signal", [np.zeros(15), np.zeros((4, 16))])
def test_what_is_no_waveform_is_refused(
    signal: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> None:
    with pytest.raises(ValueError, match="at least 16"):
        amplitude_spectrum(signal)


def test_segments_and_limits_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="segments of 8"):
        welch_density(np.zeros(64), rate_hz=1.0, segment=8)
    with pytest.raises(ValueError, match="above 0"):
        velocity_spectrum(np.zeros(64), rate_hz=1.0, low_hz=0.0)


def test_medians_leave_out_what_is_no_number() -> None:
    rows = np.array([[3.0, 1.0, 2.0], [np.nan, 5.0, np.nan], [np.nan] * 3])
    assert row_medians(rows).tolist() == [2.0, 5.0, 0.0]

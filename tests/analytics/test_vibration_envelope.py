import numpy as np
import pytest

from analytics.vibration.envelope import (
    FRAME_MAX,
    FRAME_MIN,
    band_envelope_spectrum,
    envelope,
    frame_length,
    log_envelope_spectrum,
)
from tests.naive import vibration as naive


@pytest.mark.parametrize("count", [16, 33, 64])
def test_the_envelope_is_that_of_the_definition(count: int) -> None:
    signal = np.random.default_rng(count).normal(size=count)
    assert envelope(signal) == pytest.approx(naive.envelope(signal), abs=1e-12)


def test_the_envelope_of_a_swelling_tone_is_its_swell() -> None:
    time_s = np.arange(2000) / 2000
    swell = 1 + 0.5 * np.cos(2 * np.pi * 5 * time_s)
    assert envelope(swell * np.sin(2 * np.pi * 300 * time_s)) == pytest.approx(swell, abs=1e-9)


def test_the_envelope_of_a_band_shows_the_modulation_with_its_amplitude() -> None:
    time_s = np.arange(8000) / 8000
    swell = 2 + 0.6 * np.cos(2 * np.pi * 40 * time_s)
    signal = swell * np.sin(2 * np.pi * 2000 * time_s) + 5 * np.sin(2 * np.pi * 100 * time_s)
    spectrum = band_envelope_spectrum(signal, rate_hz=8000, low_hz=1500, high_hz=2500)
    assert spectrum.bin_hz == 1.0
    assert spectrum.amplitude[40] == pytest.approx(0.6, rel=1e-3)
    assert spectrum.amplitude[45:].max() < 1e-3


def test_a_band_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no band between 5000 and 6000 Hz"):
        band_envelope_spectrum(np.ones(4096), rate_hz=8000, low_hz=5000, high_hz=6000)


def test_the_log_envelope_is_that_of_the_definition() -> None:
    signal = np.random.default_rng(5).normal(size=160)
    signal[::20] += 5
    found = log_envelope_spectrum(signal, rate_hz=1000.0, frame=16)
    assert found.amplitude == pytest.approx(naive.log_envelope_spectrum(signal, 16, 7), abs=1e-10)
    assert found.bin_hz == pytest.approx(1000 / 2 / 160)


def test_bands_that_no_accelerometer_follows_are_left_out() -> None:
    """At 64 kHz and frames of 16 samples a band is 4 kHz wide: three of seven are used."""
    signal = np.random.default_rng(6).normal(size=256)
    found = log_envelope_spectrum(signal, rate_hz=64_000.0, frame=16)
    assert found.amplitude == pytest.approx(naive.log_envelope_spectrum(signal, 16, 3), abs=1e-10)


def test_the_log_envelope_does_not_care_how_loud_the_signal_is() -> None:
    signal = np.random.default_rng(7).normal(size=2048)
    quiet = log_envelope_spectrum(signal, rate_hz=1000.0, frame=32).amplitude
    loud = log_envelope_spectrum(1e6 * signal + 1e6, rate_hz=1000.0, frame=32).amplitude
    assert loud == pytest.approx(quiet, abs=1e-7)


def test_a_band_without_content_is_not_taken_for_noise() -> None:
    """A signal without its upper half, as one that was resampled, has the lines of the lower."""
    rng = np.random.default_rng(8)
    spectrum = np.fft.rfft(rng.normal(size=4096))
    spectrum[1024:] = 0
    signal = np.fft.irfft(spectrum) * (1 + 0.8 * np.cos(2 * np.pi * 32 / 4096 * np.arange(4096)))
    found = log_envelope_spectrum(signal, rate_hz=4096.0, frame=32)
    assert found.amplitude[1:].argmax() + 1 == 64  # 32 Hz at half a hertz a bin
    assert found.amplitude[64] > 5 * np.median(found.amplitude)


def test_a_constant_has_no_log_envelope() -> None:
    found = log_envelope_spectrum(np.full(512, 3.0), rate_hz=100.0, frame=16)
    assert not found.amplitude.any()


def test_too_short_a_signal_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 64"):
        log_envelope_spectrum(np.zeros(63), rate_hz=100.0, frame=16)


@pytest.mark.parametrize(
    ("rate_hz", "fastest_hz", "expected"),
    [(12_000, 162, 64), (48_000, 162, 256), (1000, 900, FRAME_MIN), (1e6, 1, FRAME_MAX)],
)
def test_a_frame_fits_between_the_blows(rate_hz: float, fastest_hz: float, expected: int) -> None:
    assert frame_length(rate_hz, fastest_hz) == expected

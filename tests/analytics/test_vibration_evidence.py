import numpy as np
import pytest

from analytics.vibration.bearings import bearing
from analytics.vibration.envelope import ModulationSpectrum
from analytics.vibration.evidence import (
    EVIDENCE_DB_MAX,
    FEATURES,
    LINES,
    MIXING,
    WINDOWS_MAX,
    bearing_evidence,
    is_measurable,
    line_evidence,
    line_orders,
    window_length,
    windows,
)
from tests.analytics.rotating import bearing_waveform, noise

B6205 = bearing("6205")


def test_a_line_is_as_high_as_it_stands_over_its_background() -> None:
    """20 dB over a flat background; what noise alone would show is a few dB and is taken off."""
    amplitude = np.ones(2000)
    at = round(B6205.bpfo * 30 / 0.5)
    amplitude[at] = 10
    spectrum = ModulationSpectrum(amplitude=amplitude, bin_hz=0.5)
    found = line_evidence(spectrum, bearing=B6205, speed_hz=30.0)
    outer = LINES.index("BPFO")
    assert found.frequency_hz[outer] == at * 0.5
    assert found.ratio[outer] == 10
    assert 14 < found.evidence_db[outer] < 18
    others = np.delete(found.evidence_db, outer)
    assert not others.any()


def test_a_line_beyond_the_spectrum_is_not_known() -> None:
    spectrum = ModulationSpectrum(amplitude=np.ones(300), bin_hz=0.5)
    found = line_evidence(spectrum, bearing=B6205, speed_hz=30.0)
    beyond = line_orders(B6205) * 30 > 150
    assert np.isnan(found.ratio[beyond]).all()
    assert not found.evidence_db[beyond].any()
    assert np.isfinite(found.ratio[~beyond]).all()


def test_a_silent_envelope_shows_nothing() -> None:
    spectrum = ModulationSpectrum(amplitude=np.zeros(2000), bin_hz=0.5)
    found = line_evidence(spectrum, bearing=B6205, speed_hz=30.0)
    assert not found.evidence_db.any()
    assert np.isnan(found.ratio).all()


def test_noise_shows_next_to_nothing() -> None:
    """Over 200 windows no feature is above 2 dB on average, and 1 % of them above 7."""
    found = np.array(
        [
            bearing_evidence(
                noise(4096, seed=seed), rate_hz=12_000.0, speed_hz=29.0, bearing=B6205
            ).features
            for seed in range(200)
        ]
    )
    assert found.shape == (200, len(FEATURES))
    assert found.mean(axis=0).max() < 2.0
    assert (found > 7).mean() < 0.01


@pytest.mark.parametrize("fault", ["inner", "outer", "ball"])
def test_a_defect_lifts_its_own_line_above_the_others(fault: str) -> None:
    signal = bearing_waveform(
        "inner" if fault == "inner" else "outer" if fault == "outer" else "ball",
        B6205,
        rate_hz=12_000.0,
        speed_hz=29.0,
        turns=10,
        seed=3,
    )
    found = bearing_evidence(signal, rate_hz=12_000.0, speed_hz=29.0, bearing=B6205).features
    first = {name: found[FEATURES.index(name)] for name in ("inner", "outer", "ball")}
    assert max(first, key=lambda name: first[name]) == fault
    assert first[fault] > 8


def test_twice_the_rate_at_twice_the_speed_is_the_same_machine() -> None:
    """No hertz is seen: the same samples, read twice as fast, give the same evidence."""
    signal = bearing_waveform("inner", B6205, rate_hz=10_000.0, speed_hz=25.0, turns=12, seed=4)
    slow = bearing_evidence(signal, rate_hz=10_000.0, speed_hz=25.0, bearing=B6205)
    # Below the limit of accelerometers both use the same bands.
    fast = bearing_evidence(signal, rate_hz=20_000.0, speed_hz=50.0, bearing=B6205)
    assert fast.features == pytest.approx(slow.features, abs=1e-9)


def test_how_loud_and_how_offset_it_is_changes_nothing() -> None:
    signal = bearing_waveform("outer", B6205, rate_hz=12_000.0, speed_hz=29.0, turns=10, seed=5)
    quiet = bearing_evidence(signal, rate_hz=12_000.0, speed_hz=29.0, bearing=B6205).features
    loud = bearing_evidence(
        1000 * signal + 5000, rate_hz=12_000.0, speed_hz=29.0, bearing=B6205
    ).features
    assert loud == pytest.approx(quiet, abs=1e-5)


def test_evidence_stays_between_nothing_and_certain() -> None:
    signal = bearing_waveform(
        "outer", B6205, rate_hz=12_000.0, speed_hz=29.0, turns=40, seed=6, blow_g=100
    )
    found = bearing_evidence(signal, rate_hz=12_000.0, speed_hz=29.0, bearing=B6205)
    assert found.evidence_db.min() >= 0
    assert found.evidence_db.max() == EVIDENCE_DB_MAX


def test_each_feature_is_a_mean_of_lines() -> None:
    assert MIXING.shape == (len(FEATURES), len(LINES))
    assert MIXING.sum(axis=1) == pytest.approx(1)


def test_a_window_has_about_ten_turns_and_a_short_signal_is_one() -> None:
    assert window_length(12_000.0, 29.95) == 4096
    assert window_length(12_000.0, 28.83) == 4096
    assert [len(each) for each in windows(np.zeros(3000), rate_hz=12_000.0, speed_hz=29.0)] == [
        3000
    ]
    assert [len(each) for each in windows(np.zeros(9000), rate_hz=12_000.0, speed_hz=29.0)] == [
        4096,
        4096,
    ]


def test_a_long_recording_is_looked_at_in_places() -> None:
    pieces = windows(np.arange(4096.0 * 1000), rate_hz=12_000.0, speed_hz=29.0)
    assert len(pieces) == WINDOWS_MAX
    assert (pieces[0][0], pieces[-1][-1]) == (0.0, 4096.0 * 1000 - 1)


def test_too_short_or_too_slow_a_record_cannot_be_measured() -> None:
    assert is_measurable(4096, 12_000.0, 29.0, B6205)
    assert not is_measurable(512, 12_000.0, 29.0, B6205)
    assert not is_measurable(4096, 1_000.0, 29.0, B6205)

import numpy as np
import pytest

from analytics.vibration.orders import at_constant_speed, by_angle, order_spectrum


def test_a_machine_that_runs_up_has_sharp_orders() -> None:
    """From 20 to 40 turns a second in 4 s: 2x stays on its order, whatever its hertz are."""
    rate_hz = 8000.0
    time_s = np.arange(32_000) / rate_hz
    speed_hz = 20 + 5 * time_s
    angle = 2 * np.pi * (20 * time_s + 2.5 * time_s**2)
    signal = 3 * np.sin(2 * angle) + 1.0 * np.sin(7 * angle)
    amplitude, step = order_spectrum(signal, rate_hz=rate_hz, speed_hz=speed_hz, order_max=20)
    assert amplitude[round(2 / step)] == pytest.approx(3, rel=0.01)
    assert amplitude[round(7 / step)] == pytest.approx(1, rel=0.03)
    away = amplitude[round(9 / step) : round(18 / step)]
    assert away.max() < 0.02


def test_at_constant_speed_the_orders_are_the_spectrum() -> None:
    rate_hz = 4096.0
    time_s = np.arange(8192) / rate_hz
    signal = np.sin(2 * np.pi * 64 * time_s)
    amplitude, step = order_spectrum(
        signal, rate_hz=rate_hz, speed_hz=np.full(8192, 32.0), order_max=10
    )
    assert amplitude.argmax() * step == pytest.approx(2.0, abs=step / 2)
    assert amplitude.max() == pytest.approx(1, rel=0.01)


def test_what_is_too_fast_for_the_new_sampling_is_taken_out_before() -> None:
    """40x would come back as 8x when a turn has 32 samples."""
    rate_hz = 16_384.0
    time_s = np.arange(16_384) / rate_hz
    turned = by_angle(
        np.sin(2 * np.pi * 40 * 16 * time_s),
        rate_hz=rate_hz,
        speed_hz=np.full(16_384, 16.0),
        samples_a_turn=32,
    )
    assert np.abs(turned).max() < 1e-6


def test_only_whole_turns_are_kept() -> None:
    turned = by_angle(
        np.random.default_rng(1).normal(size=1000),
        rate_hz=1000.0,
        speed_hz=np.full(1000, 5.5),
        samples_a_turn=64,
    )
    assert len(turned) == 5 * 64


@pytest.mark.parametrize(
    ("speed", "samples", "reason"),
    [(0.0, 64, "above 0"), (np.nan, 64, "above 0"), (1.0, 64, "at least 2"), (5.0, 1, "from 2")],
)
def test_what_has_no_angle_is_refused(speed: float, samples: int, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        by_angle(
            np.zeros(1000), rate_hz=1000.0, speed_hz=np.full(1000, speed), samples_a_turn=samples
        )


def test_a_signal_at_constant_speed_stays_as_it_is() -> None:
    """But for its offset, and what a turn begun at the end holds."""
    rate_hz = 4000.0
    signal = np.sin(2 * np.pi * 50 * np.arange(4000) / rate_hz)
    turned, rate, speed = at_constant_speed(signal, rate_hz=rate_hz, speed_hz=np.full(4000, 25.0))
    assert (rate, speed) == (rate_hz, 25.0)
    assert turned == pytest.approx(signal[: len(turned)], abs=1e-3)
    with pytest.raises(ValueError, match="above 0"):
        at_constant_speed(signal, rate_hz=rate_hz, speed_hz=np.zeros(4000))

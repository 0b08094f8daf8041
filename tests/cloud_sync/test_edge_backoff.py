from statistics import mean

from gateway.wire.backoff import Backoff

S = 1_000_000_000


def waits(backoff: Backoff, *, count: int) -> list[float]:
    return [backoff.failed(now_ns=0) for _ in range(count)]


def test_waits_stay_below_a_ceiling_that_doubles_to_the_cap() -> None:
    """Full jitter: every wait lies anywhere between nothing and the ceiling of its attempt."""
    seen = [waits(Backoff(first_s=0.5, cap_s=8.0, healthy_s=10.0), count=8) for _ in range(400)]
    ceilings = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0)
    for attempt, ceiling in enumerate(ceilings):
        tries = [row[attempt] for row in seen]
        assert 0 <= min(tries) < 0.1 * ceiling
        assert 0.9 * ceiling < max(tries) <= ceiling
        # The mean of 400 uniform values lies within 5 standard errors (0.0144 of the width each).
        assert abs(mean(tries) - ceiling / 2) < 5 * 0.0145 * ceiling


def test_sustained_health_starts_it_anew() -> None:
    backoff = Backoff(first_s=0.5, cap_s=3600.0, healthy_s=10.0)
    waits(backoff, count=12)
    backoff.succeeded(now_ns=5 * S)
    backoff.succeeded(now_ns=14 * S)
    assert backoff.failed(now_ns=15 * S) <= 0.5


def test_a_short_recovery_does_not() -> None:
    """A link that comes and goes is tried ever more seldom."""
    for _ in range(100):
        backoff = Backoff(first_s=0.5, cap_s=3600.0, healthy_s=10.0)
        waits(backoff, count=12)
        backoff.succeeded(now_ns=5 * S)
        if backoff.failed(now_ns=14 * S) > 0.5:
            return
    raise AssertionError("100 waits of up to 3600 s were all below 0.5 s")


def test_a_thousand_failures_do_not_overflow() -> None:
    assert max(waits(Backoff(first_s=0.5, cap_s=60.0, healthy_s=10.0), count=2000)) <= 60.0

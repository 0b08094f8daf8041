"""Slots of a fixed rate: nothing queued, nothing lost without a word."""

from hypothesis import given
from hypothesis import strategies as st

from connectors.scan_clock import ScanClock, ScanSchedule
from gateway.wire.clock import SystemClock

PERIOD_NS = 1000


def test_on_time_every_slot_is_used() -> None:
    schedule = ScanSchedule(start_ns=500, period_ns=PERIOD_NS)
    slots = [schedule.take(500 + number * PERIOD_NS) for number in range(3)]
    assert [(slot.number, slot.begin_ns, slot.skipped_count) for slot in slots] == [
        (0, 500, 0),
        (1, 1500, 0),
        (2, 2500, 0),
    ]


def test_a_short_scan_waits_for_the_next_slot() -> None:
    schedule = ScanSchedule(start_ns=0, period_ns=PERIOD_NS)
    schedule.take(0)
    slot = schedule.take(10)
    assert (slot.begin_ns, slot.skipped_count) == (1000, 0)


def test_a_long_scan_takes_the_running_slot_and_tells_the_skipped() -> None:
    schedule = ScanSchedule(start_ns=0, period_ns=PERIOD_NS)
    schedule.take(0)
    slot = schedule.take(3400)
    assert (slot.number, slot.begin_ns, slot.skipped_count) == (3, 3000, 2)


@given(st.lists(st.integers(0, 5 * PERIOD_NS), min_size=1, max_size=50))
def test_every_slot_is_used_once_or_skipped(durations: list[int]) -> None:
    """Whatever the scans take: used + skipped = slots gone by, in order, without drift."""
    schedule = ScanSchedule(start_ns=0, period_ns=PERIOD_NS)
    now_ns = skipped = 0
    for used, duration in enumerate(durations):
        slot = schedule.take(now_ns)
        skipped += slot.skipped_count
        assert slot.number == used + skipped
        assert slot.begin_ns == slot.number * PERIOD_NS
        assert slot.begin_ns + PERIOD_NS > now_ns
        now_ns = max(now_ns, slot.begin_ns) + duration


async def test_the_clock_waits_for_its_slots() -> None:
    clock = SystemClock()
    scans = ScanClock(period_ns=20_000_000, clock=clock)
    slots = [await scans.next_slot() for _ in range(4)]
    assert clock.monotonic_ns() >= slots[-1].begin_ns - 2_000_000
    assert [slot.begin_ns - slots[0].begin_ns for slot in slots[:1]] == [0]

"""A machine's clock is told to be off when it is, once; an old value is no clock that is off."""

import numpy as np
import pytest

from gateway.core.arrays import float_column, index_column, status_column, time_column
from gateway.core.events import Event, Transition
from gateway.core.frame import ClockSource, Frame, Origin
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable
from gateway.pipeline.machine_clocks import MachineClocks

S = 1_000_000_000
NOW_NS = 1_790_000_000 * S
TABLE = TagTable.build(
    [Tag(id=TagId("press.pressure")), Tag(id=TagId("press.speed")), Tag(id=TagId("oven.heat"))],
    epoch=ConfigEpoch(1),
)


def frame_at(
    second: int,
    times_ns: list[int],
    *,
    tags: list[int] | None = None,
    server_ns: int = 0,
    origin: Origin = Origin.LIVE,
    clock: ClockSource = ClockSource.SOURCE,
) -> Frame:
    """Return a frame that arrived at a second, with values of some times."""
    count = len(times_ns)
    return Frame(
        tag_index=index_column(tags or [0] * count),
        time_ns=time_column(times_ns),
        value=float_column([1.0] * count),
        status=status_column([0] * count),
        received_ns=NOW_NS + second * S,
        arrival_ns=(second + 1) * S,
        origin=origin,
        clock=clock,
        server_ns=np.full(count, server_ns, dtype=np.int64) if server_ns else None,
    )


def events_of(clocks: MachineClocks, frames: list[Frame]) -> list[Event]:
    return [event for frame in frames for event in clocks.look(frame)]


@pytest.mark.parametrize("off_s", [-3600, -31, 31, 3600])
def test_a_clock_that_is_off_is_told_once_and_when_it_is_right_again(off_s: int) -> None:
    clocks = MachineClocks(TABLE, off_s=30.0)
    wrong = [frame_at(n, [NOW_NS + (n - off_s) * S]) for n in range(100)]
    right = [frame_at(n, [NOW_NS + n * S]) for n in range(100, 200)]
    raised, returned = events_of(clocks, wrong + right)
    assert (raised.source, raised.transition) == ("press", Transition.RAISED)
    assert f"{abs(off_s)} s {'behind' if off_s > 0 else 'ahead of'}" in raised.text
    assert returned.transition is Transition.RETURNED


def test_a_clock_within_the_limit_is_right() -> None:
    clocks = MachineClocks(TABLE, off_s=30.0)
    assert events_of(clocks, [frame_at(n, [NOW_NS + (n - 29) * S]) for n in range(200)]) == []


def test_old_values_are_no_clock_that_is_off() -> None:
    """First values of a week ago, one that never changes, and one read with the server's time."""
    clocks = MachineClocks(TABLE, off_s=30.0)
    week = 7 * 86_400
    first = [frame_at(0, [NOW_NS - (week - n) * S]) for n in range(50)]
    still = [frame_at(n, [NOW_NS - week * S]) for n in range(100)]
    read = [frame_at(n, [NOW_NS - (week - n) * S], server_ns=NOW_NS + n * S) for n in range(100)]
    assert events_of(clocks, first + still) == []
    assert events_of(MachineClocks(TABLE, off_s=30.0), read) == []


def test_only_what_a_machine_has_stamped_just_now_tells_of_its_clock() -> None:
    clocks = MachineClocks(TABLE, off_s=30.0)
    ours = [frame_at(n, [NOW_NS + (n - 99) * S], clock=ClockSource.GATEWAY) for n in range(100)]
    past = [frame_at(n, [NOW_NS + (n - 99) * S], origin=Origin.HISTORICAL) for n in range(100)]
    assert events_of(clocks, ours + past) == []


def test_of_a_frame_of_two_machines_each_is_judged_by_its_own() -> None:
    clocks = MachineClocks(TABLE, off_s=30.0)
    frames = [frame_at(n, [NOW_NS + n * S, NOW_NS + (n - 60) * S], tags=[0, 2]) for n in range(100)]
    [event] = events_of(clocks, frames)
    assert event.source == "oven"


def test_what_was_told_is_known_after_a_restart() -> None:
    """From the checkpoint, or from the events behind it."""
    wrong = [frame_at(n, [NOW_NS + (n - 60) * S]) for n in range(100)]
    clocks = MachineClocks(TABLE, off_s=30.0)
    [raised] = events_of(clocks, wrong)
    restored, replayed = MachineClocks(TABLE, off_s=30.0), MachineClocks(TABLE, off_s=30.0)
    restored.restore(clocks.checkpoint())
    replayed.replay(raised)
    for each in (restored, replayed):
        assert events_of(each, wrong) == []
        right = [frame_at(n, [NOW_NS + n * S]) for n in range(100, 200)]
        [returned] = events_of(each, right)
        assert returned.transition is Transition.RETURNED

"""What becomes of values that are no plain numbers, without a server."""

from collections.abc import Mapping

import numpy as np
import pytest

from connectors.news import News
from connectors.opcua.items import Changes, OtherValue
from connectors.opcua.reception import Reception, ReceptionMemory, ReceptionRules
from gateway.core.arrays import index_column
from gateway.core.frame import ClockSource, Frame
from gateway.core.ports import Clock
from gateway.core.quality import Status
from gateway.core.tags import TagId
from gateway.wire.clock import SystemClock
from tests.connectors.sinks import KeepingSink

NS_PER_S = 1_000_000_000
NOW_NS = 1_790_000_000 * NS_PER_S
NAMES = [TagId(f"p.T{number}") for number in range(4)]


class DoubtfulClock(SystemClock):
    @property
    def is_trusted(self) -> bool:
        return False


def reception_of(
    sink: KeepingSink,
    *,
    memory: ReceptionMemory | None = None,
    elements: Mapping[int, int] | None = None,
    rates_hz: Mapping[int, float] | None = None,
    clock: Clock | None = None,
) -> Reception:
    clock = clock or SystemClock()
    return Reception(
        names=NAMES,
        indices=index_column([7, 8, 9, 10]),
        elements=elements or {},
        rates_hz=rates_hz or {},
        rules=ReceptionRules(
            uses_source_time=True,
            source_ahead_ns_max=600 * NS_PER_S,
        ),
        memory=memory or ReceptionMemory(),
        sink=sink,
        news=News(sink, source="p", clock=clock),
        name="p",
        clock=clock,
    )


def changes_of(
    handles: list[int],
    others: Mapping[int, OtherValue] | None = None,
    *,
    source_ns: int = NOW_NS,
) -> Changes:
    """Return values 1.0 and Good, but for the others."""
    count = len(handles)
    changes = Changes(
        handles=np.array(handles, dtype=np.uint32),
        value=np.ones(count),
        status=np.zeros(count, dtype=np.uint32),
        source_ns=np.full(count, source_ns, dtype=np.int64),
        server_ns=np.zeros(count, dtype=np.int64),
        others=others or {},
    )
    for place in changes.others:
        changes.value[place] = np.nan
        changes.status[place] = Status.BAD_TYPE_MISMATCH
    return changes


def text(content: str) -> OtherValue:
    return OtherValue(what="text", status=0, text=content)


def test_a_text_is_no_sample_and_told_once_over_sessions() -> None:
    sink, memory = KeepingSink(), ReceptionMemory()
    for _ in range(3):
        [frame] = reception_of(sink, memory=memory).frames(
            changes_of([2, 1], {1: text("on")}), received_ns=NOW_NS, arrival_ns=1
        )
        assert frame.tag_index.tolist() == [9]
    assert [event.text for event in sink.events] == ["p.T1 is 'on'"]


def test_two_texts_at_once_are_two_events() -> None:
    sink = KeepingSink()
    reception_of(sink).frames(
        changes_of([0, 1], {0: text("a"), 1: text("a")}), received_ns=NOW_NS, arrival_ns=1
    )
    assert len({event.id for event in sink.events}) == 2


@pytest.mark.parametrize(
    ("numbers", "expected", "status"),
    [
        ((4.5,), 4.5, 0x4094_0000),
        ((0.0, 1.0, 2.0), 2.0, 0x4094_0000),
        ((float("inf"),), float("nan"), Status.BAD_OUT_OF_RANGE),
        ((0.0, 1.0), float("nan"), Status.BAD_TYPE_MISMATCH),
        ((), float("nan"), Status.BAD_TYPE_MISMATCH),
    ],
)
def test_elements(numbers: tuple[float, ...], expected: float, status: int) -> None:
    """One number is the element asked for; of a whole array it is picked, if it is there."""
    sink = KeepingSink()
    other = OtherValue(what="an array", status=0x4094_0000, numbers=numbers)
    [frame] = reception_of(sink, elements={1: 2}).frames(
        changes_of([1], {0: other}), received_ns=NOW_NS, arrival_ns=1
    )
    np.testing.assert_array_equal(frame.value, [expected])
    assert frame.status.tolist() == [status]


def test_an_array_of_one_is_no_number_without_an_element() -> None:
    sink = KeepingSink()
    reception = reception_of(sink)
    other = OtherValue(what="an array of 1 Double", status=0, numbers=(4.5,))
    [frame] = reception.frames(changes_of([1], {0: other}), received_ns=NOW_NS, arrival_ns=1)
    assert np.isnan(frame.value).all()
    assert reception.take_unfit() == [1]
    assert reception.take_unfit() == []


def test_what_is_unfit_is_told_once_over_sessions() -> None:
    sink, memory = KeepingSink(), ReceptionMemory()
    for _ in range(3):
        reception = reception_of(sink, memory=memory)
        other = OtherValue(what="a structure", status=0)
        reception.frames(changes_of([3], {0: other}), received_ns=NOW_NS, arrival_ns=1)
        assert reception.take_unfit() == [3]
    assert [event.condition for event in sink.events] == ["value_unfit"]


def test_values_of_nobody_are_left_out() -> None:
    [frame] = reception_of(KeepingSink()).frames(
        changes_of([0, 99, 3], {1: text("x")}), received_ns=NOW_NS, arrival_ns=1
    )
    assert frame.tag_index.tolist() == [7, 10]


def test_wrong_times_are_told_again_only_after_they_were_right() -> None:
    """And not more often than once in a minute, however the clock flaps."""
    sink = KeepingSink()
    reception = reception_of(sink)
    for second in range(90):
        at_ns = NOW_NS + second * NS_PER_S
        source_ns = NS_PER_S if second % 2 == 0 else at_ns
        [frame] = reception.frames(
            changes_of([0, 1], source_ns=source_ns), received_ns=at_ns, arrival_ns=1
        )
        assert frame.time_ns.tolist() == [at_ns, at_ns]
        assert (frame.status == 0).all() == (second % 2 == 1)
    assert [event.condition for event in sink.events] == ["source_time_wrong"] * 2
    assert "of 2 tags, first p.T0: 1970-01-01" in sink.events[0].text


def test_places_of_others_follow_their_values() -> None:
    changes = changes_of([0, 1, 2], {0: text("a"), 2: text("c")})
    kept = changes.where(np.array([False, True, True]))
    assert kept.handles.tolist() == [1, 2]
    assert {place: other.text for place, other in kept.others.items()} == {1: "c"}


def test_values_without_a_time_of_their_own_are_known_to_be_stamped_by_us() -> None:
    """One frame for each clock, and every tag's values in their order."""
    reception = reception_of(KeepingSink())
    changes = changes_of([0, 1, 2], source_ns=NOW_NS)
    changes.source_ns[1] = 0
    theirs, ours = reception.frames(changes, received_ns=NOW_NS, arrival_ns=1)
    assert (theirs.clock, theirs.tag_index.tolist()) == (ClockSource.SOURCE, [7, 9])
    assert (ours.clock, ours.tag_index.tolist()) == (ClockSource.GATEWAY, [8])


def test_a_gateway_in_doubt_about_its_own_clock_judges_no_other() -> None:
    """It has booted in 1970, and the machine's time of today is right for all it knows."""
    reception = reception_of(KeepingSink(), clock=DoubtfulClock())
    changes = changes_of([0], source_ns=NOW_NS)
    [frame] = reception.frames(changes, received_ns=100 * NS_PER_S, arrival_ns=1)
    assert (frame.time_ns.tolist(), frame.clock) == ([NOW_NS], ClockSource.SOURCE)
    assert frame.status.tolist() == [0]


def test_an_array_with_a_rate_is_a_waveform() -> None:
    """Its values go back from its time; read again it gives nothing, overlapping what is new."""
    reception = reception_of(KeepingSink(), rates_hz={1: 1000.0})
    ms = NS_PER_S // 1000

    def received(numbers: tuple[float, ...], source_ns: int, status: int = 0) -> Frame | None:
        other = OtherValue(what="an array", status=status, numbers=numbers)
        changes = changes_of([1, 2], {0: other}, source_ns=source_ns)
        plain, *arrays = reception.frames(changes, received_ns=NOW_NS, arrival_ns=1)
        assert plain.tag_index.tolist() == [9]
        assert len(arrays) <= 1
        return arrays[0] if arrays else None

    frame = received((1.0, float("nan"), 3.0), NOW_NS - 10 * ms)
    assert frame is not None
    assert frame.tag_index.tolist() == [8, 8, 8]
    assert frame.time_ns.tolist() == [NOW_NS - 12 * ms, NOW_NS - 11 * ms, NOW_NS - 10 * ms]
    np.testing.assert_array_equal(frame.value, [1.0, np.nan, 3.0])
    assert frame.status.tolist() == [0, Status.BAD_OUT_OF_RANGE, 0]
    assert received((1.0, float("nan"), 3.0), NOW_NS - 10 * ms) is None
    frame = received((3.0, 4.0, 5.0), NOW_NS - 8 * ms, status=0x4094_0000)
    assert frame is not None
    assert frame.value.tolist() == [4.0, 5.0]
    assert frame.status.tolist() == [0x4094_0000] * 2


def test_a_waveform_that_is_none_is_unfit() -> None:
    sink = KeepingSink()
    reception = reception_of(sink, rates_hz={1: 1000.0})
    other = OtherValue(what="raw bytes", status=0)
    reception.frames(changes_of([1], {0: other}), received_ns=NOW_NS, arrival_ns=1)
    assert reception.take_unfit() == [1]

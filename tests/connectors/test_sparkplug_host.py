"""What a host makes of an edge node's messages: order, births and deaths, in virtual time."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.mqtt.sparkplug_host import (
    Arrived,
    Born,
    Died,
    EdgeNode,
    Outcome,
    Report,
    WantRebirth,
)
from gateway.wire.sparkplug import Address, DataType, Metric, Payload, Verb

S = 1_000_000_000
FLOW = Metric(name="Flow", alias=7, datatype=DataType.DOUBLE, value=0.0)


def message(
    verb: Verb,
    seq: int | None,
    *metrics: Metric,
    at_s: float = 0,
    time_ms: int = 5,
    device: str = "D",
) -> Arrived:
    address = Address(
        group="G", verb=verb, edge_node="N", device=device if verb.startswith("D") else ""
    )
    return Arrived(
        address=address,
        payload=Payload(time_ms=time_ms, seq=seq, metrics=metrics),
        received_ns=1,
        arrival_ns=round(at_s * S),
    )


def bd_seq(number: int) -> Metric:
    return Metric(name="bdSeq", datatype=DataType.INT64, value=number)


def born_node(*, bd: int = 0) -> EdgeNode:
    """Return a node with a device that has one metric; its next sequence number is 2."""
    node = EdgeNode(reorder_s=2, rebirth_s=10)
    node.take(message(Verb.NBIRTH, 0, bd_seq(bd)))
    node.take(message(Verb.DBIRTH, 1, FLOW))
    return node


def data(seq: int, value: float, *, at_s: float = 0) -> Arrived:
    return message(Verb.DDATA, seq % 256, Metric(alias=7, value=value), at_s=at_s)


def values_of(outcomes: Sequence[Outcome]) -> list[object]:
    return [each.metric.value for each in outcomes if isinstance(each, Report)]


def kinds_of(outcomes: Sequence[Outcome]) -> list[type]:
    return [type(each) for each in outcomes]


def test_a_birth_names_the_metrics_and_gives_their_values() -> None:
    node = EdgeNode(reorder_s=2, rebirth_s=10)
    born, report = node.take(message(Verb.NBIRTH, 0, bd_seq(3)))
    assert isinstance(born, Born)
    assert born.names == {"bdSeq"}
    assert isinstance(report, Report)
    outcomes = node.take(message(Verb.DBIRTH, 1, FLOW))
    assert kinds_of(outcomes) == [Born, Report]
    [report] = node.take(data(2, 4.5))
    assert isinstance(report, Report)
    assert (report.device, report.metric.name, report.metric.value) == ("D", "Flow", 4.5)
    assert (report.metric.datatype, report.metric.time_ms) == (DataType.DOUBLE, 5)


@given(st.permutations(range(8)), st.integers(0, 255))
def test_messages_are_taken_in_their_order(order: list[int], start: int) -> None:
    """However they arrive within the window, also where the numbers begin anew."""
    node = EdgeNode(reorder_s=2, rebirth_s=10)
    node.take(message(Verb.NBIRTH, start, bd_seq(0)))
    node.take(message(Verb.DBIRTH, (start + 1) % 256, FLOW))
    outcomes = [
        outcome for number in order for outcome in node.take(data(start + 2 + number, number))
    ]
    assert values_of(outcomes) == list(range(8))
    assert WantRebirth not in kinds_of([*outcomes, *node.tick(100 * S)])


def test_a_gap_ends_with_a_request_and_loses_nothing_that_came() -> None:
    """tck-id-operational-behavior-host-reordering-rebirth; what waited is taken as it is."""
    node = born_node()
    assert node.take(data(3, 3.0, at_s=1)) == []
    assert node.take(data(5, 5.0, at_s=2)) == []
    assert node.tick(round(2.9 * S)) == []
    outcomes = node.tick(3 * S)
    assert values_of(outcomes) == [3.0]
    [wish] = [each for each in outcomes if isinstance(each, WantRebirth)]
    assert wish.reason == "the message 2 of its sequence is missing"
    # The second gap has a window of its own, and its request must wait its time.
    assert values_of(node.tick(4 * S)) == [5.0]
    assert values_of(node.take(data(6, 6.0, at_s=4))) == [6.0]
    assert node.tick(12 * S) == []
    assert kinds_of(node.tick(13 * S)) == [WantRebirth]
    assert node.tick(100 * S) == []


def test_the_missing_message_in_time_ends_the_wait() -> None:
    """tck-id-operational-behavior-host-reordering-success."""
    node = born_node()
    assert node.take(data(3, 3.0, at_s=1)) == []
    assert values_of(node.take(data(2, 2.0, at_s=2))) == [2.0, 3.0]
    assert node.tick(100 * S) == []


def test_data_before_a_birth_ask_for_one_at_a_bounded_rate() -> None:
    node = EdgeNode(reorder_s=2, rebirth_s=10)
    wishes = [
        outcome
        for step in range(60)
        for outcome in (*node.take(data(step, 1.0, at_s=step / 2)), *node.tick(step * S // 2))
    ]
    assert kinds_of(wishes) == [WantRebirth] * 3
    assert isinstance(wishes[0], WantRebirth)
    assert wishes[0].reason == "DDATA before a birth"


def test_a_wish_that_waits_is_fulfilled_by_a_birth() -> None:
    node = EdgeNode(reorder_s=2, rebirth_s=10)
    assert kinds_of(node.take(data(1, 1.0))) == [WantRebirth]
    assert node.take(data(2, 1.0, at_s=1)) == []
    node.take(message(Verb.NBIRTH, 0, bd_seq(0), at_s=2))
    assert node.tick(100 * S) == []


@pytest.mark.parametrize("metric", [Metric(alias=99, value=1.0), Metric(name="Other", value=1.0)])
def test_what_no_birth_has_named_asks_for_one(metric: Metric) -> None:
    node = born_node()
    known = Metric(alias=7, value=2.5)
    outcomes = node.take(message(Verb.DDATA, 2, metric, known))
    assert kinds_of(outcomes) == [WantRebirth, Report]


def test_an_alias_of_another_device_is_not_followed() -> None:
    """Aliases are unique over the edge node: such a message is of a node that mixed them up."""
    node = born_node()
    node.take(message(Verb.DBIRTH, 2, Metric(name="Level", alias=8, value=1.0), device="E"))
    outcomes = node.take(message(Verb.DDATA, 3, Metric(alias=7, value=1.0), device="E"))
    assert kinds_of(outcomes) == [WantRebirth]


@pytest.mark.parametrize(("number", "dies"), [(4, True), (3, False), (5, False)])
def test_only_the_death_of_this_birth_counts(number: int, dies: bool) -> None:
    """A will of a connection that was replaced comes late, and is not ours to believe."""
    node = born_node(bd=4)
    outcomes = node.take(message(Verb.NDEATH, None, bd_seq(number)))
    assert kinds_of(outcomes) == ([Died] if dies else [])
    assert node.is_born is not dies
    if dies:
        assert isinstance(outcomes[0], Died)
        assert outcomes[0].device is None
        assert kinds_of(node.take(data(2, 1.0))) == [WantRebirth]


def test_the_death_of_a_device_is_its_own_and_has_the_time_of_the_payload() -> None:
    """tck-id-operational-behavior-edge-node-termination-host-action-ddeath-devices-tags-stale."""
    node = born_node()
    [died] = node.take(message(Verb.DDEATH, 2, time_ms=1234))
    assert died == Died(device="D", time_ns=1_234_000_000, reason="the edge node has lost D")
    assert kinds_of(node.take(data(3, 1.0))) == [WantRebirth]
    assert kinds_of(node.take(message(Verb.DBIRTH, 4, FLOW))) == [Born, Report]
    assert values_of(node.take(data(5, 1.0))) == [1.0]


def test_a_new_birth_after_an_unheard_death_makes_the_devices_stale() -> None:
    """A rebirth, which has the same bdSeq, does not."""
    node = born_node(bd=4)
    again = node.take(message(Verb.NBIRTH, 0, bd_seq(4)))
    assert Died not in kinds_of(again)
    node.take(message(Verb.DBIRTH, 1, FLOW))
    anew = node.take(message(Verb.NBIRTH, 0, bd_seq(5)))
    assert [each.device for each in anew if isinstance(each, Died)] == ["", "D"]


def test_a_sequence_that_goes_back_asks_for_a_birth_and_keeps_the_values() -> None:
    """The node has begun anew and its birth was not heard, or a message is very late."""
    node = born_node()
    for seq in range(2, 200):
        node.take(data(seq, 1.0))
    outcomes = node.take(data(150, 7.0))
    assert values_of(outcomes) == [7.0]
    assert WantRebirth in kinds_of(outcomes)
    assert values_of(node.take(data(200, 8.0))) == [8.0]


def test_an_edge_node_cannot_fill_our_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is beyond the bound is not known; the rest goes on."""
    monkeypatch.setattr("connectors.mqtt.sparkplug_host.METRICS_MAX", 3)
    node = born_node()
    many = [Metric(name=str(k), datatype=DataType.DOUBLE, value=1.0) for k in range(10)]
    node.take(message(Verb.DBIRTH, 2, *many, device="E"))
    assert len(node.definitions) == 3
    assert values_of(node.take(data(3, 4.5))) == [4.5]


def test_commands_of_others_are_passed_over() -> None:
    node = born_node()
    assert node.take(message(Verb.NCMD, None, Metric(name="x", value=True))) == []
    assert node.take(message(Verb.DCMD, None, Metric(name="x", value=True))) == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from([Verb.NBIRTH, Verb.NDEATH, Verb.DBIRTH, Verb.DDEATH, Verb.DDATA]),
            st.none() | st.integers(0, 300),
            st.integers(0, 3),
        ),
        max_size=40,
    )
)
def test_any_sequence_of_messages_is_survived(steps: list[tuple[Verb, int | None, int]]) -> None:
    """Values are only reported between a birth and a death, and requests keep their distance."""
    node = EdgeNode(reorder_s=2, rebirth_s=10)
    asked_s: list[float] = []
    for at_s, (verb, seq, number) in enumerate(steps):
        metrics = (bd_seq(number), FLOW) if verb.startswith("N") else (FLOW,)
        outcomes = node.take(message(verb, seq, *metrics, at_s=at_s))
        outcomes += node.tick(at_s * S)
        asked_s += [at_s for each in outcomes if isinstance(each, WantRebirth)]
        if not node.is_born:
            assert values_of(outcomes) == []
    assert all(later - sooner >= 10 for sooner, later in pairwise(asked_s))

"""The topics of batches, and the state of a gateway on one of them."""

from string import ascii_letters, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import CorruptRecordError
from gateway.wire.batch_topics import (
    BatchTopics,
    GatewayState,
    decode_state,
    encode_state,
    topics_of,
)

TOPICS = BatchTopics(prefix="a/b", gateway="g-1")


def test_a_topic_names_its_gateway() -> None:
    for topic in (TOPICS.batches, TOPICS.state):
        assert topics_of(topic, prefix="a/b") == TOPICS


@pytest.mark.parametrize(
    "topic",
    [
        "a/b/g-1/answers",
        "a/b/g-1/batches/more",
        "a/b//batches",
        "a/b/+/batches",
        "a/b/g 1/batches",
        "a/b/batches",
        "a/bc/g-1/batches",
        "x/a/b/g-1/batches",
        "",
    ],
)
def test_other_topics_name_nobody(topic: str) -> None:
    assert topics_of(topic, prefix="a/b") is None


@given(st.text())
def test_an_answer_goes_to_the_gateway_itself_only(rest: str) -> None:
    """Whatever a stranger writes: only plain levels below the gateway's own topic."""
    plain = set(ascii_letters + digits + "._-")
    is_plain = all(level and set(level) <= plain for level in rest.split("/")[1:])
    is_below = rest == "" or (rest.startswith("/") and is_plain)
    if TOPICS.may_answer_on(TOPICS.answers + rest):
        assert is_below
    assert not TOPICS.may_answer_on(rest)


def test_answers_of_several_clients_of_one_gateway_are_its_own() -> None:
    assert TOPICS.may_answer_on("a/b/g-1/answers")
    assert TOPICS.may_answer_on("a/b/g-1/answers/client-2")
    assert not TOPICS.may_answer_on("a/b/g-1/answers/")
    assert not TOPICS.may_answer_on("a/b/g-10/answers")


@given(st.booleans(), st.text(max_size=100), st.integers(0, 2**63))
def test_a_state_is_read_as_it_was_written(is_online: bool, session: str, since_ns: int) -> None:
    state = GatewayState(is_online=is_online, session=session, since_ns=since_ns)
    assert decode_state(encode_state(state)) == state


@given(st.binary(max_size=200) | st.just(b"[" * 4096) | st.just(b" " * 5000))
def test_no_bytes_break_the_reading_of_a_state(payload: bytes) -> None:
    with pytest.raises(CorruptRecordError):
        decode_state(payload)

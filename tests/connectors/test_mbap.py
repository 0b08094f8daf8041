"""Modbus TCP's bytes: any chunking, any nonsense."""

import struct
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from connectors.modbus.exchange import MalformedAduError, Request, read_answer
from connectors.modbus.framing import Asked
from connectors.modbus.mbap import MbapFraming, split_adus

READ_ONE = Request(struct.pack(">BHH", 3, 0, 1), 2)


def test_answers_before_a_mistake_are_kept() -> None:
    """A sound answer, then a number that nobody gave: the first counts, and the mistake is told."""
    framing = MbapFraming()
    sound = struct.pack(">HHHBBBH", 5, 0, 5, 3, 3, 2, 77)
    foreign = struct.pack(">HHHBBBH", 6, 0, 5, 3, 3, 2, 78)
    heard = framing.hear(sound + foreign, {5: Asked(3, READ_ONE)})
    assert [(each.number, each.payload) for each in heard.found] == [(5, b"\x00\x4d")]
    assert "transaction 6" in heard.mistake


ADUS = st.lists(
    st.tuples(st.integers(0, 0xFFFF), st.integers(0, 255), st.binary(min_size=2, max_size=253)),
    max_size=8,
)


@given(ADUS, st.lists(st.integers(0, 300), max_size=8))
def test_any_chunking_gives_the_same_adus(
    adus: list[tuple[int, int, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(
        struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu
        for transaction, unit, pdu in adus
    )
    borders = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    found, rest = [], b""
    for begin, end in pairwise(borders):
        some, rest = split_adus(rest + stream[begin:end])
        found += some
    assert found == adus
    assert rest == b""


@given(st.binary(max_size=600))
def test_any_bytes_are_adus_or_an_error(stream: bytes) -> None:
    try:
        adus, rest = split_adus(stream)
    except MalformedAduError:
        return
    assert sum(len(pdu) + 7 for _, _, pdu in adus) + len(rest) == len(stream)


@given(st.binary(min_size=2, max_size=253))
def test_any_pdu_is_an_answer_or_an_error(pdu: bytes) -> None:
    try:
        payload, code = read_answer(READ_ONE, pdu)
    except MalformedAduError:
        return
    assert (len(payload) == 2) != bool(code) or (payload == b"" and code == 0 and len(pdu) == 2)

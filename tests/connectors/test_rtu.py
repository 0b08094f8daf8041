"""Modbus RTU's bytes: the check sum, and answers found among anything."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU

from connectors.modbus.exchange import Request
from connectors.modbus.framing import Asked, Found
from connectors.modbus.rtu import RtuFraming, answer_size, crc16, silence_s

UNIT = 11
ASKED = Asked(UNIT, Request(struct.pack(">BHH", 3, 107, 3), 6))


def adu(unit: int, pdu: bytes) -> bytes:
    body = bytes([unit]) + pdu
    return body + naive_crc(body)


def naive_crc(data: bytes) -> bytes:
    """Bit by bit, as the standard's flow chart has it (MODBUS over Serial Line, 6.2.2)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc, low = crc >> 1, crc & 1
            if low:
                crc ^= 0xA001
    return bytes([crc & 0xFF, crc >> 8])


@given(st.binary(max_size=260))
def test_the_check_sum_is_the_standards_and_pymodbus(data: bytes) -> None:
    assert struct.pack("<H", crc16(data)) == naive_crc(data)
    assert struct.pack("<H", crc16(data)) == struct.pack(">H", FramerRTU.compute_CRC(data))


def test_a_known_request() -> None:
    """Unit 1 asks for ten registers from 0: the check sum known from many manuals, C5 CD."""
    asked = Asked(1, Request(struct.pack(">BHH", 3, 0, 10), 20))
    assert RtuFraming().request_adu(0, asked).hex(" ") == "01 03 00 00 00 0a c5 cd"
    assert answer_size(asked.request) == 25
    assert answer_size(Request(struct.pack(">BHH", 6, 0, 10), 4)) == 8


@pytest.mark.parametrize(
    ("baud_bd", "expected_s"),
    [(9600, 3.5 * 11 / 9600), (19_200, 3.5 * 11 / 19_200), (115_200, 0.00175)],
)
def test_the_silence_shrinks_no_further_than_the_standard_says(
    baud_bd: int, expected_s: float
) -> None:
    assert silence_s(baud_bd, character_bits=11) == pytest.approx(expected_s)


def test_an_exception_is_an_answer() -> None:
    heard = RtuFraming().hear(adu(UNIT, b"\x83\x02"), {4: ASKED})
    assert heard.found == (Found(4, b"", 2),)


@given(
    noise=st.binary(max_size=40),
    values=st.binary(min_size=6, max_size=6),
    cut=st.integers(min_value=0, max_value=60),
)
def test_a_sound_answer_is_found_behind_any_noise_in_any_chunks(
    noise: bytes, values: bytes, cut: int
) -> None:
    framing = RtuFraming()
    stream = noise + adu(UNIT, bytes([3, 6]) + values)
    first = framing.hear(stream[:cut], {4: ASKED})
    asked = {} if first.found else {4: ASKED}
    second = framing.hear(first.rest + stream[cut:], asked)
    assert first.found + second.found == (Found(4, values, 0),)
    assert len(first.rest) < answer_size(ASKED.request)


@given(values=st.binary(min_size=6, max_size=6), bit=st.integers(min_value=0, max_value=87))
def test_one_wrong_bit_is_no_answer(values: bytes, bit: int) -> None:
    damaged = bytearray(adu(UNIT, bytes([3, 6]) + values))
    damaged[bit // 8] ^= 1 << bit % 8
    heard = RtuFraming().hear(bytes(damaged), {4: ASKED})
    assert heard.found == ()
    if bit >= 24:  # behind unit, function and count it is known whose answer it was
        assert heard.damaged == (4,) or heard.rest


@given(st.binary(max_size=600))
def test_any_bytes_leave_less_than_one_answer_over(stream: bytes) -> None:
    heard = RtuFraming().hear(stream, {4: ASKED})
    assert len(heard.rest) < answer_size(ASKED.request)
    assert heard.mistake == ""


def test_the_late_answer_of_one_is_not_the_answer_of_another() -> None:
    other = Asked(12, ASKED.request)
    stream = adu(12, bytes([3, 6]) + bytes(6)) + adu(UNIT, bytes([3, 6]) + b"values")
    assert RtuFraming().hear(stream, {4: ASKED}).found == (Found(4, b"values", 0),)
    assert RtuFraming().hear(stream, {3: other, 4: ASKED}).found == (
        Found(3, bytes(6), 0),
        Found(4, b"values", 0),
    )

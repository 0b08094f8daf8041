"""Modbus RTU: ADUs without a number or a length, ended by a check sum and by silence.

MODBUS over Serial Line V1.02, 2.5.1: unit, PDU, CRC-16 with its low byte first; 3.5 characters of
silence between two ADUs. Only one request is on the line at a time. An answer is known by the
unit, the function and the length that belong to the request, and by its check sum; everything
else (noise, the echo of an adapter, the late answer of another unit) is passed over, so that a
sound answer is found behind it.
"""

import struct
from collections.abc import Mapping

from connectors.modbus.exchange import (
    EXCEPTION_FLAG,
    READ_FUNCTIONS,
    MalformedAduError,
    Request,
    read_answer,
)
from connectors.modbus.framing import Asked, Found, Heard

SILENT_CHARACTERS = 3.5
FAST_BAUD = 19_200
FAST_SILENCE_S = 0.001_75
"""2.5.1.1: above 19,200 baud the silence no longer shrinks with the characters."""

_CRC = struct.Struct("<H")
_EXCEPTION_SIZE = 5
"""Unit, function code, exception code, CRC."""


class RtuFraming:
    """Implements `Framing`."""

    protocol = "Modbus RTU"

    def request_adu(self, number: int, asked: Asked) -> bytes:
        """Return unit, PDU and CRC; RTU has no place for the number."""
        del number
        body = bytes([asked.unit]) + asked.request.pdu
        return body + _CRC.pack(crc16(body))

    def hear(self, data: bytes, asked: Mapping[int, Asked]) -> Heard:
        """Return the answers, found wherever they begin; see `Framing`."""
        open_questions = dict(asked)
        found: list[Found] = []
        damaged: list[int] = []
        rest_start = start = 0
        is_rest_known = False
        while start < len(data) and open_questions:
            is_begun = False
            for number, question in open_questions.items():
                size = _size_at(data[start : start + 3], question)
                if start + size > len(data):
                    is_begun = True
                elif not size:
                    continue
                elif (answer := _read(data[start : start + size], question)) is None:
                    damaged.append(number)
                else:
                    found.append(Found(number, *answer))
                    del open_questions[number]
                    start += size
                    is_rest_known = False
                    break
            else:
                if is_begun and not is_rest_known:
                    rest_start, is_rest_known = start, True
                start += 1
        if found or is_rest_known:
            # What seemed to be damaged may have been noise before the answer.
            damaged.clear()
        rest = data[rest_start:] if is_rest_known else b""
        return Heard(tuple(found), rest, damaged=tuple(dict.fromkeys(damaged)))


def crc16(data: bytes) -> int:
    """Return the check sum of an ADU: reflected polynomial 0xA001, begun with 0xFFFF (6.2.2)."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc


def answer_size(request: Request) -> int:
    """Return the bytes of the ADU that answers a request with values."""
    return 2 + (request.pdu[0] in READ_FUNCTIONS) + request.answer_size + _CRC.size


def silence_s(baud_bd: int, *, character_bits: int) -> float:
    """Return the silence that ends an ADU (2.5.1.1)."""
    if baud_bd > FAST_BAUD:
        return FAST_SILENCE_S
    return SILENT_CHARACTERS * character_bits / baud_bd


def _size_at(head: bytes, question: Asked) -> int:
    """Return the size of the ADU that begins with these bytes; 0 when it cannot be the answer."""
    function = question.request.pdu[0]
    size = answer_size(question.request)
    if head[0] != question.unit:
        return 0
    if len(head) == 1:
        return _EXCEPTION_SIZE
    if head[1] == function | EXCEPTION_FLAG:
        return _EXCEPTION_SIZE
    if head[1] != function:
        return 0
    if function in READ_FUNCTIONS and len(head) > 2 and head[2] != question.request.answer_size:
        return 0
    return size


def _read(adu: bytes, question: Asked) -> tuple[bytes, int] | None:
    """Return payload and exception code; None when the ADU is not sound."""
    body, check = adu[: -_CRC.size], adu[-_CRC.size :]
    if _CRC.pack(crc16(body)) != check:
        return None
    try:
        return read_answer(question.request, body[1:])
    except MalformedAduError:
        return None


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xA001 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_CRC_TABLE = _crc_table()

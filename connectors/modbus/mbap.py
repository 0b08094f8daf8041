"""Modbus TCP: ADUs that open with a header, and may be answered in any order.

An answer carries the transaction number of its request (MODBUS Messaging on TCP/IP 3.1.3).
Anything that is not a correct answer to one of the requests ends the connection: after one wrong
length or number nothing behind it can be trusted.
"""

import struct
from collections.abc import Mapping

from connectors.modbus.exchange import MalformedAduError, read_answer
from connectors.modbus.framing import Asked, Found, Heard

_HEADER = struct.Struct(">HHHB")
"""Transaction, protocol (0), length of what follows, unit."""
_LENGTH_MIN = 3
"""Unit, function code, exception code."""
_LENGTH_MAX = 254
"""Messaging on TCP/IP 3.1.3: an ADU has at most 260 bytes."""


class MbapFraming:
    """Implements `Framing`."""

    protocol = "Modbus TCP"

    def request_adu(self, number: int, asked: Asked) -> bytes:
        """Return header and PDU."""
        pdu = asked.request.pdu
        return _HEADER.pack(number, 0, len(pdu) + 1, asked.unit) + pdu

    def hear(self, data: bytes, asked: Mapping[int, Asked]) -> Heard:
        """Return the answers in the whole ADUs; see `Framing`."""
        found: dict[int, Found] = {}
        try:
            adus, rest = split_adus(data)
            for number, unit, pdu in adus:
                question = asked.get(number)
                if question is None or number in found:
                    raise MalformedAduError(f"transaction {number} is not one in flight")
                if unit != question.unit:
                    raise MalformedAduError(f"unit {unit} answers for unit {question.unit}")
                found[number] = Found(number, *read_answer(question.request, pdu))
        except MalformedAduError as error:
            return Heard(tuple(found.values()), b"", mistake=str(error))
        return Heard(tuple(found.values()), rest)


def split_adus(data: bytes) -> tuple[list[tuple[int, int, bytes]], bytes]:
    """Return the whole ADUs as (transaction, unit, PDU), and the bytes of an unfinished one.

    Raises:
        MalformedAduError: a header is not Modbus TCP.
    """
    adus = []
    position = 0
    while len(data) - position >= _HEADER.size:
        transaction, protocol, length, unit = _HEADER.unpack_from(data, position)
        if protocol != 0:
            raise MalformedAduError(f"protocol {protocol} is not 0")
        if not _LENGTH_MIN <= length <= _LENGTH_MAX:
            raise MalformedAduError(f"length {length} is not {_LENGTH_MIN} to {_LENGTH_MAX}")
        end = position + 6 + length
        if end > len(data):
            break
        adus.append((transaction, unit, data[position + _HEADER.size : end]))
        position = end
    return adus, data[position:]

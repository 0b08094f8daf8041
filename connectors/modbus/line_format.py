"""How a line wants its requests: format of the bytes, pauses, and what its bytes cost in time."""

from dataclasses import dataclass

from connectors.modbus.exchange import Request
from connectors.modbus.framing import Framing
from connectors.modbus.line_settings import LineSettings
from connectors.modbus.mbap import MbapFraming
from connectors.modbus.rtu import RtuFraming, answer_size, silence_s

TCP_CHECK = "Check that the address is that of a Modbus TCP server."
NETWORK_CHECK = "Check the network to it, its load, and whether another client blocks it."
SERIAL_CHECK = "Check the adapter and its plug, the path, and that no other program has the port."
RTU_CHECK = "Check speed, parity and framing, and that no other master is on the line."

_RTU_EXTRA_SIZE = 3
"""Unit and CRC around a PDU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFormat:
    """What a connection needs to know of its line."""

    framing: Framing
    has_numbers: bool
    """Whether an answer names its request."""
    in_flight_max: int
    """Requests on the wire."""
    pause_s: float
    """Least silence before a request."""
    pause_after_connect_s: float
    """From the connection to the first request."""
    character_s: float
    """Time of a character on a serial port of ours; 0 where the network carries them."""
    is_serial: bool
    """Whether it is a serial port of ours."""
    lost_text: str
    """What happened when the connection breaks; continues the sentence that the device opens."""
    lost_check: str
    """What to check then."""
    malformed_check: str
    """What to check when the bytes make no sense."""

    def transmission_s(self, request: Request) -> float:
        """Return how long a request and its answer take on the wire."""
        if not self.character_s:
            return 0.0
        return self.character_s * (len(request.pdu) + _RTU_EXTRA_SIZE + answer_size(request))


def line_format(settings: LineSettings) -> LineFormat:
    """Return what the settings of a line mean."""
    pause_s = settings.pause_between_requests_ms / 1000
    character_s = 0.0
    if settings.is_serial:
        character_s = settings.character_bits / settings.baud_bd
        pause_s = max(pause_s, silence_s(settings.baud_bd, character_bits=settings.character_bits))
    return LineFormat(
        framing=RtuFraming() if settings.is_rtu else MbapFraming(),
        has_numbers=not settings.is_rtu,
        in_flight_max=settings.requests_in_flight_max,
        pause_s=pause_s,
        pause_after_connect_s=settings.pause_after_connect_ms / 1000,
        character_s=character_s,
        is_serial=settings.is_serial,
        lost_text="lost its serial port" if settings.is_serial else "closed the connection",
        lost_check=SERIAL_CHECK if settings.is_serial else NETWORK_CHECK,
        malformed_check=RTU_CHECK if settings.is_rtu else TCP_CHECK,
    )

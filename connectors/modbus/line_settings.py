"""The settings of a Modbus line: where it is, and how it wants to be treated."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from gateway.core.settings import Settings

PORT = 502

_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]]+)(:(?P<port>\d{1,5}))?")
_SERIAL_ONLY = ("baud_bd", "parity", "stop_bits")


class LineSettings(Settings):
    """One TCP connection or one serial port, shared by all connectors with its address."""

    address: str
    """Where the line is: `host:port`, the port is 502 when left out; or the path of a serial port,
    best one below /dev/serial/by-id, which stays the same whatever is plugged in first."""
    backup_address: str | None = None
    """Where to go when the address cannot be reached or stops answering."""
    backup_s_min: Annotated[float, Field(ge=0, le=86_400)] = 600.0
    """Trouble-free time on the backup address after which the next connection tries the first."""
    framing: Literal["tcp", "rtu"] = "tcp"
    """Format on a TCP connection: `rtu` is for converters that pass serial bytes through."""
    baud_bd: Annotated[int, Field(ge=300, le=4_000_000)] = 19_200
    """Speed of a serial port; a character has 8 data bits."""
    parity: Literal["none", "even", "odd"] = "even"
    """Parity of a serial port."""
    stop_bits: Literal[1, 2] = 1
    """Stop bits of a serial port."""
    requests_in_flight_max: Annotated[int, Field(ge=1, le=16)] = 1
    """Requests on the line, of one unit or of all, before the first is answered; many devices take
    only one, and a serial line never more."""
    pause_after_connect_ms: Annotated[int, Field(ge=0, le=60_000)] = 0
    """Time from the connection to the first request, for devices that need it."""
    pause_between_requests_ms: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Least time between an answer and the next request on the line."""
    probe_factor: Annotated[float, Field(ge=1, le=100)] = 10.0
    """A unit that has not answered yet is given this many times what answers take otherwise, so
    that a dead one costs the others little."""
    probe_ms_min: Annotated[int, Field(ge=1, le=60_000)] = 100
    """Least time that such a unit is given."""

    @property
    def is_serial(self) -> bool:
        """Whether the line is a serial port of this machine."""
        return is_path(self.address)

    @property
    def is_rtu(self) -> bool:
        """Whether ADUs are RTU's."""
        return self.is_serial or self.framing == "rtu"

    @property
    def addresses(self) -> tuple[str, ...]:
        """The address, then that of the backup if there is one."""
        return (
            (self.address,)
            if self.backup_address is None
            else (
                self.address,
                self.backup_address,
            )
        )

    @property
    def character_bits(self) -> int:
        """Bits of one character on a serial line: start, data, parity, stop."""
        return 1 + 8 + (self.parity != "none") + self.stop_bits

    @field_validator("address", "backup_address")
    @classmethod
    def _check_address(cls, address: str | None) -> str | None:
        if address is not None and not is_path(address):
            host_and_port(address)
        return address

    @model_validator(mode="after")
    def _check_line(self) -> "LineSettings":
        """Raise one error with everything that does not go together."""
        mistakes = []
        if len({is_path(each) for each in self.addresses}) > 1:
            mistakes.append(f"backup_address: {self.backup_address!r} is another kind of line")
        if self.backup_address == self.address:
            mistakes.append(f"backup_address: {self.backup_address!r} is the address itself")
        if not self.is_serial:
            mistakes += [
                f"{name} is for a serial port, and {self.address!r} is none"
                for name in _SERIAL_ONLY
                if name in self.model_fields_set
            ]
        if self.is_rtu and self.requests_in_flight_max > 1:
            mistakes.append(
                f"requests_in_flight_max: {self.requests_in_flight_max} is above 1, "
                "and RTU has only one request on the line"
            )
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self


def is_path(address: str) -> bool:
    """Return whether an address is the path of a serial port."""
    return address.startswith("/")


def host_and_port(address: str) -> tuple[str, int]:
    """Return the two parts of `host:port`.

    Raises:
        ValueError: it is not of that form.
    """
    match = _ADDRESS.fullmatch(address)
    port = int(match["port"] or PORT) if match else 0
    if match is None or not 0 < port < 1 << 16:
        raise ValueError(
            f"{address!r} is neither host:port, such as 10.0.4.17:502, "
            "nor the path of a serial port, such as /dev/serial/by-id/..."
        )
    return match["host"].strip("[]"), port


def line_key(address: str) -> str:
    """Return what is equal for all ways to write the address of one line."""
    if is_path(address):
        return address
    host, port = host_and_port(address)
    return f"{host.lower()}:{port}"


def line_differences(one: LineSettings, other: LineSettings) -> list[str]:
    """Return the settings of a line in which two connectors on it disagree."""
    return [
        name
        for name in LineSettings.model_fields
        if name != "address" and getattr(one, name) != getattr(other, name)
    ]

"""Asks a Modbus device by hand: single requests, one after another, with pauses."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from connectors.messages import KEEPS_TRYING
from connectors.modbus.address_search import AddressSearch
from connectors.modbus.exchange import Answer, ExceptionCode, Request
from connectors.modbus.line import Lines
from connectors.modbus.line_settings import LineSettings
from connectors.modbus.plan import Span
from connectors.modbus.registers import Area, payload_size, read_pdu
from connectors.modbus.unit_client import UnitClient
from gateway.core.errors import DeviceError
from gateway.core.ports import Clock

PROBED_ADDRESS = 0
"""Any answer shows that a unit is there, also that it does not have this one."""
_NOBODY = (
    ExceptionCode.GATEWAY_PATH_UNAVAILABLE,
    ExceptionCode.GATEWAY_TARGET_FAILED_TO_RESPOND,
)
"""Exceptions by which a gateway says that nobody is behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaFound:
    """What a unit has in one area."""

    area: Area
    spans: tuple[Span, ...]
    exception_code: int
    """The exception that ended the search at once, because the whole area is refused; else 0."""
    is_complete: bool
    """Whether the search came to its end within its requests."""


class Probe:
    """A connection to one unit."""

    def __init__(self, client: UnitClient, *, pause_s: float) -> None:
        """Ask over a client that is connected, and wait after each answer."""
        self._client = client
        self._pause_s = pause_s

    async def read(self, span: Span) -> Answer:
        """Return the answer to a read, an exception included.

        Raises:
            DeviceError: no answer.
        """
        count = span.end - span.first
        pdu = read_pdu(span.area, start=span.first, count=count)
        request = Request(pdu, payload_size(span.area, count=count))
        exchange = self._client.submit([request], priority=0)
        await exchange.more()
        [(_, answer)] = exchange.take()
        await asyncio.sleep(self._pause_s)
        return answer


@asynccontextmanager
async def probing(
    line: LineSettings, *, unit: int, timeout_s: float, pause_s: float, clock: Clock
) -> AsyncIterator[Probe]:
    """Connect to one unit until the block ends.

    Raises:
        DeviceError: it cannot be reached, or the connection ended meanwhile.
    """
    client = (
        Lines(clock)
        .line("modbus", line)
        .client(device=f"{line.address} unit {unit}", unit=unit, timeout_s=timeout_s)
    )
    try:
        await client.connect()
        yield Probe(client, pause_s=pause_s)
    except DeviceError as error:
        # Nobody keeps trying here.
        raise DeviceError(str(error).replace(KEEPS_TRYING, "")) from error
    finally:
        client.close()


async def is_there(probe: Probe) -> bool:
    """Return whether anybody answers as this unit; a refusal is an answer.

    Raises:
        DeviceError: the device does not answer at all.
    """
    span = Span(area=Area.HOLDING_REGISTER, first=PROBED_ADDRESS, end=PROBED_ADDRESS + 1)
    return (await probe.read(span)).exception_code not in _NOBODY


async def find_addresses(
    probe: Probe, *, areas: Sequence[Area], last: int, requests_max: int
) -> tuple[AreaFound, ...]:
    """Return which addresses a unit has.

    Args:
        probe: To the unit.
        areas: Where to look.
        last: Up to which address.
        requests_max: In each area.
    Raises:
        DeviceError: it stopped answering.
    """
    found = []
    for area in areas:
        search = AddressSearch(area, last=last)
        code = count = 0
        while (ask := search.ask) is not None and count < requests_max:
            answer = await probe.read(ask)
            count += 1
            if answer.exception_code == ExceptionCode.ILLEGAL_FUNCTION and count == 1:
                code = answer.exception_code
                search.stop()
            else:
                search.take(is_answered=not answer.exception_code)
        found.append(
            AreaFound(
                area=area,
                spans=search.found,
                exception_code=code,
                is_complete=search.ask is None,
            )
        )
    return tuple(found)

"""Opens the transport of a line: a TCP connection or a serial port."""

import asyncio
import os
import socket
import termios
from contextlib import suppress
from pathlib import Path

from connectors.modbus.line_settings import LineSettings, host_and_port, is_path

BY_ID = Path("/dev/serial/by-id")

_PARITY = {"none": "N", "even": "E", "odd": "O"}


def load_transport(settings: LineSettings) -> None:
    """Load what the line's transport needs: it takes time, so not in the first session."""
    if settings.is_serial:
        import pymodbus.transport.serialtransport  # noqa: F401  # used by name below


async def open_transport(
    protocol: asyncio.Protocol, settings: LineSettings, *, address: str, timeout_s: float
) -> None:
    """Connect a protocol to an address; returns before or after `connection_made`.

    Raises:
        OSError: refused, unreachable, not there, in use, or not there within the timeout.
    """
    async with asyncio.timeout(timeout_s):
        if is_path(address):
            await _open_serial(protocol, settings, path=address)
        else:
            await _open_tcp(protocol, *host_and_port(address), timeout_s=timeout_s)


def stable_path(address: str, by_id: Path = BY_ID) -> Path | None:
    """Return the by-id link to a serial port that is addressed by the order of plugging in."""
    if not is_path(address) or Path(address).parent == by_id:
        return None
    target = os.path.realpath(address)
    with suppress(OSError):
        return next(
            (link for link in sorted(by_id.iterdir()) if os.path.realpath(link) == target), None
        )
    return None


async def _open_tcp(protocol: asyncio.Protocol, host: str, port: int, *, timeout_s: float) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(lambda: protocol, host, port)
    connection = transport.get_extra_info("socket")
    if connection is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        # RFC 5482: a peer that takes in nothing for so long is gone, and the line need not find
        # out by asking one unit after the other.
        timeout_ms = max(1, int(timeout_s * 1000))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)


async def _open_serial(protocol: asyncio.Protocol, settings: LineSettings, *, path: str) -> None:
    # Imported here: pymodbus takes time to load, and only serial ports need it.
    from pymodbus.transport.serialtransport import SerialTransport

    loop = asyncio.get_running_loop()
    try:
        # In a thread: an adapter that is stuck lets the system wait for seconds. The port is
        # opened for us alone, and closes by itself when nobody waits for it any more.
        transport = await asyncio.to_thread(
            SerialTransport,
            loop,
            protocol,
            path,
            settings.baud_bd,
            8,
            _PARITY[settings.parity],
            settings.stop_bits,
            None,
        )
    except (ValueError, termios.error) as error:
        # pyserial lets these two pass, which are no OSErrors.
        raise OSError(f"the port refuses these settings: {error}") from error
    transport.setup()

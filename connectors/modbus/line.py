"""Modbus lines: one owner for each TCP connection and each serial port of the gateway.

All connectors with one address share its line. It opens with the first session on it and closes
with the last; what it learned of its units, and which of its addresses is in use, it keeps.
"""

import asyncio

from connectors.messages import device_error
from connectors.modbus.address_choice import AddressChoice, Ending
from connectors.modbus.line_connection import LineConnection
from connectors.modbus.line_figures import BusyTime, Turnarounds
from connectors.modbus.line_format import SERIAL_CHECK, line_format
from connectors.modbus.line_memory import LineMemory
from connectors.modbus.line_settings import LineSettings, line_differences, line_key
from connectors.modbus.line_transport import load_transport, open_transport
from connectors.modbus.unit_client import UnitClient, monotonic_s
from gateway.core.errors import ConfigError
from gateway.core.ports import Clock

CONNECT_CHECK = "Check that it is switched on, its address, and the network to it."


class Lines:
    """Hands out the lines of a gateway by their addresses."""

    def __init__(self, clock: Clock) -> None:
        """Begin with none."""
        self._clock = clock
        self._lines: dict[str, tuple[str, Line]] = {}

    def line(self, connector: str, settings: LineSettings) -> "Line":
        """Return the line for a connector: that of the connectors with the same address, or new.

        Raises:
            ConfigError: they want other settings of it.
        """
        key = line_key(settings.address)
        if key not in self._lines:
            self._lines[key] = (connector, Line(settings, clock=self._clock))
        owner, line = self._lines[key]
        mistakes = [
            f"connectors.{connector}.{name}: {getattr(settings, name)!r} is not "
            f"{getattr(line.settings, name)!r} as at connectors.{owner}, "
            f"which shares the line {settings.address}"
            for name in line_differences(settings, line.settings)
        ]
        if mistakes:
            raise ConfigError(*mistakes)
        return line


class Line:
    """One TCP connection or serial port, for any number of units."""

    def __init__(self, settings: LineSettings, *, clock: Clock) -> None:
        """Begin closed."""
        load_transport(settings)
        self.settings = settings
        self._clock = clock
        self._format = line_format(settings)
        self._choice = AddressChoice(len(settings.addresses), backup_s_min=settings.backup_s_min)
        self._memory = LineMemory(
            turnarounds=Turnarounds(
                factor=settings.probe_factor, probe_s_min=settings.probe_ms_min / 1000
            ),
            busy=BusyTime(monotonic_s(clock)),
        )
        self._opening = asyncio.Lock()
        self._failed_count = 0
        self._failure_text = ""
        self._connection: LineConnection | None = None

    @property
    def late_answer_count(self) -> int:
        """Answers since the start that nobody waited for any more."""
        return self._memory.late_answer_count

    @property
    def damaged_answer_count(self) -> int:
        """Answers since the start that did not match their check sums; RTU only."""
        return self._memory.damaged_answer_count

    def client(self, *, device: str, unit: int, timeout_s: float) -> UnitClient:
        """Return a session with a unit, unconnected; see `UnitClient`."""
        return UnitClient(
            device=device, unit=unit, timeout_s=timeout_s, clock=self._clock, join=self._join
        )

    async def _join(self, client: UnitClient) -> LineConnection:
        """Open the connection if need be, and give the client its place.

        Whoever waited while another tried in vain shares that failure: a line that cannot be
        opened keeps each of its units no longer than one attempt takes.
        """
        failed_before = self._failed_count
        async with self._opening:
            if self._connection is None:
                if self._failed_count == failed_before:
                    self._connection = await self._open(client.timeout_s)
                if self._connection is None:
                    raise device_error(
                        client.device,
                        "cannot be reached",
                        check=SERIAL_CHECK if self.settings.is_serial else CONNECT_CHECK,
                        expert=self._failure_text,
                    )
            self._connection.add(client)
            return self._connection

    async def _open(self, timeout_s: float) -> LineConnection | None:
        """Try the addresses in turn; None when none can be reached."""
        failures = []
        for index in self._choice.order():
            address = self.settings.addresses[index]
            connection = LineConnection(
                address=address,
                line_format=self._format,
                memory=self._memory,
                clock=self._clock,
                on_end=self._connection_ended,
            )
            is_open = False
            try:
                await open_transport(
                    connection, self.settings, address=address, timeout_s=timeout_s
                )
                is_open = not connection.is_ended
            except OSError as error:  # TimeoutError is one of them
                failures.append(f"{address}: {error!r}")
            finally:
                if not is_open:
                    connection.abort()
            if is_open:
                self._choice.opened(index, monotonic_s(self._clock))
                return connection
        self._failed_count += 1
        self._failure_text = "; ".join(failures) or "closed at once"
        return None

    def _connection_ended(self, connection: LineConnection, ending: Ending) -> None:
        if connection is self._connection:
            self._connection = None
            self._choice.ended(ending, monotonic_s(self._clock))

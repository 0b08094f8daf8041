"""The Modbus connector: scans the registers of one unit at fixed rates.

Every scan group has a task of its own; all share the line with the other units on it. What the
tags of a scan need is planned into few requests beforehand. The device has no clock, so samples
carry the time when their response came. A block that the device refuses makes its own tags Bad,
once, in a frame that says that it is ours; everything else goes on. A device that does not answer
ends the session.
"""

import asyncio
import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from connectors.cancellation import CancellationFirst
from connectors.exchange import Answer, Request
from connectors.line import Lines
from connectors.line_queue import URGENT
from connectors.line_settings import LineSettings
from connectors.messages import device_error
from connectors.modbus_scan import Scan, Surroundings, plan_scan, run_scans
from connectors.plan import REGISTERS_MAX, Block, plan_blocks
from connectors.registers import Area, BlockDecoder, Point, encode_registers
from connectors.taglist import ModbusRow, check_groups, read_modbus_tags
from connectors.unit_client import UnitClient
from gateway.core.arrays import IndexArray
from gateway.core.device_status import ConnectorReport
from gateway.core.errors import CommandError
from gateway.core.events import Event, Transition
from gateway.core.ports import Clock, Sink
from gateway.core.settings import Settings
from gateway.core.tags import Tag

WRITE_PRIORITY = URGENT
"""Before every scan: a scan's priority is its period, 10 ms at the least."""
BACKUP = "backup_address_used"
"""Condition of the events that say which address is in use."""
BACKUP_SEVERITY = 300
FIRST_SEVERITY = 100


class ScanGroup(Settings):
    """Tags that are read together at a rate of their own."""

    period_ms: Annotated[int, Field(ge=10, le=86_400_000)]
    """Time from the start of one scan of the group to the next."""


class ModbusConfig(LineSettings):
    """One unit on a Modbus line."""

    type: Literal["modbus"]
    """Protocol."""
    unit: Annotated[int, Field(ge=0, le=255)] = 1
    """Unit number of the device, or of the one behind a gateway."""
    tags: Path
    """CSV file with the register map, beside the configuration file."""
    period_ms: Annotated[int, Field(ge=10, le=86_400_000)] = 1000
    """Time from the start of one scan to the next, for tags without a group."""
    groups: dict[str, ScanGroup] = Field(default_factory=dict)
    """Periods of the groups that the tag list names."""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 2.0
    """Longest wait for the connection and for every answer; then the device counts as lost."""
    gap_registers_max: Annotated[int, Field(ge=0, le=120)] = 8
    """Unlisted registers in a row that one request may read along, to save a request."""
    block_registers_max: Annotated[int, Field(ge=4, le=REGISTERS_MAX)] = REGISTERS_MAX
    """Longest request, for devices that take less than the standard's 125."""
    stop_s: Annotated[float, Field(gt=0, le=30)] = 2.0
    """Longest wait at a stop for answers that are on their way."""

    @model_validator(mode="after")
    def _check_unit(self) -> "ModbusConfig":
        if self.is_rtu and self.unit == 0:
            raise ValueError(
                "unit: 0 is the broadcast of a serial line: all units would take it and none "
                "answers, so nothing can be read; give the unit's own number, 1 to 247"
            )
        return self


class ModbusConnector:
    """Implements `Connector`."""

    def __init__(
        self,
        name: str,
        config: ModbusConfig,
        *,
        folder: Path,
        clock: Clock,
        lines: Lines | None = None,
    ) -> None:
        """Read the register map and plan the requests.

        Args:
            name: Opens the ids of the tags.
            config: Its settings.
            folder: That of the configuration file; `config.tags` starts there.
            clock: Time.
            lines: Those of the gateway; without, the connector has a line to itself.
        Raises:
            ConfigError: with all mistakes of the register map, or another connector wants the
                line differently.
        """
        rows = read_modbus_tags(folder / config.tags)
        check_groups(
            [row.entry for row in rows], config.groups, file=config.tags.name, connector=name
        )
        self.name = name
        self.address = f"{config.address} unit {config.unit}"
        self.tags = tuple(row.entry.tag(name) for row in rows)
        self._config = config
        self._clock = clock
        self._points = {tag.id: row.point for tag, row in zip(self.tags, rows, strict=True)}
        self._scans = _plan_scans(config, rows)
        self._line = (lines or Lines(clock)).line(name, config)
        self._client: UnitClient | None = None
        self._address_noted = config.address

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The requests of one scan of every group; for `check`."""
        return tuple(member.block for scan in self._scans for member in scan.blocks)

    async def session(self, sink: Sink, indices: IndexArray) -> None:
        """Connect and scan until cancelled; see `Connector`."""
        assert len(indices) == len(self.tags)
        client = self._line.client(
            device=self._device, unit=self._config.unit, timeout_s=self._config.timeout_s
        )
        around = Surroundings(
            device=self._device,
            client=client,
            sink=sink,
            indices=indices,
            stop_s=self._config.stop_s,
            clock=self._clock,
        )
        with CancellationFirst():
            try:
                await client.connect()
                self._client = client
                self._note_address(client.address, sink)
                await run_scans(self._scans, around)
            finally:
                self._client = None
                client.close()

    async def write(self, tag: Tag, value: float) -> float:
        """Write one value in engineering units and return what is read back."""
        point = self._points[tag.id]
        if not tag.writable:
            raise CommandError(f"{tag.id} is not declared writable")
        try:
            request = _write_request(point, (value - tag.offset) / tag.scale)
        except ValueError as error:
            raise CommandError(f"{tag.id}: {error}") from error
        await self._ask(tag, request)
        [block] = plan_blocks([point], gap_max=0)
        answer = await self._ask(tag, Request(block.pdu, block.payload_size))
        raw = BlockDecoder([point], start=block.start).decode(answer.payload)[0]
        return float(raw) * tag.scale + tag.offset

    def report(self) -> ConnectorReport:
        """Return what it knows of its own doings."""
        return ConnectorReport() if self._client is None else self._client.report()

    @property
    def _device(self) -> str:
        """Name and address, for messages."""
        return f"{self.name} ({self.address})"

    def _note_address(self, address: str, sink: Sink) -> None:
        """Say which address is in use when it is another than before."""
        if address == self._address_noted:
            return
        self._address_noted = address
        is_first = address == self._config.address
        sink.note(
            Event(
                time_ns=self._clock.now_ns(),
                source=self.name,
                condition=BACKUP,
                severity=FIRST_SEVERITY if is_first else BACKUP_SEVERITY,
                transition=Transition.RETURNED if is_first else Transition.RAISED,
                text=f"{self.name} is connected to its {'first' if is_first else 'backup'} "
                f"address {address}",
            )
        )

    async def _ask(self, tag: Tag, request: Request) -> Answer:
        """Send one request before all scans, and return its answer."""
        client = self._client
        if client is None:
            raise device_error(
                self._device,
                "is not connected",
                check="Write again when it is.",
                expert=f"write {tag.id}",
            )
        exchange = client.submit([request], priority=WRITE_PRIORITY)
        try:
            await exchange.more()
        except asyncio.CancelledError:
            client.withdraw(exchange)
            raise
        [(_, answer)] = exchange.take()
        if answer.exception_code:
            raise device_error(
                self._device,
                f"refuses a write to {tag.id}",
                check="Check the address, the value, and whether the device allows writes.",
                expert=f"exception {answer.exception_code}, request {request.pdu.hex(' ')}",
            )
        return answer


def _plan_scans(config: ModbusConfig, rows: Sequence[ModbusRow]) -> tuple[Scan, ...]:
    """Return the scans of all groups."""
    scans = []
    for group in sorted({row.entry.group for row in rows}):
        positions = [index for index, row in enumerate(rows) if row.entry.group == group]
        scans.append(
            plan_scan(
                [rows[index].point for index in positions],
                positions,
                period_ms=config.groups[group].period_ms if group else config.period_ms,
                gap_max=config.gap_registers_max,
                registers_max=config.block_registers_max,
            )
        )
    return tuple(scans)


def _write_request(point: Point, raw: float) -> Request:
    """Return the request that writes a raw value (Modbus 6.5, 6.6, 6.12).

    Raises:
        ValueError: the point cannot hold it.
    """
    if not math.isfinite(raw):
        raise ValueError(f"{raw} cannot be written")
    if point.area is Area.COIL:
        pdu = struct.pack(">BHH", 5, point.address, 0xFF00 if raw else 0)
        return Request(pdu, 4)
    octets = encode_registers(point, raw)
    if point.size == 1:
        return Request(struct.pack(">BH", 6, point.address) + octets, 4)
    head = struct.pack(">BHHB", 16, point.address, point.size, len(octets))
    return Request(head + octets, 4)

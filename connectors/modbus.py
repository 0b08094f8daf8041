"""The Modbus TCP connector: scans the registers of one unit at fixed rates.

Every scan group has a task of its own on one connection; what the tags of a scan need is planned
into few requests beforehand. The device has no clock, so samples carry the time when their
response came. An address that the device refuses is found and set aside: its tag becomes Bad,
once, in a frame that says that it is ours; everything else goes on. A device that does not answer
ends the session; what was learned of it (refused addresses, its timing) is kept for the next one.
"""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from connectors.bus_time import TCP_TIMING, BusForecast
from connectors.cancellation import CancellationFirst
from connectors.device_events import RefusalEvents
from connectors.learned import Learned
from connectors.mbap import Answer, MbapClient, Request
from connectors.messages import device_error
from connectors.modbus_scan import Surroundings, run_scans
from connectors.modbus_write import (
    OTHER_REMEDY,
    REMEDIES,
    changed_register_request,
    mask_request,
    register_request,
    write_request,
)
from connectors.plan import Block, block_of
from connectors.plan_settings import PlanSettings, check_rows
from connectors.point_group import GroupPoint, PointGroup
from connectors.registers import BlockDecoder, NumberType, Point
from connectors.schedule_watch import ScheduleWatch
from connectors.set_aside import SetAsidePoints
from connectors.taglist import ModbusRow, check_groups, read_modbus_tags
from connectors.text_watch import TextWatch
from gateway.core.arrays import IndexArray
from gateway.core.device_status import ConnectorReport
from gateway.core.errors import CommandError, ConfigError
from gateway.core.ports import Clock, Sink
from gateway.core.settings import Settings
from gateway.core.tags import Tag, TagId

PORT = 502
WRITE_PRIORITY = 0
"""Before every scan: a scan's priority is its period, 10 ms at the least."""

_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]]+)(:(?P<port>\d{1,5}))?")


class ScanGroup(Settings):
    """Tags that are read together at a rate of their own."""

    period_ms: Annotated[int, Field(ge=10, le=86_400_000)]
    """Time from the start of one scan of the group to the next."""


class ModbusConfig(PlanSettings):
    """One unit on a Modbus TCP device."""

    type: Literal["modbus"]
    """Protocol."""
    address: str
    """Where the device listens, as `host:port`; the port is 502 when left out."""
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
    requests_in_flight_max: Annotated[int, Field(ge=1, le=16)] = 1
    """Requests sent before the first is answered; many devices take only one."""
    stop_s: Annotated[float, Field(gt=0, le=30)] = 2.0
    """Longest wait at a stop for answers that are on their way."""

    @field_validator("address")
    @classmethod
    def _check_address(cls, address: str) -> str:
        host_and_port(address)
        return address


def host_and_port(address: str) -> tuple[str, int]:
    """Return the two parts of `host:port`.

    Raises:
        ValueError: it is not of that form.
    """
    match = _ADDRESS.fullmatch(address)
    port = int(match["port"] or PORT) if match else 0
    if match is None or not 0 < port < 1 << 16:
        raise ValueError(f"{address!r} is not host:port, such as 10.0.4.17:502")
    return match["host"].strip("[]"), port


class ModbusConnector:
    """Implements `Connector`."""

    def __init__(self, name: str, config: ModbusConfig, *, folder: Path, clock: Clock) -> None:
        """Read the register map and plan the requests.

        Args:
            name: Opens the ids of the tags.
            config: Its settings.
            folder: That of the configuration file; `config.tags` starts there.
            clock: Time.
        Raises:
            ConfigError: with all mistakes of the register map.
        """
        rows = read_modbus_tags(folder / config.tags)
        _check(rows, config, connector=name)
        self.name = name
        self.address = f"{config.address} unit {config.unit}"
        # Text has no samples, and therefore no tag: it is told in events.
        numbers = [row for row in rows if not row.point.is_text]
        self.tags = tuple(row.entry.tag(name) for row in numbers)
        self._config = config
        self._clock = clock
        self._points = {tag.id: row.point for tag, row in zip(self.tags, numbers, strict=True)}
        self._learned = Learned(config.rules, TCP_TIMING)
        self._groups = _point_groups(name, config, rows, self._learned)
        self._schedule = ScheduleWatch(name, self._learned, self._groups, clock)
        self._texts = TextWatch(name)
        self._refusals = RefusalEvents(name)
        self._client: MbapClient | None = None

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The requests of one scan of every group; for `check`."""
        return tuple(block for group in self._groups for block in group.load.blocks)

    def forecast(self) -> BusForecast:
        """Return what the scans take of the line's time: an estimate before it was measured."""
        return self._schedule.forecast()

    async def session(self, sink: Sink, indices: IndexArray) -> None:
        """Connect and scan until cancelled; see `Connector`."""
        assert len(indices) == len(self.tags)
        client = MbapClient(
            device=self._device,
            unit=self._config.unit,
            in_flight_max=self._config.requests_in_flight_max,
            timeout_s=self._config.timeout_s,
            clock=self._clock,
        )
        around = Surroundings(
            device=self._device,
            client=client,
            sink=sink,
            indices=indices,
            stop_s=self._config.stop_s,
            clock=self._clock,
            learned=self._learned,
            texts=self._texts,
            refusals=self._refusals,
            schedule=self._schedule,
        )
        with CancellationFirst():
            try:
                await client.connect(*host_and_port(self._config.address))
                self._client = client
                await run_scans(self._groups, around)
            finally:
                self._client = None
                client.close()

    async def write(self, tag: Tag, value: float) -> float:
        """Write one value in engineering units and return what is read back."""
        point = self._points[tag.id]
        if not tag.writable:
            raise CommandError(
                f"{tag.id} is not declared writable: set `writable` in its tag list if it is meant "
                "to be"
            )
        try:
            await self._write_raw(tag, point, (value - tag.offset) / tag.scale)
        except ValueError as error:
            raise CommandError(
                f"{tag.id}: {error}; {value:g} {tag.unit} is what was asked for: check the value, "
                "and `type`, `scale` and `offset` in its tag list"
            ) from error
        block = block_of([point], [0], self._config.rules)
        answer = await self._ask(tag, Request(block.pdu, block.payload_size))
        raw = BlockDecoder([point], start=block.start).decode(answer.payload)[0]
        return float(raw) * tag.scale + tag.offset

    def report(self) -> ConnectorReport:
        """Return what it knows of its own doings."""
        return ConnectorReport(
            set_aside=tuple(each for group in self._groups for each in group.set_aside)
        )

    @property
    def _device(self) -> str:
        """Name and address, for messages."""
        return f"{self.name} ({self.address})"

    async def _write_raw(self, tag: Tag, point: Point, raw: float) -> None:
        """Write one value as the device holds it.

        Raises:
            ValueError: the point cannot hold it; nothing was sent.
        """
        functions = self._config.write_functions
        if point.type is not NumberType.BIT:
            request = write_request(point, raw, functions)
        elif self._config.bit_writes == "mask":
            request = mask_request(point, raw)
        else:
            # Checked before anything is sent: the register is not even read for a wrong value.
            changed_register_request(point, raw, bytes(2), functions)
            before = await self._ask(tag, register_request(point))
            request = changed_register_request(point, raw, before.payload, functions)
        await self._ask(tag, request)

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
                check=REMEDIES.get(answer.exception_code, OTHER_REMEDY),
                expert=f"exception {answer.exception_code}, request {request.pdu.hex(' ')}",
            )
        return answer


def _check(rows: Sequence[ModbusRow], config: ModbusConfig, *, connector: str) -> None:
    """Check the register map against the configuration.

    Raises:
        ConfigError: with every mistake.
    """
    file = config.tags.name
    mistakes: list[str] = []
    try:
        check_groups([row.entry for row in rows], config.groups, file=file, connector=connector)
    except ConfigError as error:
        mistakes.extend(error.mistakes)
    try:
        check_rows(rows, config, file=file, connector=connector)
    except ConfigError as error:
        mistakes.extend(error.mistakes)
    if mistakes:
        raise ConfigError(*mistakes)


def _point_groups(
    connector: str, config: ModbusConfig, rows: Sequence[ModbusRow], learned: Learned
) -> tuple[PointGroup, ...]:
    """Return the groups with their plans."""
    members: dict[str, list[GroupPoint]] = {}
    position = 0
    for row in rows:
        members.setdefault(row.entry.group, []).append(
            GroupPoint(
                point=row.point,
                tag=TagId(f"{connector}.{row.entry.name}"),
                position=-1 if row.point.is_text else position,
            )
        )
        position += not row.point.is_text
    return tuple(
        PointGroup(
            members[group],
            learned,
            name=group,
            period_ms=config.groups[group].period_ms if group else config.period_ms,
            requests_max=config.isolation_requests_max,
            set_aside=SetAsidePoints(
                [member.point for member in members[group]],
                first_s=config.retry_first_s,
                cap_s=config.retry_cap_s,
            ),
        )
        for group in sorted(members)
    )

"""The Modbus connector: scans the registers of one unit at fixed rates.

Every scan group has a task of its own; all share the line with the other units on it. What the
tags of a scan need is planned into few requests beforehand. The device has no clock, so samples
carry the time when their response came. An address that the device refuses is found and set aside:
its tag becomes Bad, once, in a frame that says that it is ours; everything else goes on. A device
that does not answer ends the session; what was learned of it (refused addresses, its timing) is
kept for the next one.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from connectors.cancellation import CancellationFirst
from connectors.messages import device_error
from connectors.modbus.bus_time import TCP_TIMING, BusForecast, serial_timing
from connectors.modbus.device_events import RefusalEvents
from connectors.modbus.exchange import Answer, Request
from connectors.modbus.learned import Learned
from connectors.modbus.line import Lines
from connectors.modbus.line_queue import URGENT
from connectors.modbus.line_settings import LineSettings
from connectors.modbus.plan import Block, ReadTiming, block_of
from connectors.modbus.plan_settings import PlanSettings, check_rows
from connectors.modbus.point_group import GroupPoint, PointGroup
from connectors.modbus.registers import BlockDecoder, NumberType, Point
from connectors.modbus.scan import Surroundings, run_scans
from connectors.modbus.schedule_watch import ScheduleWatch
from connectors.modbus.set_aside import SetAsidePoints
from connectors.modbus.tags import ModbusRow, read_modbus_tags
from connectors.modbus.unit_client import UnitClient
from connectors.modbus.waveform import (
    WaveformMemory,
    WaveformReader,
    WaveformSettings,
    WaveformSurroundings,
)
from connectors.modbus.write import (
    OTHER_REMEDY,
    REMEDIES,
    changed_register_request,
    mask_request,
    register_request,
    write_request,
)
from connectors.news import News
from connectors.taglist import check_groups
from connectors.text_watch import TextWatch
from connectors.waveforms import WaveformTags
from gateway.core.arrays import IndexArray
from gateway.core.device_status import ConnectorReport
from gateway.core.errors import CommandError, ConfigError
from gateway.core.events import Event, Transition
from gateway.core.ports import Clock, Sink
from gateway.core.settings import Settings
from gateway.core.tags import Tag, TagId

WRITE_PRIORITY = URGENT
"""Before every scan: a scan's priority is its period, 10 ms at the least."""
BACKUP = "backup_address_used"
"""Condition of the events that say which address is in use."""
BACKUP_SEVERITY = 300
FIRST_SEVERITY = 100


WaveformName = Annotated[str, Field(pattern=r"^[\w.:\[\]-]+$")]
"""As a tag of a tag list is called."""


class ScanGroup(Settings):
    """Tags that are read together at a rate of their own."""

    period_ms: Annotated[int, Field(ge=10, le=86_400_000)]
    """Time from the start of one scan of the group to the next."""


class ModbusConfig(PlanSettings, LineSettings):
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
    waveforms: dict[WaveformName, WaveformSettings] = Field(default_factory=dict)
    """Buffers of samples, each a tag of its own, by the tag's name."""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 2.0
    """Longest wait for the connection and for every answer; then the device counts as lost."""
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
        _check(rows, config, connector=name)
        self.name = name
        self.address = f"{config.address} unit {config.unit}"
        # Text has no samples, and therefore no tag: it is told in events.
        numbers = [row for row in rows if not row.point.is_text]
        waves = config.waveforms.items()
        self.tags = (
            *(row.entry.tag(name) for row in numbers),
            *(settings.tag(name, wave) for wave, settings in waves),
        )
        self._waveform_memory = [WaveformMemory() for _ in waves]
        self._waveform_ends_ns: dict[int, int] = {}
        self._config = config
        self._clock = clock
        self._points = {tag.id: row.point for tag, row in zip(self.tags, numbers, strict=False)}
        self._learned = Learned(config.rules, _first_timing(config))
        self._groups = _point_groups(name, config, rows, self._learned)
        self._schedule = ScheduleWatch(name, self._learned, self._groups, clock)
        self._texts = TextWatch()
        self._refusals = RefusalEvents(name)
        self._line = (lines or Lines(clock)).line(name, config)
        self._client: UnitClient | None = None
        self._address_noted = config.address

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
        client = self._line.client(
            device=self._device, unit=self._config.unit, timeout_s=self._config.timeout_s
        )
        news = News(sink, source=self.name, clock=self._clock)
        around = Surroundings(
            device=self._device,
            client=client,
            sink=sink,
            indices=indices,
            stop_s=self._config.stop_s,
            clock=self._clock,
            learned=self._learned,
            texts=self._texts,
            news=news,
            refusals=self._refusals,
            schedule=self._schedule,
        )
        with CancellationFirst():
            try:
                await client.connect()
                self._client = client
                self._note_address(client.address, sink)
                await run_scans(self._groups, around, self._waveforms(around))
            finally:
                self._client = None
                client.close()
                news.close()

    def _waveforms(self, around: Surroundings) -> list[WaveformReader]:
        """Return the readers of the buffers for a session; their tags follow the others."""
        settings = list(self._config.waveforms.values())
        first = len(self.tags) - len(settings)
        rates_hz = {first + place: each.rate_hz for place, each in enumerate(settings)}
        shared = WaveformSurroundings(
            device=around.device,
            client=around.client,
            sink=around.sink,
            tags=WaveformTags(rates_hz, around.indices, self._waveform_ends_ns),
            rules=self._config.rules,
            clock=self._clock,
        )
        return [
            WaveformReader(
                each,
                first + place,
                int(around.indices[first + place]),
                self._waveform_memory[place],
                shared,
            )
            for place, each in enumerate(settings)
        ]

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
        line = ConnectorReport() if self._client is None else self._client.report()
        set_aside = tuple(each for group in self._groups for each in group.set_aside)
        return replace(line, set_aside=set_aside)

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


def _first_timing(config: ModbusConfig) -> ReadTiming:
    """Return what reading costs on the line, before anything is known of the device."""
    timing = serial_timing(config.baud_bd) if config.is_serial else TCP_TIMING
    return replace(timing, request_ms=timing.request_ms + config.pause_between_requests_ms)


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

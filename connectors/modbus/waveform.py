"""Waveforms over Modbus: a buffer of registers that the device fills, and a counter that it moves.

When the counter has moved the buffer is read, in as many requests as it takes, and the counter
once more. If it moved meanwhile the values are of two buffers: they are thrown away and counted,
and the next look reads again. The device has no clock, so the last value has the time when the
counter was found to have moved.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final, NoReturn

import numpy as np
import structlog
from pydantic import Field, model_validator

from connectors.columns import stated_frame
from connectors.modbus.exceptions import exception_text, status_of
from connectors.modbus.exchange import Answer, Request
from connectors.modbus.plan import Block, ReadRules, block_of
from connectors.modbus.point_text import parse_point
from connectors.modbus.registers import BlockDecoder, ByteOrder, NumberType, Point
from connectors.modbus.unit_client import UnitClient
from connectors.scan_clock import ScanClock
from connectors.waveforms import RATE_HZ_MAX, WaveformTags
from gateway.core.arrays import FloatArray, index_column
from gateway.core.frame import ClockSource
from gateway.core.ports import Clock, Sink
from gateway.core.settings import Settings
from gateway.core.tags import Tag, TagId

VALUES_MAX: Final = 16_384
"""In one buffer: the registers of an area are 65,536."""
TORN_TOLD: Final = 5
"""Torn buffers in a row after which it is said: the device is faster than the line."""

_NS_PER_MS: Final = 1_000_000

log = structlog.get_logger()


class WaveformSettings(Settings):
    """A buffer that a device fills with the values of one signal."""

    address: str
    """Of the first value, as in the register map, such as `input:1000`."""
    type: NumberType = NumberType.INT16
    """How a value stands in registers."""
    order: ByteOrder = ByteOrder.ABCD
    """Of its bytes on the wire."""
    count: Annotated[int, Field(ge=2, le=VALUES_MAX)]
    """Values in the buffer, the oldest first."""
    rate_hz: Annotated[float, Field(gt=0, le=RATE_HZ_MAX)]
    """At which the device samples."""
    counter: str
    """Address of a register that the device changes whenever the buffer is new."""
    period_ms: Annotated[int, Field(ge=10, le=86_400_000)] = 1000
    """How often to look at the counter."""
    unit: str = ""
    """Of the values (UCUM)."""
    scale: float = 1.0
    """Engineering value = raw value times scale."""

    @model_validator(mode="after")
    def _check(self) -> "WaveformSettings":
        counter = parse_point(self.counter, NumberType.UINT16, ByteOrder.ABCD)
        points = _points(self)
        if points[0].area.is_bits or counter.area.is_bits or points[0].is_text:
            raise ValueError("a waveform and its counter are numbers in registers")
        if points[-1].end > 1 << 16:
            raise ValueError(f"{self.count} values from {self.address} on go beyond 65535")
        return self

    def tag(self, connector: str, name: str) -> Tag:
        """Return the tag of its values."""
        return Tag(id=TagId(f"{connector}.{name}"), unit=self.unit, scale=self.scale)


@dataclass(slots=True, kw_only=True)
class WaveformMemory:
    """What outlives a session."""

    counter: int | None = None
    """As last read with a whole buffer."""
    torn_count: int = 0
    """Buffers thrown away because they changed while they were read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveformSurroundings:
    """What the waveforms of one session share."""

    device: str
    """Name and address, for messages."""
    client: UnitClient
    sink: Sink
    tags: WaveformTags
    rules: ReadRules
    clock: Clock


class WaveformReader:
    """Reads one buffer in one session."""

    def __init__(
        self,
        settings: WaveformSettings,
        position: int,
        tag_index: int,
        memory: WaveformMemory,
        around: WaveformSurroundings,
    ) -> None:
        """Plan the requests.

        Args:
            settings: Of the buffer.
            position: Of its tag among the connector's.
            tag_index: Position of the tag in the tag table.
            memory: Of former sessions.
            around: See there.
        """
        self._settings = settings
        self._position = position
        self._tag_index = tag_index
        self._memory = memory
        self._around = around
        counter = parse_point(settings.counter, NumberType.UINT16, ByteOrder.ABCD)
        self._counter = _Part.of([counter], around.rules)
        points = _points(settings)
        step = max(1, around.rules.registers_max // points[0].size)
        self._parts = [
            _Part.of(points[first : first + step], around.rules)
            for first in range(0, len(points), step)
        ]
        self._torn_in_a_row = 0
        self._refusal = 0

    async def run(self) -> NoReturn:
        """Look and read until cancelled.

        Raises:
            DeviceError: the connection ended.
        """
        clock = ScanClock(period_ns=self._settings.period_ms * _NS_PER_MS, clock=self._around.clock)
        while True:
            await clock.next_slot()
            await self._look()

    async def _look(self) -> None:
        before = await self._read([self._counter])
        if before is None or int(before[0][0]) == self._memory.counter:
            return
        found_ns = self._around.clock.now_ns()
        arrival_ns = self._around.clock.monotonic_ns()
        values = await self._read([*self._parts, self._counter])
        if values is None:
            return
        if self._refusal:
            self._refusal = 0
            log.info("waveform_given", device=self._around.device, address=self._settings.address)
        *parts, after = values
        if int(after[0]) != int(before[0][0]):
            self._note_torn()
            return
        self._torn_in_a_row = 0
        self._memory.counter = int(after[0])
        frame = self._around.tags.frame(
            self._position,
            np.concatenate(parts).tolist(),
            status=0,
            end_ns=found_ns,
            received_ns=found_ns,
            arrival_ns=arrival_ns,
            clock=ClockSource.GATEWAY,
        )
        if frame is not None:
            await self._around.sink.emit(frame)

    async def _read(self, parts: Sequence["_Part"]) -> list[FloatArray] | None:
        """Return what stands in some parts; None when the device refuses one of them."""
        client = self._around.client
        exchange = client.submit(
            [part.request for part in parts], priority=self._settings.period_ms
        )
        answers: dict[int, Answer] = {}
        try:
            while not exchange.is_complete:
                await exchange.more()
                answers |= dict(exchange.take())
        except asyncio.CancelledError:
            client.withdraw(exchange)
            raise
        for answer in answers.values():
            if answer.exception_code:
                await self._refused(answer)
                return None
        return [part.values(answers[place].payload) for place, part in enumerate(parts)]

    async def _refused(self, answer: Answer) -> None:
        """Say once that the device does not give the buffer."""
        if answer.exception_code == self._refusal:
            return
        self._refusal = answer.exception_code
        log.warning(
            "waveform_refused",
            device=self._around.device,
            address=self._settings.address,
            reason=exception_text(answer.exception_code),
            stage="receiving",
        )
        await self._around.sink.emit(
            stated_frame(
                index_column([self._tag_index]),
                status=status_of(answer.exception_code),
                received_ns=answer.received_ns,
                arrival_ns=answer.arrival_ns,
            )
        )

    def _note_torn(self) -> None:
        self._memory.torn_count += 1
        self._torn_in_a_row += 1
        if self._torn_in_a_row == TORN_TOLD:
            log.warning(
                "waveform_torn",
                device=self._around.device,
                address=self._settings.address,
                count=self._memory.torn_count,
                stage="receiving",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What one request reads of a buffer."""

    request: Request
    decoder: BlockDecoder

    @classmethod
    def of(cls, points: Sequence[Point], rules: ReadRules) -> "_Part":
        """Return what reads neighbouring points in one request."""
        block: Block = block_of(points, range(len(points)), rules)
        return cls(
            request=Request(block.pdu, block.payload_size),
            decoder=BlockDecoder(points, start=block.start),
        )

    def values(self, payload: bytes) -> FloatArray:
        """Return the values in the order of the points."""
        decoded = self.decoder.decode(payload)
        values = np.empty(len(decoded))
        values[np.asarray(self.decoder.order)] = decoded
        return values


def _points(settings: WaveformSettings) -> list[Point]:
    first = parse_point(settings.address, settings.type, settings.order)
    return [replace(first, address=first.address + k * first.size) for k in range(settings.count)]

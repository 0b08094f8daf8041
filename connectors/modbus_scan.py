"""One session of the Modbus connector: the scans of all groups on one connection."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import structlog

from connectors.exchange import Answer, ExceptionCode, Exchange, Request
from connectors.outbox import Outbox
from connectors.plan import Block, plan_blocks
from connectors.registers import BlockDecoder, Point
from connectors.scan_clock import ScanClock
from connectors.unit_client import UnitClient
from gateway.core.arrays import FloatArray, IndexArray, index_column
from gateway.core.errors import DeviceError
from gateway.core.frame import Frame
from gateway.core.ports import Clock, Sink
from gateway.core.quality import Status

NS_PER_MS = 1_000_000

STATUS_BY_EXCEPTION: dict[int, Status] = {
    ExceptionCode.ILLEGAL_FUNCTION: Status.BAD_NODE_ID_UNKNOWN,
    ExceptionCode.ILLEGAL_DATA_ADDRESS: Status.BAD_NODE_ID_UNKNOWN,
    ExceptionCode.ILLEGAL_DATA_VALUE: Status.BAD_NODE_ID_UNKNOWN,
    ExceptionCode.GATEWAY_PATH_UNAVAILABLE: Status.BAD_NO_COMMUNICATION,
    ExceptionCode.GATEWAY_TARGET_FAILED_TO_RESPOND: Status.BAD_NO_COMMUNICATION,
}
"""Any other exception is BAD_DEVICE_FAILURE."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScanBlock:
    """One request of a scan, and how to read its answer."""

    block: Block
    request: Request
    decoder: BlockDecoder
    tags: IndexArray
    """Position among the connector's tags of each value that the decoder gives, shape (n,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What one group reads at one rate."""

    period_ms: int
    blocks: tuple[ScanBlock, ...]
    tag_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the scans of one session share."""

    device: str
    """Name and address, for messages."""
    client: UnitClient
    sink: Sink
    indices: IndexArray
    """Position in the tag table of each of the connector's tags."""
    stop_s: float
    """Longest wait at a stop for answers on their way."""
    clock: Clock


def plan_scan(
    points: Sequence[Point],
    positions: Sequence[int],
    *,
    period_ms: int,
    gap_max: int,
    registers_max: int,
) -> Scan:
    """Return how to read some points at one rate.

    Args:
        points: What to read.
        positions: Position of each point among the connector's tags.
        period_ms: From the start of one scan to the next.
        gap_max: See `plan_blocks`.
        registers_max: See `plan_blocks`.
    """
    blocks = []
    for block in plan_blocks(points, gap_max=gap_max, registers_max=registers_max):
        decoder = BlockDecoder([points[member] for member in block.members], start=block.start)
        blocks.append(
            ScanBlock(
                block=block,
                request=Request(block.pdu, block.payload_size),
                decoder=decoder,
                tags=index_column([positions[block.members[index]] for index in decoder.order]),
            )
        )
    return Scan(period_ms=period_ms, blocks=tuple(blocks), tag_count=len(points))


async def run_scans(scans: Sequence[Scan], around: Surroundings) -> NoReturn:
    """Run all scans until cancelled, or until the connection ends.

    Raises:
        DeviceError: it ended.
    """
    greeting = _Greeting(around.sink)
    # No TaskGroup: in Python 3.11 it marks its own task as cancelled when a child fails, and then
    # a real cancellation cannot be told from a lost device (see `cancellation`).
    tasks = [
        asyncio.create_task(_Scanner(scan, around, greeting).run(), name=f"scan[{scan.period_ms}]")
        for scan in scans
    ]
    tasks.append(asyncio.create_task(around.client.ended(), name="connection"))
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    raise next(error for task in ended if (error := task.exception()) is not None)


class _Greeting:
    """Tells the sink once, before the first frame, that the device answers."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._is_said = False

    def say(self) -> None:
        """Say it, if it was not said."""
        if not self._is_said:
            self._is_said = True
            self._sink.connected()


class _Scanner:
    """Runs the scans of one group in one session."""

    def __init__(self, scan: Scan, around: Surroundings, greeting: _Greeting) -> None:
        self._scan = scan
        self._around = around
        self._greeting = greeting
        self._outbox = Outbox(around.sink)
        self._requests = [member.request for member in scan.blocks]
        self._tag_index = [index_column(around.indices[member.tags]) for member in scan.blocks]
        self._refusals = [0] * len(scan.blocks)
        """Exception code that each block gave last; 0 for values."""

    async def run(self) -> NoReturn:
        """Scan at the group's rate."""
        clock = ScanClock(period_ns=self._scan.period_ms * NS_PER_MS, clock=self._around.clock)
        while True:
            slot = await clock.next_slot()
            if slot.skipped_count:
                self._report_skipped(slot.skipped_count)
            exchange = self._around.client.submit(self._requests, priority=self._scan.period_ms)
            try:
                await self._collect(exchange)
            except asyncio.CancelledError:
                await self._finish(exchange)
                raise

    async def _collect(self, exchange: Exchange) -> None:
        """Hand over what is answered, as it comes, until all is."""
        while True:
            await self._outbox.flush()
            if exchange.is_complete:
                return
            await exchange.more()
            self._greeting.say()
            self._sort_in(exchange.take())

    async def _finish(self, exchange: Exchange) -> None:
        """Hand over what the device was asked for already; ask for nothing more."""
        self._around.client.withdraw(exchange)
        try:
            async with asyncio.timeout(self._around.stop_s):
                await self._collect(exchange)
        except (TimeoutError, DeviceError) as error:
            if self._outbox.sample_count:
                log.error(
                    "received_samples_dropped",
                    device=self._around.device,
                    count=self._outbox.sample_count,
                    reason=repr(error),
                    stage="receiving",
                )

    def _sort_in(self, answers: Sequence[tuple[int, Answer]]) -> None:
        """Put the answered values into one frame, and each new refusal into one of its own."""
        good: list[tuple[IndexArray, FloatArray, Answer]] = []
        for position, answer in answers:
            if answer.exception_code != self._refusals[position]:
                self._note_change(position, answer)
            if not answer.exception_code:
                values = self._scan.blocks[position].decoder.decode(answer.payload)
                good.append((self._tag_index[position], values, answer))
        if good:
            self._outbox.put(_received_frame(good))

    def _note_change(self, position: int, answer: Answer) -> None:
        """Say that a block is refused now; that it is no longer, its values say themselves."""
        code = answer.exception_code
        self._refusals[position] = code
        block = str(self._scan.blocks[position].block)
        if not code:
            log.info("block_restored", device=self._around.device, block=block)
            return
        log.warning(
            "block_refused",
            device=self._around.device,
            block=block,
            exception_code=code,
            stage="receiving",
        )
        status = STATUS_BY_EXCEPTION.get(code, Status.BAD_DEVICE_FAILURE)
        self._outbox.put(_stated_frame(self._tag_index[position], status, answer))

    def _report_skipped(self, slot_count: int) -> None:
        """Tell the sink about scans that could not start in time."""
        now_ns = self._around.clock.now_ns()
        self._around.sink.skipped(
            from_ns=now_ns - slot_count * self._scan.period_ms * NS_PER_MS,
            to_ns=now_ns,
            count=slot_count * self._scan.tag_count,
        )


def _received_frame(good: Sequence[tuple[IndexArray, FloatArray, Answer]]) -> Frame:
    """Return the values of several answers; one that is no number is Bad, and NaN."""
    value = np.concatenate([values for _, values, _ in good])
    status = np.zeros(len(value), dtype=np.uint32)
    is_number = np.isfinite(value)
    if not is_number.all():
        status[~is_number] = Status.BAD_OUT_OF_RANGE
        value[~is_number] = np.nan
    first = good[0][2]
    return Frame(
        tag_index=np.concatenate([tags for tags, _, _ in good]),
        time_ns=np.repeat(
            np.array([answer.received_ns for _, _, answer in good], dtype=np.int64),
            [len(values) for _, values, _ in good],
        ),
        value=value,
        status=status,
        received_ns=first.received_ns,
        arrival_ns=first.arrival_ns,
    )


def _stated_frame(tag_index: IndexArray, status: Status, answer: Answer) -> Frame:
    """Return what we say of tags that the device refuses."""
    count = len(tag_index)
    return Frame(
        tag_index=tag_index,
        time_ns=np.full(count, answer.received_ns, dtype=np.int64),
        value=np.full(count, np.nan),
        status=np.full(count, status, dtype=np.uint32),
        received_ns=answer.received_ns,
        arrival_ns=answer.arrival_ns,
        is_received=False,
    )

"""One session of the Modbus connector: the scans of all groups on one connection."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import structlog

from connectors.columns import stated_frame
from connectors.greeting import Greeting
from connectors.modbus.block_read import Read
from connectors.modbus.device_events import RefusalEvents
from connectors.modbus.exceptions import exception_text, status_of
from connectors.modbus.exchange import Answer, Exchange
from connectors.modbus.learned import Learned
from connectors.modbus.point_group import PointGroup
from connectors.modbus.registers import decode_text
from connectors.modbus.schedule_watch import ScheduleWatch
from connectors.modbus.unit_client import UnitClient
from connectors.modbus.waveform import WaveformReader
from connectors.news import News
from connectors.outbox import Outbox
from connectors.scan_clock import ScanClock
from connectors.session_tasks import run_together
from connectors.text_watch import TextWatch
from gateway.core.arrays import FloatArray, IndexArray, index_column
from gateway.core.errors import DeviceError
from gateway.core.frame import ClockSource, Frame
from gateway.core.ports import Clock, Sink
from gateway.core.quality import Status

NS_PER_MS = 1_000_000

log = structlog.get_logger()


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
    learned: Learned
    texts: TextWatch
    news: News
    refusals: RefusalEvents
    schedule: ScheduleWatch


async def run_scans(
    groups: Sequence[PointGroup], around: Surroundings, waveforms: Sequence[WaveformReader]
) -> NoReturn:
    """Run all scans, and look for waveforms, until cancelled, or until the connection ends.

    Raises:
        DeviceError: it ended.
    """
    greeting = Greeting(around.sink)
    tasks = [
        asyncio.create_task(
            _Scanner(group, around, greeting).run(), name=f"scan[{group.period_ms}]"
        )
        for group in groups
    ]
    tasks += [asyncio.create_task(reader.run(), name="waveform") for reader in waveforms]
    tasks.append(asyncio.create_task(around.client.ended(), name="connection"))
    tasks.append(asyncio.create_task(around.news.run(), name="news"))
    await run_together(tasks)


class _Scanner:
    """Runs the scans of one group in one session."""

    def __init__(self, group: PointGroup, around: Surroundings, greeting: Greeting) -> None:
        self._group = group
        self._around = around
        self._greeting = greeting
        self._outbox = Outbox(around.sink)
        # Text has no tag in the table; -1 stands there, and is never asked for.
        self._tag_index = index_column(np.append(around.indices, np.int32(-1))[group.tag_positions])
        self._last: Answer | None = None
        """The last answer of the scan."""

    async def run(self) -> NoReturn:
        """Scan at the group's rate."""
        clock = ScanClock(period_ns=self._group.period_ms * NS_PER_MS, clock=self._around.clock)
        self._group.begin_session()
        while True:
            slot = await clock.next_slot()
            if slot.skipped_count:
                self._report_skipped(slot.skipped_count)
            self._around.schedule.look(self._group, self._around.sink)
            await self._scan()
            await self._close_scan()

    async def _scan(self) -> None:
        """Ask for everything once, and for the parts of what is refused."""
        reads = self._group.begin(monotonic_ns=self._around.clock.monotonic_ns())
        while reads:
            sent_ns = self._around.clock.monotonic_ns()
            exchange = self._around.client.submit(
                [read.request for read in reads], priority=self._group.period_ms
            )
            try:
                await self._collect(exchange, reads, sent_ns)
            except asyncio.CancelledError:
                await self._finish(exchange, reads, sent_ns)
                raise
            reads = self._group.follow_up()

    async def _close_scan(self) -> None:
        """Say what was found out about refusals."""
        answer, self._last = self._last, None
        if answer is None:
            return
        for members, status in self._group.end(answer):
            self._state(members, status, answer)
        for change in self._group.changes():
            self._around.sink.note(self._around.refusals.event(self._group, change, answer))
        await self._outbox.flush()

    async def _collect(self, exchange: Exchange, reads: Sequence[Read], sent_ns: int) -> None:
        """Hand over what is answered, as it comes, until all is."""
        while True:
            await self._outbox.flush()
            if exchange.is_complete:
                return
            await exchange.more()
            self._greeting.say()
            answers = exchange.take()
            sent_ns = self._learn(answers, reads, sent_ns)
            self._sort_in(answers, reads)

    async def _finish(self, exchange: Exchange, reads: Sequence[Read], sent_ns: int) -> None:
        """Hand over what the device was asked for already; ask for nothing more."""
        self._around.client.withdraw(exchange)
        try:
            async with asyncio.timeout(self._around.stop_s):
                await self._collect(exchange, reads, sent_ns)
        except (TimeoutError, DeviceError) as error:
            if self._outbox.sample_count:
                log.error(
                    "received_samples_dropped",
                    device=self._around.device,
                    count=self._outbox.sample_count,
                    reason=repr(error),
                    stage="receiving",
                )

    def _learn(
        self, answers: Sequence[tuple[int, Answer]], reads: Sequence[Read], before_ns: int
    ) -> int:
        """Learn from the time between answers; return when the last one came.

        Answers that came in one piece share the time before it. A refusal is no measure of what
        reading takes.
        """
        together: list[tuple[int, Answer]] = []
        for entry in answers:
            if together and entry[1].arrival_ns != together[0][1].arrival_ns:
                before_ns = self._measure(together, reads, before_ns)
                together = []
            together.append(entry)
        return self._measure(together, reads, before_ns) if together else before_ns

    def _measure(
        self, together: Sequence[tuple[int, Answer]], reads: Sequence[Read], before_ns: int
    ) -> int:
        arrival_ns = together[0][1].arrival_ns
        took_ms = (arrival_ns - before_ns) / NS_PER_MS / len(together)
        for position, answer in together:
            if not answer.exception_code and took_ms >= 0:
                self._around.learned.timing.note(reads[position].block.registers, took_ms)
        return arrival_ns

    def _sort_in(self, answers: Sequence[tuple[int, Answer]], reads: Sequence[Read]) -> None:
        """Put the answered values into one frame, and each new refusal into one of its own."""
        good: list[tuple[IndexArray, FloatArray, Answer]] = []
        for position, answer in answers:
            read = reads[position]
            self._last = answer
            if answer.exception_code:
                self._note_refusal(read, answer)
                continue
            self._group.answered(read, answer)
            if read.decoder is not None:
                values = read.decoder.decode(answer.payload)
                good.append((self._tag_index[read.members], values, answer))
            if read.texts:
                self._read_texts(read, answer)
        if good:
            self._outbox.put(_received_frame(good))

    def _read_texts(self, read: Read, answer: Answer) -> None:
        for index in read.texts:
            member = self._group.members[index]
            text = decode_text(member.point, answer.payload, start=read.block.start)
            self._around.texts.read(member.tag, text, self._around.news)

    def _note_refusal(self, read: Read, answer: Answer) -> None:
        """Say that a block is refused now; that it is no longer, its values say themselves."""
        members = self._group.refused(read, answer)
        if not len(members):
            return
        log.warning(
            "block_refused",
            device=self._around.device,
            block=str(read.block),
            reason=exception_text(answer.exception_code),
            stage="receiving",
        )
        self._state(members, status_of(answer.exception_code), answer)

    def _state(self, members: IndexArray, status: Status, answer: Answer) -> None:
        """Say ourselves what is to be said of tags that the device refuses."""
        self._outbox.put(
            stated_frame(
                self._tag_index[members],
                status=status,
                received_ns=answer.received_ns,
                arrival_ns=answer.arrival_ns,
            )
        )

    def _report_skipped(self, slot_count: int) -> None:
        """Tell the sink about scans that could not start in time."""
        if not self._group.sample_count:
            return
        now_ns = self._around.clock.now_ns()
        self._around.sink.skipped(
            from_ns=now_ns - slot_count * self._group.period_ms * NS_PER_MS,
            to_ns=now_ns,
            count=slot_count * self._group.sample_count,
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
        clock=ClockSource.GATEWAY,
    )

"""A log in memory and an uplink that follows a script: both implement the ports."""

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cloud_sync.edge.dead_letters import KeptLetter
from cloud_sync.edge.delivery import Delivery, DeliverySettings
from gateway.core.arrays import frozen, index_column, status_column, time_column
from gateway.core.cursors import Cursor, Scope, Span
from gateway.core.errors import UplinkError
from gateway.core.events import Event
from gateway.core.frame import Frame
from gateway.core.ports import Batch, Clock, SendResult
from gateway.core.records import Boot, GatewayId, LedgerEntry, Record, RecordKind, Seq
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable
from gateway.core.uplink_status import DeadLetter
from gateway.store import CursorLag, StoreState, StoreStats
from gateway.wire.clock import SystemClock
from gateway.wire.documents import encode_event
from gateway.wire.frames import decode_frame, draft_frame

GATEWAY = GatewayId("pumphouse-1")
FAST = DeliverySettings(linger_s=0.0, retry_first_s=0.001)
"""Settings under which nothing waits for long."""


def tag_table(*, count: int = 2, epoch: int = 1) -> TagTable:
    return TagTable.build(
        [Tag(id=TagId(f"pumps.T{number}"), unit="bar") for number in range(count)],
        epoch=ConfigEpoch(epoch),
    )


def frame_of(values: Sequence[float], *, time_ns: int = 1_000) -> Frame:
    count = len(values)
    return Frame(
        tag_index=index_column(range(count)),
        time_ns=time_column([time_ns] * count),
        value=frozen(np.array(values, dtype=np.float64)),
        status=status_column([0] * count),
        received_ns=time_ns,
    )


class MemoryLog:
    """Implements `DeliveryLog`; counts how often it is read."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.cursors: dict[str, Cursor] = {}
        self.moves: list[Seq] = []
        """Of the cursor for samples."""
        self.read_count = 0
        self.last = Seq(0)
        self.held_from: Seq | None = None
        """Samples from here on must not go out; None is none."""
        self.oldest_ns: int | None = None
        self._tables = {ConfigEpoch(1): tag_table(epoch=1), ConfigEpoch(2): tag_table(epoch=2)}
        self._committed = asyncio.Condition()

    @property
    def boot(self) -> Boot:
        return Boot(1)

    @property
    def end(self) -> Seq:
        return self.last

    @property
    def samples_end(self) -> Seq:
        return self.last if self.held_from is None else Seq(self.held_from - 1)

    async def append(self, kind: RecordKind, body: bytes) -> Record:
        record = Record(boot=self.boot, seq=Seq(self.last + 1), kind=kind, body=body)
        self.records.append(record)
        self.last = record.seq
        async with self._committed:
            self._committed.notify_all()
        return record

    async def append_frames(self, count: int, *, epoch: int = 1) -> None:
        for number in range(count):
            frame = frame_of([float(number), -1.0], time_ns=1_000 * number)
            draft = draft_frame(frame, epoch=ConfigEpoch(epoch), kind=RecordKind.FRAME)
            await self.append(draft.kind, draft.body)

    async def read(
        self,
        *,
        after: Seq,
        size_bytes_max: int,
        until: Seq | None = None,
        scope: Scope = Scope.ALL,
    ) -> Sequence[Record]:
        self.read_count += 1
        await asyncio.sleep(0)
        chosen: list[Record] = []
        size_bytes = 0
        for record in self.records[bisect_right(self.records, after, key=lambda x: x.seq) :]:
            if until is not None and record.seq > until:
                break
            if not scope.covers(record.kind):
                continue
            size_bytes += len(record.body)
            if chosen and size_bytes > size_bytes_max:
                break
            chosen.append(record)
        return chosen

    async def table_of(self, record: Record) -> TagTable:
        return self._tables[decode_frame(record.body)[1]]

    def place(self, name: str) -> Cursor:
        return self.cursors.get(name, Cursor(seq=Seq(0)))

    def cursor(self, name: str) -> Seq:
        return self.place(name).seq

    def holes(self, name: str) -> tuple[Span, ...]:
        return self.place(name).holes

    async def advance(self, name: str, seq: Seq) -> None:
        await asyncio.sleep(0)
        assert self.cursor(name) <= seq <= self.end, "a cursor never goes back, nor beyond the end"
        self.cursors[name] = self.place(name).advanced(seq)
        if "/" not in name:
            self.moves.append(seq)

    async def skip(self, name: str, to: Seq) -> None:
        await asyncio.sleep(0)
        self.cursors[name] = self.place(name).skipped(to)

    async def fill(self, name: str, span: Span) -> None:
        await asyncio.sleep(0)
        self.cursors[name] = self.place(name).filled(span)

    async def stats(self) -> StoreStats:
        lags = [
            CursorLag(
                name=name,
                seq=cursor.seq,
                records=0,
                samples=0,
                oldest_ns=self.oldest_ns,
                front_oldest_ns=self.oldest_ns,
            )
            for name, cursor in {"cloud": Cursor(seq=Seq(0)), **self.cursors}.items()
        ]
        return StoreStats(
            state=StoreState.OK,
            reason="",
            boot=self.boot,
            end=self.end,
            stored_samples=0,
            ledgered=(),
            cursors=tuple(lags),
            used_bytes=0,
            pending_bytes=0,
            oldest_ns=None,
            newest_ns=None,
            commit_count=0,
        )

    async def wait_for_records(self, *, after: Seq) -> None:
        async with self._committed:
            await self._committed.wait_for(lambda: self.last > after)


Answer = Callable[[Batch], SendResult | Awaitable[SendResult]]


def take_all(batch: Batch) -> SendResult:
    """The answer of a good far end; every frame of the tests has two samples."""
    frames = sum(record.kind is RecordKind.FRAME for record in batch.records)
    return SendResult(
        accepted=len(batch.records), sample_count=2 * frames, duplicate_count=0, size_bytes=100
    )


class ScriptedUplink:
    """Implements `Uplink`: the first answers come from a script, then it takes all."""

    def __init__(self, script: Iterable[Answer] = (), *, name: str = "cloud") -> None:
        self.name = name
        self.address = "https://far.end"
        self.script = list(script)
        self.batches: list[Batch] = []
        self.taken: list[Seq] = []
        self.is_closed = False

    async def send(self, batch: Batch) -> SendResult:
        self.batches.append(batch)
        answer = self.script.pop(0) if self.script else take_all
        result = answer(batch)
        if not isinstance(result, SendResult):
            result = await result
        self.taken.extend(record.seq for record in batch.records[: result.accepted])
        return result

    async def aclose(self) -> None:
        self.is_closed = True


def no_answer(_batch: Batch) -> SendResult:
    raise UplinkError("no connection: check the network", detail="ECONNREFUSED 127.0.0.1:9")


@dataclass
class MemoryDeadLetters:
    """Implements `DeadLetters`."""

    letters: dict[Seq, str] = field(default_factory=dict)
    records: dict[Seq, KeptLetter] = field(default_factory=dict)

    async def put(
        self, record: Record, *, uplink: str, reason: str, time_ns: int, is_historical: bool
    ) -> None:
        assert uplink
        assert time_ns
        self.letters[record.seq] = reason
        letter = DeadLetter(
            boot=record.boot,
            seq=record.seq,
            kind=record.kind,
            size_bytes=len(record.body),
            reason=reason,
            time_ns=time_ns,
            is_historical=is_historical,
        )
        self.records[record.seq] = KeptLetter(letter=letter, record=record)

    async def kept(self, *, count_max: int) -> tuple[KeptLetter, ...]:
        return tuple(self.records.values())[:count_max]

    async def remove(self, record: Record, *, uplink: str) -> None:
        del self.records[record.seq]


@dataclass
class Bench:
    """A delivery with everything around it."""

    uplink: ScriptedUplink
    reader: MemoryLog = field(default_factory=MemoryLog)
    settings: DeliverySettings = FAST
    dead_letters: MemoryDeadLetters = field(default_factory=MemoryDeadLetters)
    noted: list[Event | LedgerEntry] = field(default_factory=list)
    clock: Clock = field(default_factory=SystemClock)
    budget_file: Path | None = None

    def __post_init__(self) -> None:
        self.delivery = Delivery(
            self.uplink,
            gateway=GATEWAY,
            reader=self.reader,
            settings=self.settings,
            dead_letters=self.dead_letters,
            clock=self.clock,
            note=self.noted.append,
            budget_file=self.budget_file,
        )

    @property
    def events(self) -> list[Event]:
        return [note for note in self.noted if isinstance(note, Event)]

    async def run_until(self, condition: Callable[[], bool], *, deadline_s: float = 40.0) -> None:
        """Run the delivery until something is so; it is stopped then."""
        running = asyncio.create_task(self.delivery.run())
        try:
            await until(lambda: running.done() or condition(), deadline_s=deadline_s)
            assert not running.done(), running.result()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def run_until_level(self) -> None:
        await self.run_until(lambda: self.delivery.status().lag_records == 0)


async def until(condition: Callable[[], bool], *, deadline_s: float = 40.0) -> None:
    """Wait for any condition; TimeoutError after the deadline."""
    async with asyncio.timeout(deadline_s):
        while not condition():  # the condition is any, so it has no event
            await asyncio.sleep(0.001)


def event_body(text: str) -> bytes:
    return encode_event(Event(time_ns=1, source="gateway", condition="test", severity=1, text=text))

"""A pipeline with a real log and scripted stages, for tests."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from analytics.alarms import LimitAlarms
from analytics.assessment import Assessment
from analytics.cases import CaseBook, CaseSettings
from analytics.limits import AlarmSettings, alarm_limit
from analytics.vibration.watch import VibrationWatch
from gateway.core.alarms import AlarmAction, AlarmId, AlarmOrder
from gateway.core.events import Event
from gateway.core.frame import Frame, Origin
from gateway.core.ports import TwinUpdate
from gateway.core.quality import Status
from gateway.core.records import LedgerEntry, RecordKind, Seq
from gateway.core.rows import AssetId
from gateway.core.tags import Tag, TagId, TagTable
from gateway.core.twin_state import TwinState
from gateway.pipeline import Chain, Ingress, LiveValues, Pipeline, Processor
from gateway.store import LogReader, RecordLog
from gateway.wire.clock import SystemClock
from gateway.wire.frames import frames_of
from tests.gateway.store_cases import open_log

ASSET = AssetId("P-101")
MEASURED = (Tag(id=TagId("pumps.Flow")), Tag(id=TagId("pumps.Speed")))
TOTAL = Tag(id=TagId("P-101.total"), is_derived=True)
ALARM = AlarmId("P-101/total_high")
POISON = -1.0
BAD = int(Status.BAD_NO_COMMUNICATION)


class SumTwin:
    """Adds up every value it sees: what it saw twice, or not at all, shows."""

    assets = (ASSET,)
    derived_tags = (TOTAL,)

    def __init__(self) -> None:
        self.total = 0.0
        self.seen: list[list[float]] = []
        self._index = -1

    def bind(self, table: TagTable) -> None:
        self._index = table.index(TOTAL.id)

    def update(self, frame: Frame) -> TwinUpdate:
        if POISON in frame.value:
            raise ZeroDivisionError("poison")
        self.seen.append(frame.value.tolist())
        self.total += float(frame.value.sum())
        return TwinUpdate(
            rows=(),
            frame=replace(
                frame,
                tag_index=np.array([self._index], dtype=np.int32),
                time_ns=frame.time_ns[-1:].copy(),
                value=np.array([self.total]),
                status=np.zeros(1, dtype=np.uint32),
                is_received=False,
            ),
        )

    def state(self, asset: AssetId) -> TwinState:
        raise NotImplementedError

    def rebase(self, shift_ns: int) -> None:
        """A sum knows no times."""

    def checkpoint(self) -> bytes:
        return str(self.total).encode()

    def restore(self, checkpoint: bytes) -> None:
        self.total = float(checkpoint)


class Bench:
    """One start of a pipeline on a log."""

    def __init__(self, log: RecordLog, *, assets: Sequence[AssetId] = ()) -> None:
        self.log = log
        self.twin = SumTwin()
        settings = AlarmSettings(when="total >= 100", text="enough")
        self.board = LimitAlarms([alarm_limit(ASSET, "total_high", settings, signals={})])
        self.cases = CaseBook(assets, settings=CaseSettings(), diagnose=lambda _: None)
        chain = Chain(name="sum", twin=self.twin, detector=None)
        self.processor = Processor(
            [chain], VibrationWatch([]), Assessment([]), self.board, self.cases
        )
        self.table = log.intern((*MEASURED, TOTAL))
        self.processor.bind(self.table)
        self.ingress = Ingress(size_bytes_max=1 << 20)
        self.told: list[tuple[str, bool]] = []
        self.pipeline = Pipeline(
            ingress=self.ingress,
            table=self.table,
            processor=self.processor,
            board=self.board,
            cases=self.cases,
            store=log,
            clock=SystemClock(),
            values=LiveValues(self.table),
            listeners=[self._listen],
        )

    def _listen(self, events: Sequence[Event], is_live: bool) -> None:
        self.told += [(event.condition, is_live) for event in events]

    def restore(self) -> int:
        """Bring the state to the end of the log; returns the samples replayed."""
        seq, parts = self.log.load_checkpoints()
        assert self.pipeline.restore(parts) == ()
        return self.pipeline.replay(self.log.replay(after=seq, table=self.table))

    def act(self, action: AlarmAction, *, for_s: float | None = None) -> Event:
        """Do something to the alarm as a person."""
        now_ns = SystemClock().now_ns()
        return self.pipeline.act_on_alarm(
            AlarmOrder(
                alarm=ALARM,
                action=action,
                time_ns=now_ns,
                operator="somebody",
                reason="a test",
                until_ns=None if for_s is None else now_ns + round(for_s * 1e9),
            )
        )

    async def take_in(self, *entries: Frame | Event | LedgerEntry) -> None:
        """Process entries one by one, and wait until all is on disk."""
        for entry in entries:
            await self.pipeline.take_in([entry])
        await self.log.durable(self.log.append([]))


@asynccontextmanager
async def bench_in(folder: Path, *, assets: Sequence[AssetId] = ()) -> AsyncIterator[Bench]:
    log = open_log(folder / "log.db")
    try:
        yield Bench(log, assets=assets)
    finally:
        await log.close()


def frame(*values: float, age_s: float = 0.0, origin: Origin = Origin.LIVE) -> Frame:
    """Return values of the first tag, a microsecond apart, that came so many seconds ago."""
    count = len(values)
    now_ns = SystemClock().now_ns() - int(age_s * 1e9)
    return Frame(
        tag_index=np.zeros(count, dtype=np.int32),
        time_ns=now_ns + 1000 * np.arange(count),
        value=np.array(values),
        status=np.zeros(count, dtype=np.uint32),
        received_ns=now_ns,
        arrival_ns=SystemClock().monotonic_ns() - int(age_s * 1e9),
        origin=origin,
    )


def lagging(frame: Frame, *, by_s: float) -> Frame:
    """Return a frame as from a machine whose clock lags."""
    return replace(frame, time_ns=frame.time_ns - int(by_s * 1e9))


def stored_frames(path: Path, kind: RecordKind) -> list[Frame]:
    return [
        stored.frame
        for record in LogReader(path).records(after=Seq(0))
        if record.kind is kind
        for stored in frames_of(record)[0]
    ]


def values_on_disk(path: Path, kind: RecordKind = RecordKind.FRAME) -> list[list[float]]:
    return [each.value.tolist() for each in stored_frames(path, kind)]

"""The pipeline's loop: take what is waiting, decide, append, tell.

Invariants:
    - Entries are processed in the order in which they entered, one at a time.
    - A frame and everything decided from it go to the log in one `append`, so no restart ever
      finds an output without its input.
    - Deciding never waits for the disk. Back-pressure comes after the decision.
    - A frame that breaks a stage is stored all the same, its outputs are set aside, and the next
      frame goes on.
    - Replayed frames change state only: what they led to is on disk already.
    - What was read later from a machine's history is stored and delivered; where something newer
      is known it changes no state, so it leads to nothing.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, TypeAlias, assert_never

import structlog

from gateway.core.alarms import AlarmOrder
from gateway.core.cases import Case, CaseId, CaseKeeper, Verdict
from gateway.core.errors import StoreError
from gateway.core.events import Event
from gateway.core.frame import Frame, Origin, are_alike, join_frames
from gateway.core.ports import AlarmBoard, Clock
from gateway.core.records import Draft, LedgerEntry, LogEntry, RecordKind
from gateway.core.tags import TagTable
from gateway.core.twin_state import TwinState
from gateway.pipeline.condition import condition
from gateway.pipeline.ingress import Entry, Ingress
from gateway.pipeline.latency import LatencyMeter
from gateway.pipeline.operator import repeat_operator
from gateway.pipeline.processor import Processed, Processor
from gateway.pipeline.timekeeper import Timekeeper, are_of_one_clock, shift_of
from gateway.pipeline.values import LiveValues
from gateway.store import RecordLog
from gateway.wire.documents import draft_event, draft_ledger_entry
from gateway.wire.frames import draft_frame

log = structlog.get_logger()

EventListener: TypeAlias = Callable[[Sequence[Event], bool], None]
"""Told the events and whether they are live: only live ones may reach a person or a machine."""
LedgerListener: TypeAlias = Callable[[LedgerEntry], None]
"""Told every loss and gap that the gateway itself notes."""

CHECKPOINT_PERIOD_S = 60.0
LIVE_AGE_MAX_S = 30.0
"""A frame that arrived longer ago than this leads to no action."""
JOINED_SAMPLES_MAX = 20_000
"""Frames waiting together are joined up to this size, so that one never blocks the loop long."""
QUARANTINE_SEVERITY = 700


class Replayable(Protocol):
    """State outside the stages that a restart brings back in the same way."""

    def checkpoint(self) -> bytes:
        """Return all that `restore` needs."""

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint."""

    def replay(self, entry: LogEntry) -> None:
        """Take in an entry of the log behind the checkpoint."""


class Rebased(Protocol):
    """Whatever remembers times that the gateway's clock has stamped."""

    def rebase(self, shift_ns: int) -> None:
        """Move them: the clock was set."""


class Pipeline:
    """Owns the order of everything that enters; implements `TwinReader`."""

    def __init__(
        self,
        *,
        ingress: Ingress,
        table: TagTable,
        processor: Processor,
        board: AlarmBoard,
        cases: CaseKeeper,
        store: RecordLog,
        clock: Clock,
        values: LiveValues,
        listeners: Sequence[EventListener] = (),
        ledger_listeners: Sequence[LedgerListener] = (),
        others: Mapping[str, Replayable] | None = None,
        followers: Mapping[str, Replayable] | None = None,
        timekeeper: Timekeeper | None = None,
        rebased: Sequence[Rebased] = (),
    ) -> None:
        """Put the loop together; `replay` and then `run` set it going.

        Args:
            ingress: Where entries come from.
            table: The tags of the running epoch.
            processor: Decides.
            board: The alarms, for what a person does to them.
            cases: The cases, for what a technician says of them.
            store: Where entries go.
            clock: For durations, and for stamping what a person does.
            values: The last values.
            listeners: Told of events.
            ledger_listeners: Told of losses and gaps.
            others: What else is checkpointed and replayed, by the name of its checkpoint.
            followers: The same, for what is also given every frame and event that is taken in,
                so that it always stands exactly where the log does.
            timekeeper: Knows how far the clock can be relied on; None trusts it.
            rebased: Told when the clock was set, beside the processor and the values.
        """
        self._ingress = ingress
        self._table = table
        self._processor = processor
        self._board = board
        self._cases = cases
        self._store = store
        self._clock = clock
        self._listeners = tuple(listeners)
        self._ledger_listeners = tuple(ledger_listeners)
        self._followers = dict(followers or {})
        self._others = dict(others or {}) | self._followers
        self._checkpointed_ns = clock.monotonic_ns()
        self._timekeeper = timekeeper
        self._rebased: tuple[Rebased, ...] = (processor, values, *rebased)
        self.values = values
        self.latency = LatencyMeter()
        self.quarantined_frames = 0
        """Frames that broke a stage since the start."""
        self.progress_count = 0
        """Entries processed; the watchdog looks whether it moves while entries wait."""

    async def run(self) -> None:
        """Process entries until cancelled; what is waiting then is for `drain`."""
        while True:
            await self.take_in(await self._ingress.take())
            await self._store.room()
            await self._checkpoint_if_due()

    async def take_in(self, entries: Sequence[Entry]) -> None:
        """Process entries in their order; `run` does it with what is waiting.

        What is not processed when it is cancelled waits in the ingress queue again.
        """
        waiting = deque(joined(entries))
        try:
            while waiting:
                if self._is_of_another_time(waiting[0]):
                    await self.follow_clock()
                self._take_in(waiting.popleft())
                # The other tasks get their turn between two entries, not after all of them.
                await asyncio.sleep(0)
        finally:
            self._ingress.give_back(waiting)

    async def follow_clock(self) -> None:
        """Look whether the gateway's clock was set; from here on times are those of the new one.

        The checkpoint is made in between: a replay never begins before a move of the log's times,
        and so never sees them half moved.
        """
        news = None if self._timekeeper is None else self._timekeeper.look()
        if news is None:
            return
        log.warning(news.event.condition, shift_s=round(news.shift_ns / 1e9, 1), stage="processing")
        self._append_events([news.event])
        self._follow(news.event)
        self._move_times(news.shift_ns)
        if news.shift is not None and self._timekeeper is not None:
            await self.checkpoint()
            self._timekeeper.settle(news.shift)

    async def drain(self) -> None:
        """Process what still waits after the connectors have stopped, and checkpoint."""
        if self._ingress.size_bytes:
            await self.take_in(await self._ingress.take())
        await self.checkpoint()

    async def checkpoint(self) -> None:
        """Save the state of all parts as of the last entry; a failing disk keeps the former one."""
        self._checkpointed_ns = self._clock.monotonic_ns()
        others = {name: other.checkpoint() for name, other in self._others.items()}
        try:
            await self._store.save_checkpoint(self._processor.checkpoint() | others)
        except StoreError as error:
            log.warning("checkpoint_postponed", reason=str(error), stage="processing")

    def restore(self, parts: dict[str, bytes]) -> tuple[str, ...]:
        """Go on from a checkpoint; returns what starts afresh, with the reason."""
        for name, other in self._others.items():
            if name in parts:
                other.restore(parts[name])
        return self._processor.restore(parts)

    def replay(self, entries: Iterable[LogEntry]) -> int:
        """Bring the state up to the end of the log; nothing is stored or told again.

        Args:
            entries: What the log has after the checkpoint, in its order.
        Returns:
            Samples replayed.
        """
        count = 0
        for entry in entries:
            for other in self._others.values():
                other.replay(entry)
            if isinstance(entry, Event):
                self._move_times(shift_of(entry))
                repeat_operator(entry, self._board, self._cases)
            elif isinstance(entry, Frame):
                count += len(entry)
                current = self._current(entry)
                if current is not None:
                    current = replace(current, origin=Origin.REPLAYED, arrival_ns=0)
                    self._take_note(current, self._decided(current))
        return count

    def act_on_alarm(self, order: AlarmOrder) -> Event:
        """Do to an alarm what a person wants, between two frames."""
        events = self._board.act(order)
        self._append_events([*events, *self._cases.update(events, now_ns=order.time_ns)])
        return events[0]

    def decide(self, case: CaseId, verdict: Verdict, *, note: str, operator: str) -> Event:
        """Note a technician's verdict on a case, between two frames."""
        now_ns = self._clock.now_ns()
        event = self._cases.decide(case, verdict, note=note, time_ns=now_ns, operator=operator)
        self._append_events([event])
        return event

    def cases(self) -> tuple[Case, ...]:
        """Return the cases, open ones first."""
        return self._cases.cases()

    def twin_states(self) -> tuple[TwinState, ...]:
        """Return every asset as known now."""
        return self._processor.twin_states()

    def _is_of_another_time(self, entry: Entry) -> bool:
        """Return whether the clock was set between the last look and this entry."""
        keeper = self._timekeeper
        return keeper is not None and isinstance(entry, Frame) and keeper.has_news(entry)

    def _move_times(self, shift_ns: int) -> None:
        if shift_ns:
            for each in self._rebased:
                each.rebase(shift_ns)

    def _take_in(self, entry: Entry) -> None:
        match entry:
            case Frame():
                frame = entry if self._timekeeper is None else self._timekeeper.stamped(entry)
                self._process_frame(frame)
                self._follow(frame)
                self._look_at_machines(frame)
            case Event():
                self._append_events([entry])
                self._follow(entry)
            case LedgerEntry():
                self._append_ledger_entry(entry)
            case _:
                assert_never(entry)
        self.progress_count += 1

    def _follow(self, entry: Frame | Event) -> None:
        for follower in self._followers.values():
            follower.replay(entry)

    def _process_frame(self, raw: Frame) -> None:
        frame = condition(raw, self._table) if raw.is_received else raw
        restated = self.values.good_again(frame)
        current = self._current(frame)
        processed = Processed(derived=None, events=())
        if current is not None:
            processed = self._decided(current)
            self._take_note(current, processed)
            self._tell(processed.events, current)
        if frame.arrival_ns and frame.origin is Origin.LIVE:
            latency_ns = self._clock.monotonic_ns() - frame.arrival_ns
            self.latency.add(latency_ns / 1e6)
        self._store.append(self._drafts(frame, processed))
        if restated is not None:
            self._ingress.note(restated)

    def _current(self, frame: Frame) -> Frame | None:
        """Return the samples that tell the present state; None when there are none."""
        is_current = self.values.is_current(frame)
        if is_current.all():
            return frame
        return frame.where(is_current) if is_current.any() else None

    def _decided(self, frame: Frame) -> Processed:
        """Run a frame through all stages; one that breaks a stage leads to one event."""
        try:
            return self._processor.process(frame)
        except Exception as error:
            # The samples are kept whatever a stage makes of them: the quarantine of D2. It holds
            # for a replay, too, or the frame would keep the service from ever starting again.
            log.exception("frame_quarantined", samples=len(frame), stage="processing")
            return Processed(derived=None, events=(self._quarantine(frame, error),))

    def _take_note(self, frame: Frame, processed: Processed) -> None:
        self.values.update(frame)
        if processed.derived is not None:
            self.values.update(processed.derived)

    def _drafts(self, frame: Frame, processed: Processed) -> list[Draft]:
        epoch = self._table.epoch
        kind = RecordKind.FRAME if frame.is_received else RecordKind.STATED
        drafts = [draft_frame(frame, epoch=epoch, kind=kind)]
        if processed.derived is not None:
            drafts.append(draft_frame(processed.derived, epoch=epoch, kind=RecordKind.DERIVED))
        drafts += [draft_event(event) for event in processed.events]
        return drafts

    def _append_events(self, events: Sequence[Event]) -> None:
        self._store.append([draft_event(event) for event in events])
        self._publish(events, is_live=True)

    def _append_ledger_entry(self, entry: LedgerEntry) -> None:
        self._store.append([draft_ledger_entry(entry)])
        for listener in self._ledger_listeners:
            listener(entry)

    def _look_at_machines(self, frame: Frame) -> None:
        """Say when the clock of a machine is off; not while our own is in doubt."""
        if self._timekeeper is not None and self._clock.is_trusted:
            events = self._timekeeper.machines.look(frame)
            if events:
                self._append_events(events)

    def _tell(self, events: Sequence[Event], frame: Frame) -> None:
        if not events:
            return
        # The age since it arrived: the source's time may be of a clock that is off.
        age_ns = self._clock.monotonic_ns() - frame.arrival_ns if frame.arrival_ns else 0
        is_live = frame.origin is Origin.LIVE and age_ns < LIVE_AGE_MAX_S * 1e9
        self._publish(events, is_live=is_live)

    def _publish(self, events: Sequence[Event], *, is_live: bool) -> None:
        for listener in self._listeners:
            listener(events, is_live)

    def _quarantine(self, frame: Frame, error: Exception) -> Event:
        self.quarantined_frames += 1
        return Event(
            time_ns=int(frame.time_ns.max()),
            source="gateway",
            condition="frame_quarantined",
            severity=QUARANTINE_SEVERITY,
            text=f"A frame of {len(frame)} samples was stored but not analysed: {error!r}",
        )

    async def _checkpoint_if_due(self) -> None:
        age_s = (self._clock.monotonic_ns() - self._checkpointed_ns) / 1e9
        if age_s >= CHECKPOINT_PERIOD_S:
            await self.checkpoint()


def joined(entries: Sequence[Entry]) -> Iterator[Entry]:
    """Yield the entries in order, neighbouring frames of one kind joined up to a bound."""
    waiting: list[Frame] = []
    size = 0
    for entry in entries:
        fits = (
            isinstance(entry, Frame)
            and size + len(entry) <= JOINED_SAMPLES_MAX
            and all(
                are_alike(frame, entry) and are_of_one_clock(frame, entry) for frame in waiting[-1:]
            )
        )
        if waiting and not fits:
            yield join_frames(waiting)
            waiting, size = [], 0
        if isinstance(entry, Frame):
            waiting.append(entry)
            size += len(entry)
        else:
            yield entry
    if waiting:
        yield join_frames(waiting)

"""Keeps every connector's session alive, and says on the edges when it is not.

A connector only knows one session: connect, emit, fail. What a failure means is decided here,
once for all of them: its tags become Bad on one edge, an event names the reason, a gap covers the
time without data, and the next session begins after a pause with full jitter.

A device that is lost when the gateway stops, in whatever way, is still lost when it starts again:
the gap is entered when the device is back, and begins with the last that was heard of it. After a
kill or a power cut a server may still talk to the session that is gone: the log's own gap ends with
the new start, and goes on for each device until it is connected.

Where the machine keeps a history, the connector heals gaps from it. What is missing of each tag is
kept in a book that follows the log (`gateway.core.gaps`); the ledger's gap stays, and an event says
what it was healed with.
"""

import asyncio
import json
from collections import deque

import numpy as np
import structlog

from gateway.core.arrays import IndexArray
from gateway.core.device_status import DeviceState, DeviceStatus
from gateway.core.errors import DeviceError
from gateway.core.events import Event, Evidence, Transition
from gateway.core.frame import ClockSource, Frame, Origin
from gateway.core.gaps import (
    GAP_FOUND,
    GAP_HEALED,
    GAP_NUMBER,
    GAP_UNHEALED,
    NO_GAPS,
    GapBook,
    Gaps,
    Healing,
)
from gateway.core.ports import Clock, Connector, Intake
from gateway.core.quality import Status
from gateway.core.records import LedgerEntry, LedgerReason, LogEntry
from gateway.core.times import utc_text
from gateway.wire.backoff import Backoff

log = structlog.get_logger()

LOST = "device_lost"
"""Condition of the events."""
LOST_SEVERITY = 600
BACK_SEVERITY = 100
GAP_SEVERITY = 50
RATE_POINTS = 6
"""Frame counts a second apart that the rate is measured over."""
SKIPPED_REPORT_S = 10.0
"""Skipped scans are ledgered together, at most this often."""


class DeviceSupervisor:
    """Runs one connector for the life of the service; it is the connector's `Sink`."""

    def __init__(
        self,
        connector: Connector,
        *,
        indices: IndexArray,
        intake: Intake,
        clock: Clock,
        backoff: Backoff,
        book: GapBook | None = None,
        unheard_ns: int | None = None,
    ) -> None:
        """Supervise a connector whose tags stand at `indices` in the tag table.

        Args:
            connector: Makes the sessions.
            indices: Positions of its tags, shape (tags,).
            intake: Takes what it hands over.
            clock: Time.
            backoff: How long to wait between two sessions.
            book: Its gaps, kept by the pipeline; None for a connector that reads no history.
            unheard_ns: End of the log's gap after an unclean stop, UTC; None after a clean one.
        """
        self.connector = connector
        self._indices = indices
        self._intake = intake
        self._clock = clock
        self._backoff = backoff
        self._state = DeviceState.CONNECTING
        self._since_ns = clock.now_ns()
        self._reason = ""
        self._detail = ""
        self._retry_ns: int | None = None
        self._heard_ns: int | None = None
        self._rate_points = deque([(clock.monotonic_ns(), 0)], maxlen=RATE_POINTS)
        self._frame_count = 0
        self._sample_count = 0
        self._skipped = 0
        self._skipped_span: tuple[int, int, int] | None = None
        self._skipped_noted_ns = 0
        self._book = book
        self._unheard_ns = unheard_ns
        self._historical_count = 0
        self._healed_number = 0

    async def run(self) -> None:
        """Keep one session after another going until cancelled."""
        name = self.connector.name
        if self._book is not None:
            self._historical_count = self._book.historical_count
        if self._state is not DeviceState.LOST:
            # Up to this start it is for the log to say what was missed while nobody listened.
            self._heard_ns = None if self._heard_ns is None else self._unheard_ns
        while True:
            try:
                await self.connector.session(self, self._indices)
                self._lost("the session ended", "")
            except DeviceError as error:
                reason, _, detail = str(error).partition("\n")
                self._lost(reason, detail)
            except Exception as error:
                # A bug in one connector must not take the other machines with it.
                log.exception("connector_failed", connector=name, stage="receiving")
                self._lost(f"internal error in the connector: {error!r}", type(error).__name__)
            finally:
                self._note_skipped()
            pause_s = self._backoff.failed(now_ns=self._clock.monotonic_ns())
            self._retry_ns = self._clock.now_ns() + int(pause_s * 1e9)
            await asyncio.sleep(pause_s)

    async def emit(self, frame: Frame) -> None:
        """Take one frame from the connector; waits while the ingress queue is full."""
        await self._intake.put(frame)
        if frame.origin is Origin.HISTORICAL:
            self._historical_count += len(frame)
        if frame.is_received:
            self._heard_ns = frame.received_ns
            self._frame_count += 1
            self._sample_count += len(frame)
            self._note_rate()

    def connected(self) -> None:
        """Note the rising edge: an event, and the gap that is now known to be over."""
        now_ns = self._clock.now_ns()
        self._backoff.succeeded(now_ns=self._clock.monotonic_ns())
        if self._state is DeviceState.LOST:
            self._note_gap(LedgerReason.DEVICE_LOST, now_ns)
            self._note_event(
                BACK_SEVERITY,
                Transition.RETURNED,
                now_ns,
                f"{self.connector.name} is back after {(now_ns - self._since_ns) / 1e9:.0f} s",
            )
            log.info(
                "device_back",
                device=self.connector.name,
                lost_s=round((now_ns - self._since_ns) / 1e9, 1),
            )
        else:
            self._note_gap(LedgerReason.UNCLEAN_STOP, now_ns)
            self._note_gap_found(now_ns)
            log.info("device_connected", device=self.connector.name, address=self.connector.address)
        self._state = DeviceState.OK
        self._since_ns = now_ns
        # From now on the device may offer values, and they may be lost with the session.
        self._heard_ns = now_ns
        self._retry_ns = None
        self._reason = self._detail = ""

    def skipped(self, *, from_ns: int, to_ns: int, count: int) -> None:
        """Count a scan that could not start in time; ledgered together with its neighbours."""
        self._skipped += count
        first, _, total = self._skipped_span or (from_ns, to_ns, 0)
        self._skipped_span = (first, to_ns, total + count)
        if to_ns - self._skipped_noted_ns > SKIPPED_REPORT_S * 1e9:
            self._note_skipped()

    def note(self, event: Event) -> None:
        """Take an event from the connector."""
        self._intake.note(event)

    def gaps(self) -> Gaps:
        """Return the gaps that are to be read from the history.

        There are none while values read before are still on their way into the log: until the
        book has seen them, it would have them read again.
        """
        if self._book is None or self._book.historical_count < self._historical_count:
            return NO_GAPS
        gaps = self._book.gaps()
        return gaps.where(gaps.number > self._healed_number)

    def healed(self, healing: Healing) -> None:
        """Note what gaps were healed with; that closes them."""
        self._healed_number = healing.number
        is_healed = healing.sample_count > 0 or healing.refused_count == 0
        text = (
            f"{healing.sample_count} values of {healing.tag_count} tags that "
            f"{self.connector.name} missed between {utc_text(healing.from_ns)} and "
            f"{utc_text(healing.to_ns)} were read from its history"
        )
        if healing.refused_count:
            text += f"; {healing.refused_count} tags have no history that may be read"
        forgotten = 0 if self._book is None else self._book.forgotten_count
        if forgotten:
            text += f"; {forgotten} older gaps were too many to be kept"
        self._intake.note(
            Event(
                time_ns=self._clock.now_ns(),
                source=self.connector.name,
                condition=GAP_HEALED if is_healed else GAP_UNHEALED,
                severity=GAP_SEVERITY,
                text=text,
                onset_ns=healing.from_ns,
                evidence=(
                    Evidence(name="samples", value=healing.sample_count),
                    Evidence(name="tags", value=healing.tag_count),
                    Evidence(name=GAP_NUMBER, value=healing.number),
                ),
            )
        )

    def status(self) -> DeviceStatus:
        """Return the device's state as the console shows it."""
        return DeviceStatus(
            name=self.connector.name,
            address=self.connector.address,
            state=self._state,
            since_ns=self._since_ns,
            reason=self._reason,
            detail=self._detail,
            retry_ns=self._retry_ns,
            tag_count=len(self.connector.tags),
            frame_count=self._frame_count,
            frames_per_s=self._frame_rate(),
            sample_count=self._sample_count,
            skipped_count=self._skipped,
            report=self.connector.report(),
        )

    def checkpoint(self) -> bytes:
        """Return when the device was last heard, and since when it is lost."""
        is_lost = self._state is DeviceState.LOST
        lost = {"since_ns": self._since_ns, "reason": self._reason} if is_lost else None
        return json.dumps({"heard_ns": self._heard_ns, "lost": lost}).encode()

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint; before the first session."""
        content = json.loads(checkpoint)
        self._heard_ns = content["heard_ns"]
        if content["lost"] is not None:
            self._was_lost(content["lost"]["since_ns"], content["lost"]["reason"])

    def replay(self, entry: LogEntry) -> None:
        """Take in what the log has after the checkpoint; before the first session."""
        if isinstance(entry, Frame):
            if entry.is_received and np.isin(entry.tag_index, self._indices).any():
                self._heard_ns = entry.received_ns
        elif not isinstance(entry, Event):
            return
        elif (entry.source, entry.condition) == (self.connector.name, LOST):
            if entry.transition is Transition.RAISED:
                self._was_lost(entry.time_ns, entry.text)
            else:
                self._state, self._reason = DeviceState.CONNECTING, ""

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the gateway's clock was set."""
        self._since_ns += shift_ns
        self._skipped_noted_ns += shift_ns
        if self._heard_ns is not None:
            self._heard_ns += shift_ns
        if self._unheard_ns is not None:
            self._unheard_ns += shift_ns
        if self._retry_ns is not None:
            self._retry_ns += shift_ns
        if self._skipped_span is not None:
            from_ns, to_ns, count = self._skipped_span
            self._skipped_span = (from_ns + shift_ns, to_ns + shift_ns, count)

    def _was_lost(self, since_ns: int, reason: str) -> None:
        self._state, self._since_ns, self._reason = DeviceState.LOST, since_ns, reason

    def _note_rate(self) -> None:
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._rate_points[-1][0] >= 1_000_000_000:
            self._rate_points.append((now_ns, self._frame_count))

    def _frame_rate(self) -> float:
        """Return frames a second since the oldest of the noted points."""
        then_ns, then_count = self._rate_points[0]
        elapsed_s = (self._clock.monotonic_ns() - then_ns) / 1e9
        return (self._frame_count - then_count) / elapsed_s if elapsed_s > 0 else 0.0

    def _lost(self, reason: str, detail: str) -> None:
        now_ns = self._clock.now_ns()
        self._reason, self._detail = reason, detail
        if self._state is DeviceState.LOST:
            return
        self._state = DeviceState.LOST
        self._since_ns = now_ns
        self._intake.note(self._bad_edge(now_ns))
        self._note_event(
            LOST_SEVERITY, Transition.RAISED, now_ns, f"{self.connector.name} is lost: {reason}"
        )
        log.warning(
            "device_lost",
            device=self.connector.name,
            reason=reason,
            detail=detail,
            stage="receiving",
        )

    def _bad_edge(self, now_ns: int) -> Frame:
        count = len(self._indices)
        return Frame(
            tag_index=self._indices,
            time_ns=np.full(count, now_ns, dtype=np.int64),
            value=np.full(count, np.nan),
            status=np.full(count, Status.BAD_NO_COMMUNICATION, dtype=np.uint32),
            received_ns=now_ns,
            arrival_ns=self._clock.monotonic_ns(),
            is_received=False,
            clock=ClockSource.GATEWAY,
        )

    def _note_gap_found(self, now_ns: int) -> None:
        """Note that values may be missing since before this start; a loss has its own edge."""
        newest_ns = 0 if self._book is None else int(self._book.newest_ns.max(initial=0))
        if newest_ns and self._state is DeviceState.CONNECTING:
            self._intake.note(
                Event(
                    time_ns=now_ns,
                    source=self.connector.name,
                    condition=GAP_FOUND,
                    severity=GAP_SEVERITY,
                    text=f"{self.connector.name} may have offered values while nobody listened; "
                    "its history is asked for them",
                    onset_ns=newest_ns,
                )
            )

    def _note_gap(self, reason: LedgerReason, now_ns: int) -> None:
        # Of a device that was never there, nothing can be missing.
        if self._heard_ns is None:
            return
        self._intake.note(
            LedgerEntry(
                reason=reason,
                source=self.connector.name,
                from_ns=self._heard_ns,
                to_ns=max(now_ns, self._heard_ns),
                count=None,
            )
        )

    def _note_skipped(self) -> None:
        if self._skipped_span is None:
            return
        from_ns, to_ns, count = self._skipped_span
        self._skipped_span = None
        self._skipped_noted_ns = to_ns
        self._intake.note(
            LedgerEntry(
                reason=LedgerReason.SCAN_SKIPPED,
                source=self.connector.name,
                from_ns=from_ns,
                to_ns=max(to_ns, from_ns),
                count=count,
            )
        )

    def _note_event(self, severity: int, transition: Transition, time_ns: int, text: str) -> None:
        self._intake.note(
            Event(
                time_ns=time_ns,
                source=self.connector.name,
                condition=LOST,
                severity=severity,
                transition=transition,
                text=text,
            )
        )

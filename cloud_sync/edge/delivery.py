"""Delivery: one uplink's way through the log.

Invariants:
    - Records go out in the order of the log, one batch at a time.
    - The cursor moves only past what the far end has confirmed. A stop at any instant therefore
      repeats records, which the far end knows by `(gateway, boot, seq)`; it leaves none out.
    - A record that the far end will never take is found by halving its batch, kept as a dead
      letter, entered into the ledger, and only then passed.
    - A far end that refuses record after record is an outage: each further dead letter costs one
      back-off, so that a broken far end does not turn the log into dead letters.
    - The edges, and only they, are told: lost, back, drained.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Final, Protocol, Self, TypeAlias

import structlog
from pydantic import Field, model_validator

from cloud_sync.edge.dead_letters import DeadLetters
from cloud_sync.edge.link import Link
from cloud_sync.edge.pace import Pace
from cloud_sync.edge.refused import ledger_entry_of
from cloud_sync.edge.suspects import Suspects
from gateway.core.errors import RefusedBatchError, StoreError, UplinkError
from gateway.core.events import Event
from gateway.core.ports import Batch, Clock, RecordReader, SendResult, Uplink
from gateway.core.records import GatewayId, LedgerEntry, Record, RecordKind, Seq
from gateway.core.settings import Settings
from gateway.core.tags import TagTable
from gateway.core.uplink_status import UplinkStatus
from gateway.store import StoreStats
from gateway.wire.backoff import Backoff
from gateway.wire.frames import FRAME_KINDS

REFUSED_SEVERITY: Final = 700
REFUSALS_IN_A_ROW_MAX: Final = 3
"""More dead letters than this without a confirmed record between them are an outage."""

LAG_PERIOD_NS: Final = 1_000_000_000
"""Between two looks at how long the oldest record has waited."""

MIB: Final = 1024 * 1024

_NS_PER_S: Final = 1_000_000_000
_KINDS_WITH_TAGS: Final = FRAME_KINDS | {RecordKind.BLOCK}

Note: TypeAlias = Callable[[Event | LedgerEntry], None]
"""Takes what delivery has to say; it goes into the log like everything else."""

log = structlog.get_logger()


class DeliverySettings(Settings):
    """How records are put together for an uplink, and how an outage is waited out."""

    linger_s: Annotated[float, Field(ge=0, le=60)] = 0.1
    """Once all is delivered, new records wait this long for more to go with them."""
    batch_records_max: Annotated[int, Field(ge=1, le=100_000)] = 5000
    """Records in one batch at the most."""
    batch_size_bytes_min: Annotated[int, Field(ge=1024, le=1024 * 1024)] = 16 * 1024
    """Batches do not shrink below this on a slow link."""
    batch_size_bytes_max: Annotated[int, Field(ge=1024 * 1024, le=32 * 1024 * 1024)] = (
        2 * 1024 * 1024
    )
    """Batches do not grow above this on a fast link; a single larger record still goes out."""
    batch_target_s: Annotated[float, Field(gt=0, le=600)] = 5.0
    """Time that one batch may take; its size follows."""
    retry_first_s: Annotated[float, Field(gt=0, le=60)] = 0.5
    """Widest wait after the first failure; it doubles with each further one."""
    retry_cap_s: Annotated[float, Field(ge=0.1, le=3600)] = 60.0
    """Widest wait between two attempts; not below `retry_first_s`."""
    healthy_s: Annotated[float, Field(ge=0, le=86_400)] = 60.0
    """After working for so long, the next failure waits `retry_first_s` again."""

    @model_validator(mode="after")
    def _waits_rise(self) -> Self:
        if self.retry_cap_s < self.retry_first_s:
            raise ValueError(
                f"retry_cap_s {self.retry_cap_s:g} is below retry_first_s {self.retry_first_s:g}"
            )
        return self


class DeliveryLog(RecordReader, Protocol):
    """What delivery needs of the log."""

    @property
    def end(self) -> Seq:
        """Position of the last committed record; 0 before the first."""

    def cursor(self, name: str) -> Seq:
        """Return how far a reader got; 0 before its first record."""

    async def advance(self, name: str, seq: Seq) -> None:
        """Move a reader's cursor."""

    async def wait_for_records(self, *, after: Seq) -> None:
        """Return as soon as a record behind this position is committed."""

    async def stats(self) -> StoreStats:
        """Return what the log tells of itself, its readers' lag included."""


class Delivery:
    """Delivers the log to one uplink: `run` it, cancel it, then `finish`."""

    def __init__(
        self,
        uplink: Uplink,
        *,
        gateway: GatewayId,
        reader: DeliveryLog,
        settings: DeliverySettings,
        dead_letters: DeadLetters,
        clock: Clock,
        note: Note,
    ) -> None:
        """Go on from the uplink's own cursor."""
        self._uplink = uplink
        self._gateway = gateway
        self._reader = reader
        self._settings = settings
        self._dead_letters = dead_letters
        self._clock = clock
        self._note = note
        self._link = Link(uplink.name, address=uplink.address)
        self._suspects = Suspects()
        self._backoff = Backoff(
            first_s=settings.retry_first_s,
            cap_s=settings.retry_cap_s,
            healthy_s=settings.healthy_s,
        )
        self._pace = Pace(
            size_bytes_min=settings.batch_size_bytes_min,
            size_bytes_max=settings.batch_size_bytes_max,
            target_s=settings.batch_target_s,
        )
        self._waiting_since_ns = clock.now_ns()
        self._looked_ns = clock.monotonic_ns() - LAG_PERIOD_NS
        self._is_stalled = False
        self._refusals_in_a_row = 0

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            try:
                if self._lag == 0:
                    await self._reader.wait_for_records(after=self._cursor)
                    self._waiting_since_ns = self._clock.now_ns()
                    await asyncio.sleep(self._settings.linger_s)
                await self._deliver_next()
                await self._look_at_lag()
            except UplinkError as error:
                wait_s = self._lost(error)
                await self._look_at_lag()
                await asyncio.sleep(wait_s)
            except StoreError as error:
                await asyncio.sleep(self._stalled(error))

    async def finish(self, *, deadline_s: float) -> int:
        """Deliver what is left as far as the deadline allows, and close the uplink.

        Returns:
            Positions of the log that stay for the next start.
        """
        try:
            async with asyncio.timeout(deadline_s):
                while self._lag > 0:
                    await self._deliver_next()
        except (TimeoutError, UplinkError, StoreError) as error:
            log.info("delivery_postponed", uplink=self._uplink.name, reason=repr(error))
        finally:
            await self._uplink.aclose()
        return self._lag

    def status(self) -> UplinkStatus:
        """Return how the uplink is doing."""
        now_ns = self._clock.now_ns()
        waiting_s = max(now_ns - self._waiting_since_ns, 0) / _NS_PER_S
        return self._link.status(
            cursor=self._cursor,
            end=Seq(self._cursor + self._lag),
            lag_s=waiting_s if self._lag else 0.0,
            now_ns=now_ns,
        )

    @property
    def _cursor(self) -> Seq:
        return self._reader.cursor(self._uplink.name)

    @property
    def _lag(self) -> int:
        return max(self._reader.end - self._cursor, 0)

    async def _deliver_next(self) -> None:
        """Send one batch and move the cursor past what was confirmed of it."""
        end = self._reader.end
        read = await self._reader.read(after=self._cursor, size_bytes_max=self._pace.size_bytes)
        records = self._suspects.narrow(read[: self._settings.batch_records_max])
        if not records:
            # Positions up to here hold nothing any more: dropped by retention, or damaged.
            await self._reader.advance(self._uplink.name, end)
            return
        batch = Batch(
            gateway=self._gateway, records=tuple(records), tables=await self._tables_of(records)
        )
        begun_ns = self._clock.monotonic_ns()
        try:
            result = await self._uplink.send(batch)
        except RefusedBatchError as error:
            self._pace.failed()
            poisoned = self._suspects.refused(records)
            if poisoned is not None:
                await self._bury(poisoned, error)
            return
        duration_s = (self._clock.monotonic_ns() - begun_ns) / _NS_PER_S
        await self._confirm(records, result)
        self._pace.arrived(
            size_bytes=sum(len(record.body) for record in records), duration_s=duration_s
        )

    async def _look_at_lag(self) -> None:
        """While behind, ask the log now and then how long the oldest record has waited."""
        now_ns = self._clock.monotonic_ns()
        if self._lag == 0 or now_ns - self._looked_ns < LAG_PERIOD_NS:
            return
        self._looked_ns = now_ns
        for lag in (await self._reader.stats()).cursors:
            if lag.name == self._uplink.name and lag.oldest_ns is not None:
                self._waiting_since_ns = lag.oldest_ns

    async def _tables_of(self, records: Sequence[Record]) -> tuple[TagTable, ...]:
        tables: dict[int, TagTable] = {}
        for record in records:
            if record.kind in _KINDS_WITH_TAGS:
                table = await self._reader.table_of(record)
                tables[table.epoch] = table
        return tuple(tables.values())

    async def _confirm(self, records: Sequence[Record], result: SendResult) -> None:
        """Move the cursor past what the far end has, and tell the edges."""
        if not 0 < result.accepted <= len(records):
            raise UplinkError(
                "the far end answers but takes nothing: look at its logs",
                detail=f"accepted {result.accepted} of {len(records)} records",
            )
        await self._reader.advance(self._uplink.name, records[result.accepted - 1].seq)
        self._suspects.passed(self._cursor)
        self._refusals_in_a_row = 0
        self._is_stalled = False
        self._backoff.succeeded(now_ns=self._clock.monotonic_ns())
        for event in self._link.confirmed(
            result,
            cursor=self._cursor,
            end=Seq(self._cursor + self._lag),
            now_ns=self._clock.now_ns(),
        ):
            log.info(event.condition, uplink=self._uplink.name, text=event.text)
            self._note(event)

    async def _bury(self, record: Record, error: RefusedBatchError) -> None:
        """Keep a poisoned record as a dead letter, enter it into the books, and pass it.

        Raises:
            UplinkError: it is one of too many in a row.
            StoreError: it cannot be kept; it is tried again.
        """
        now_ns = self._clock.now_ns()
        await self._dead_letters.put(
            record, uplink=self._uplink.name, reason=str(error), time_ns=now_ns
        )
        if record.kind in _KINDS_WITH_TAGS:
            entry = ledger_entry_of(record, await self._reader.table_of(record), now_ns=now_ns)
            if entry is not None:
                self._note(entry)
        self._note(
            Event(
                time_ns=now_ns,
                source=self._uplink.name,
                condition="record_refused",
                severity=REFUSED_SEVERITY,
                text=f"{self._uplink.name} will never take the {record.kind.name} record"
                f" {record.boot}/{record.seq}; it is kept as a dead letter: {error}",
            )
        )
        log.error(
            "record_refused",
            uplink=self._uplink.name,
            seq=record.seq,
            kind=record.kind.name,
            reason=str(error),
            stage="sending",
        )
        await self._reader.advance(self._uplink.name, record.seq)
        self._link.buried()
        self._refusals_in_a_row += 1
        if self._refusals_in_a_row > REFUSALS_IN_A_ROW_MAX:
            raise UplinkError(
                "the far end refuses one record after the other: compare its version with the"
                " gateway's",
                detail=str(error),
            )

    def _lost(self, error: UplinkError) -> float:
        """Note a failed attempt and return how long to wait before the next."""
        self._pace.failed()
        wait_s = self._backoff.failed(now_ns=self._clock.monotonic_ns())
        wait_s = max(wait_s, min(error.retry_after_s or 0.0, self._settings.retry_cap_s))
        event = self._link.failed(error, now_ns=self._clock.now_ns(), retry_s=wait_s)
        if event is not None:
            log.warning(
                "uplink_lost",
                uplink=self._uplink.name,
                reason=error.text,
                detail=error.detail,
                retry_s=round(wait_s, 1),
                stage="sending",
            )
            self._note(event)
        return wait_s

    def _stalled(self, error: StoreError) -> float:
        """Note that our own disk stands in the way; the far end is not to blame."""
        if not self._is_stalled:
            log.error(
                "delivery_stalled", uplink=self._uplink.name, reason=str(error), stage="sending"
            )
        self._is_stalled = True
        return self._backoff.failed(now_ns=self._clock.monotonic_ns())

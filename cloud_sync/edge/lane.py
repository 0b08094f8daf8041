"""A lane: one class of one uplink on its way out, batch by batch.

Invariants:
    - Records of a class go out in the order of the log, one batch at a time.
    - The log is told of nothing but what the far end has confirmed. A stop at any instant
      therefore repeats records, which the far end knows by `(gateway, boot, seq)`; it leaves none
      out.
    - A record that the far end will never take is found by halving its batch, kept as a dead
      letter, entered into the ledger, and only then passed.
    - A far end that refuses record after record is an outage: each further dead letter costs one
      back-off, so that a broken far end does not turn the log into dead letters.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import structlog

from cloud_sync.edge.dead_letters import DeadLetters
from cloud_sync.edge.pace import Pace
from cloud_sync.edge.places import DeliveryLog, Place
from cloud_sync.edge.refused import ledger_entry_of
from cloud_sync.edge.suspects import Suspects
from gateway.core.cursors import SAMPLE_KINDS, Span
from gateway.core.errors import RefusedBatchError, UplinkError
from gateway.core.events import Event
from gateway.core.ports import Batch, Clock, SendResult, Uplink
from gateway.core.records import GatewayId, LedgerEntry, Record, Seq
from gateway.core.tags import TagTable
from gateway.core.uplink_status import DeliveryClass

REFUSED_SEVERITY: Final = 700
REFUSALS_IN_A_ROW_MAX: Final = 3
"""More dead letters than this without a confirmed record between them are an outage."""

_NS_PER_S: Final = 1_000_000_000

Note: TypeAlias = Callable[[Event | LedgerEntry], None]
"""Takes what delivery has to say; it goes into the log like everything else."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What one attempt brought."""

    result: SendResult
    """As the far end counted."""
    size_bytes: int
    """Of the bodies sent."""


class Lane:
    """Sends the records of one class; knows how many bytes are good, and what is suspect."""

    def __init__(
        self,
        place: Place,
        uplink: Uplink,
        *,
        gateway: GatewayId,
        reader: DeliveryLog,
        pace: Pace,
        batch_records_max: int,
        dead_letters: DeadLetters,
        clock: Clock,
        note: Note,
    ) -> None:
        """Go on from a place in the log."""
        self.place = place
        self.buried = 0
        """Records that the far end will never take, since the start."""
        self._uplink = uplink
        self._gateway = gateway
        self._reader = reader
        self._pace = pace
        self._batch_records_max = batch_records_max
        self._dead_letters = dead_letters
        self._clock = clock
        self._note = note
        self._suspects = Suspects()
        self._refusals_in_a_row = 0

    @property
    def kind(self) -> DeliveryClass:
        """The class."""
        return self.place.kind

    async def deliver(self, span: Span) -> Delivered | None:
        """Send one batch from the begin of a span, and pass what was confirmed of it.

        Args:
            span: What `place` says is next.
        Returns:
            What the far end took; None when there was nothing to send, or a record was refused.
        Raises:
            UplinkError: nothing is known to have been taken.
            StoreError: the log cannot be read, or a dead letter not be kept.
        """
        read = await self._reader.read(
            after=Seq(span.first - 1),
            until=span.last,
            scope=self.place.scope,
            size_bytes_max=self._pace.size_bytes,
        )
        records = self._suspects.narrow(read[: self._batch_records_max])
        if not records:
            # These positions hold nothing for this class, or nothing any more: dropped, damaged.
            await self.place.passed(span, span.last)
            return None
        batch = Batch(
            gateway=self._gateway,
            records=tuple(records),
            tables=await self._tables_of(records),
            is_historical=self.kind is DeliveryClass.BACKFILL,
        )
        begun_ns = self._clock.monotonic_ns()
        try:
            result = await self._uplink.send(batch)
        except RefusedBatchError as error:
            self._pace.failed()
            poisoned = self._suspects.refused(records)
            if poisoned is not None:
                await self._bury(poisoned, span, error)
            return None
        except UplinkError:
            self._pace.failed()
            raise
        size_bytes = sum(len(record.body) for record in records)
        duration_s = (self._clock.monotonic_ns() - begun_ns) / _NS_PER_S
        await self._confirm(records, span, result)
        self._pace.arrived(size_bytes=size_bytes, duration_s=duration_s)
        return Delivered(result=result, size_bytes=size_bytes)

    async def _tables_of(self, records: Sequence[Record]) -> tuple[TagTable, ...]:
        tables: dict[int, TagTable] = {}
        for record in records:
            if record.kind in SAMPLE_KINDS:
                table = await self._reader.table_of(record)
                tables[table.epoch] = table
        return tuple(tables.values())

    async def _confirm(self, records: Sequence[Record], span: Span, result: SendResult) -> None:
        """Pass what the far end has."""
        if not 0 < result.accepted <= len(records):
            self._pace.failed()
            raise UplinkError(
                "the far end answers but takes nothing: look at its logs",
                detail=f"accepted {result.accepted} of {len(records)} records",
            )
        last = records[result.accepted - 1].seq
        await self.place.passed(span, last)
        self._suspects.passed(last)
        self._refusals_in_a_row = 0

    async def _bury(self, record: Record, span: Span, error: RefusedBatchError) -> None:
        """Keep a poisoned record as a dead letter, enter it into the books, and pass it.

        Raises:
            UplinkError: it is one of too many in a row.
            StoreError: it cannot be kept; it is tried again.
        """
        now_ns = self._clock.now_ns()
        await self._dead_letters.put(
            record,
            uplink=self._uplink.name,
            reason=str(error),
            time_ns=now_ns,
            is_historical=self.kind is DeliveryClass.BACKFILL,
        )
        if record.kind in SAMPLE_KINDS:
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
        await self.place.passed(span, record.seq)
        self.buried += 1
        self._refusals_in_a_row += 1
        if self._refusals_in_a_row > REFUSALS_IN_A_ROW_MAX:
            raise UplinkError(
                "the far end refuses one record after the other: compare its version with the"
                " gateway's",
                detail=str(error),
            )

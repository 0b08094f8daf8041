"""Re-basing: what our clock stamped while it was wrong is moved once it is known by how much.

A *doubt* is the stretch of the log from the first record of a start whose clock could not be
relied on. Its samples are marked `UNTRUSTED` and held back from the readers, for as long as the
service says. A later start takes the doubt over while the machine itself has not been switched
off: its clock then still is wrong by the same. Otherwise nobody will ever know, and the marks stay.

A *shift* is the order to move what stands in the doubt. It is carried out by the writer's thread
in steps of one short transaction, each of which also notes how far it got: a kill in the middle
goes on from there, and moves nothing twice. Nothing is sealed before a shift is done, so no block
holds frames of both sides.

Moved are the samples so marked, the times of receipt and of commit, as far as the wrong clock
showed them. Events and ledger entries stay as they were told, here and at every receiver; a gap
that was entered in wrong time is entered once more in the right one. `seq`, `boot` and kind stay,
so the order does.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from gateway.core.errors import CorruptRecordError
from gateway.core.frame import ClockSource
from gateway.core.records import Boot, Record, RecordKind, Seq
from gateway.core.tags import ConfigEpoch
from gateway.store.backlog import Ticket
from gateway.store.bodies import record_place
from gateway.store.database import LogDatabase
from gateway.store.doubt import Doubt, Shift, moved_frame, moved_gap
from gateway.wire.documents import decode_ledger_entry, draft_ledger_entry
from gateway.wire.frames import FRAME_KINDS, StoredFrame, encode_block, encode_frame, frames_of

_SAMPLES_PER_STEP = 100_000
_ROWS_PER_STEP = 500
"""Commits must not wait long for a step."""


class Rebasing:
    """Knows the doubt and the shifts of a log, and carries them out on the writer's thread.

    What the service wants waits until everything that was appended before it is on disk.
    """

    def __init__(self, database: LogDatabase, *, boot: Boot, mark: Callable[[], Ticket]) -> None:
        """Go on with what the log says.

        Args:
            database: The log.
            boot: The running one, for gaps that are entered once more.
            mark: Returns a ticket behind everything that was appended, and wakes the writer.
        """
        self._boot = boot
        self._mark = mark
        self._wishes: deque[tuple[Ticket, Callable[[LogDatabase], None]]] = deque()
        self._doubt = read_doubt(database)
        self._orders = _read_orders(database)
        self._samples_end = self._end_of_samples()

    @property
    def doubt(self) -> Doubt | None:
        """The doubt that waits for a shift to settle it; None without one."""
        return None if any(order.is_last for order in self._orders) else self._doubt

    @property
    def samples_end(self) -> Seq | None:
        """Position up to which samples may go out; None is the end of the log."""
        return self._samples_end

    @property
    def is_due(self) -> bool:
        """Whether there is something to do."""
        return bool(self._wishes or self._orders)

    def begin(self, doubt: Doubt) -> None:
        """Hold back the samples of a doubt from now on; an earlier one keeps its marks."""
        self._samples_end = Seq(doubt.first - 1)
        self._wishes.append((self._mark(), partial(self._begin, doubt=doubt)))

    def give_up(self) -> None:
        """Forget the doubt: nobody will ever know by how much its clock was wrong."""
        self._wishes.append((self._mark(), partial(self._begin, doubt=None)))

    def release(self) -> None:
        """Let the samples go out as they are; the doubt stands."""
        self._wishes.append((self._mark(), self._release))

    def shift(self, shift: Shift) -> None:
        """Have the records of the doubt moved; one that marks them `REBASED` settles it."""
        self._wishes.append((self._mark(), partial(self._order, shift=shift)))

    def step(self, database: LogDatabase, *, settled: Ticket) -> None:
        """Do one thing, in one transaction; to be called when something is due.

        Args:
            database: The log.
            settled: Up to where it is on disk.
        Raises:
            sqlite3.Error: the disk refuses; nothing was done.
        """
        if self._orders:
            # Also before a new doubt begins: it is about another stretch.
            self._carry_out(database, self._orders[0])
        elif self._wishes[0][0] <= settled:
            with database.transaction():
                self._wishes[0][1](database)
            self._wishes.popleft()
        self._doubt = read_doubt(database)
        self._orders = _read_orders(database)
        self._samples_end = self._end_of_samples()

    def _begin(self, database: LogDatabase, *, doubt: Doubt | None) -> None:
        if doubt is None:
            database.connection.execute("DELETE FROM doubt")
        else:
            _write_doubt(database, doubt)

    def _release(self, database: LogDatabase) -> None:
        if self._doubt is not None:
            _write_doubt(database, replace(self._doubt, is_held=False))

    def _order(self, database: LogDatabase, *, shift: Shift) -> None:
        doubt = self._doubt
        assert doubt is not None
        database.connection.execute(
            "INSERT INTO shift (last, done, shift_ns, from_ns, to_ns, clock)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                database.last_seq,
                doubt.first - 1,
                shift.shift_ns,
                shift.from_ns,
                shift.to_ns,
                int(shift.clock),
            ),
        )
        moved = replace(
            doubt,
            offset_ns=doubt.offset_ns + shift.shift_ns,
            from_ns=doubt.from_ns + shift.shift_ns,
        )
        _write_doubt(database, moved)

    def _carry_out(self, database: LogDatabase, order: "_Order") -> None:
        with database.transaction():
            done = self._move(database, order)
            database.connection.execute(
                "UPDATE shift SET done = ? WHERE number = ?", (done, order.number)
            )
            if done >= order.last:
                database.connection.execute("DELETE FROM shift WHERE number = ?", (order.number,))
                if order.is_last:
                    database.connection.execute("DELETE FROM doubt")

    def _move(self, database: LogDatabase, order: "_Order") -> Seq:
        """Move the next records; returns the position up to which all are."""
        rows = database.connection.execute(
            "SELECT seq, boot, kind, sample_count, stored_ns, body FROM record"
            " WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            (order.done, order.last, _ROWS_PER_STEP),
        ).fetchall()
        done, samples = order.done, 0
        for seq, boot, kind, sample_count, stored_ns, stored in rows:
            if samples and samples + sample_count > _SAMPLES_PER_STEP:
                # Not right before a block: that stands at its last position.
                return done
            done, samples = Seq(seq), samples + sample_count
            database.connection.execute(
                "UPDATE record SET stored_ns = ? WHERE seq = ?",
                (order.shift.moved(stored_ns), seq),
            )
            try:
                body = database.bodies.get(stored, place=record_place(seq))
                record = Record(boot=Boot(boot), seq=Seq(seq), kind=RecordKind(kind), body=body)
                self._move_record(database, record, order.shift, stored_ns=stored_ns)
            except CorruptRecordError:
                # It stays where it is: whoever reads it has it entered into the ledger.
                continue
        return order.last if len(rows) < _ROWS_PER_STEP else done

    def _move_record(
        self, database: LogDatabase, record: Record, shift: Shift, *, stored_ns: int
    ) -> None:
        if record.kind in FRAME_KINDS or record.kind is RecordKind.BLOCK:
            frames, epoch = frames_of(record)
            _rewrite(database, record, [_moved(each, shift) for each in frames], epoch)
        elif record.kind is RecordKind.LEDGER:
            again = moved_gap(decode_ledger_entry(record.body), shift, stored_ns=stored_ns)
            if again is not None and shift.clock is ClockSource.REBASED:
                now_ns = shift.to_ns + shift.shift_ns
                database.append([draft_ledger_entry(again)], boot=self._boot, stored_ns=now_ns)

    def _end_of_samples(self) -> Seq | None:
        """Return up to where samples may go out: before the doubt, or up to where it is moved."""
        if self._doubt is None or not self._doubt.is_held:
            return None
        match self._orders:
            case [_Order(is_last=True) as order]:
                return order.done
            case _:
                return Seq(self._doubt.first - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """A shift, and how far it is carried out."""

    number: int
    last: Seq
    done: Seq
    shift: Shift

    @property
    def is_last(self) -> bool:
        """Whether nothing is in doubt when it is done."""
        return self.shift.clock is ClockSource.REBASED


def _moved(stored: StoredFrame, shift: Shift) -> StoredFrame:
    return replace(stored, frame=moved_frame(stored.frame, shift))


def _rewrite(
    database: LogDatabase, record: Record, frames: list[StoredFrame], epoch: ConfigEpoch
) -> None:
    """Put moved frames into the place of a record."""
    if record.kind is RecordKind.BLOCK:
        body = encode_block(frames, epoch=epoch)
    else:
        body = encode_frame(frames[0].frame, epoch=epoch)
    times = [stored.frame.time_ns for stored in frames if len(stored.frame)]
    database.connection.execute(
        "UPDATE record SET first_ns = ?, last_ns = ?, body = ? WHERE seq = ?",
        (
            min((int(column.min()) for column in times), default=0),
            max((int(column.max()) for column in times), default=0),
            database.bodies.put(body, place=record_place(record.seq)),
            record.seq,
        ),
    )


def read_doubt(database: LogDatabase) -> Doubt | None:
    """Return the doubt that is noted in the log; None without one."""
    row = database.connection.execute("SELECT * FROM doubt").fetchone()
    if row is None:
        return None
    first, machine, offset_ns, from_ns, known_ns, is_held = row
    return Doubt(
        first=Seq(first),
        machine=machine,
        offset_ns=offset_ns,
        from_ns=from_ns,
        known_ns=known_ns,
        is_held=bool(is_held),
    )


def _write_doubt(database: LogDatabase, doubt: Doubt) -> None:
    database.connection.execute("DELETE FROM doubt")  # there is one at the most
    database.connection.execute(
        "INSERT INTO doubt VALUES (?, ?, ?, ?, ?, ?)",
        (
            doubt.first,
            doubt.machine,
            doubt.offset_ns,
            doubt.from_ns,
            doubt.known_ns,
            int(doubt.is_held),
        ),
    )


def _read_orders(database: LogDatabase) -> list[_Order]:
    rows = database.connection.execute(
        "SELECT number, last, done, shift_ns, from_ns, to_ns, clock FROM shift ORDER BY number"
    )
    return [
        _Order(
            number=number,
            last=Seq(last),
            done=Seq(done),
            shift=Shift(shift_ns=shift_ns, from_ns=from_ns, to_ns=to_ns, clock=ClockSource(clock)),
        )
        for number, last, done, shift_ns, from_ns, to_ns, clock in rows
    ]

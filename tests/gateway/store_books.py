"""The books of a log that was treated badly: what was said of it, and what it holds.

A victim (`store_victim`) says what it appends, what was promised durable and what its receiver
got; `Books.hear` takes these lines. `Books.balance` then opens the log that was left behind and
tells every difference:

- what was promised, and every group of which a part is there, was delivered, is stored, or is
  covered by a loss in the ledger; the counts of the ledger agree with what is missing;
- a record never changes under its identity `(gateway, boot, seq)`, to the bit; none is made up;
- the cursor passed nothing that the receiver did not get;
- boots and positions are not used again; every stop that was not clean is a gap, once;
- the database was not set aside.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from gateway.core.cursors import Cursor
from gateway.core.errors import StoreError
from gateway.core.frame import Frame
from gateway.core.records import Draft, LedgerReason, Record, RecordKind, Seq
from gateway.core.tags import ConfigEpoch, TagTable
from gateway.store import LogReader, RecordLog
from gateway.wire.documents import decode_event, decode_ledger_entry, draft_event
from gateway.wire.frames import FRAME_KINDS, StoredFrame, draft_frame, encode_frame, frames_of
from tests.gateway.store_cases import (
    SECOND_NS,
    START_NS,
    TAGS,
    make_event,
    open_log,
)

SAMPLES = 200
"""In each frame."""

Identity = tuple[int, int]
"""Boot and seq."""

_LETTERS = {RecordKind.FRAME: "F", RecordKind.DERIVED: "D", RecordKind.EVENT: "E"}


def noisy_frame(number: int) -> Frame:
    """Return a frame that is known by its number, and that no codec makes much smaller."""
    rng = np.random.default_rng(number)
    time_ns = START_NS + number * SECOND_NS
    return Frame(
        tag_index=rng.integers(len(TAGS), size=SAMPLES, dtype=np.int32),
        time_ns=np.full(SAMPLES, time_ns, dtype=np.int64),
        server_ns=None,
        value=rng.standard_normal(SAMPLES),
        status=np.zeros(SAMPLES, dtype=np.uint32),
        received_ns=time_ns + 1,
    )


@lru_cache(maxsize=10_000)
def noisy_body(number: int, epoch: ConfigEpoch) -> bytes:
    return encode_frame(noisy_frame(number), epoch=epoch)


def noisy_draft(number: int, table: TagTable, *, kind: RecordKind = RecordKind.FRAME) -> Draft:
    return draft_frame(noisy_frame(number), epoch=table.epoch, kind=kind)


def words_of(record: Record) -> Iterator[tuple[int, int, str]]:
    """Yield boot, seq and what is there, as one word, for a record or each frame of a block."""
    if record.kind in FRAME_KINDS or record.kind is RecordKind.BLOCK:
        frames, epoch = frames_of(record)
        for stored in frames:
            is_alone = record.kind is not RecordKind.BLOCK
            body = record.body if is_alone else encode_frame(stored.frame, epoch=epoch)
            yield stored.boot, stored.seq, _word_of_frame(stored, epoch, body)
    elif record.kind is RecordKind.EVENT:
        number = (decode_event(record.body).time_ns - START_NS) // SECOND_NS
        yield record.boot, record.seq, f"E{number}"
    elif record.kind is RecordKind.LEDGER:
        entry = decode_ledger_entry(record.body)
        yield (
            record.boot,
            record.seq,
            f"L{entry.reason}:{entry.from_ns}:{entry.to_ns}:{entry.count or 0}",
        )
    else:
        yield record.boot, record.seq, record.kind.name


def _word_of_frame(stored: StoredFrame, epoch: ConfigEpoch, body: bytes) -> str:
    number = (int(stored.frame.time_ns[0]) - START_NS) // SECOND_NS
    is_same = body == noisy_body(number, epoch)
    return f"{_LETTERS[stored.kind]}{number}" if is_same else f"wrong{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What came out."""

    problems: tuple[str, ...]
    """Empty when all is as promised."""
    counts: Counter[str]
    """How much of everything happened, so that a run that tried nothing is seen."""


@dataclass(slots=True)
class Books:
    """What was said about one log."""

    problems: list[str] = field(default_factory=list)
    boots: list[int] = field(default_factory=list)
    closing: set[int] = field(default_factory=set)
    closed: set[int] = field(default_factory=set)
    appended: dict[int, str] = field(default_factory=dict)
    promised: set[int] = field(default_factory=set)
    known: dict[Identity, str] = field(default_factory=dict)
    """What is at each identity, as far as anybody saw."""
    got: set[Identity] = field(default_factory=set)
    """What the receiver has."""
    counts: Counter[str] = field(default_factory=Counter)

    def hear(self, lines: Iterable[str]) -> None:
        """Take what a victim said, in order."""
        for line in lines:
            word, *rest = line.split()
            self.counts[word] += 1
            if word == "open":
                self._opened(boot=int(rest[0]), end=int(rest[1]))
            elif word == "append":
                self.appended[int(rest[0])] = rest[1]
            elif word == "durable":
                self.promised.add(int(rest[0]))
            elif word == "got":
                identity = int(rest[0]), int(rest[1])
                self._know(identity, rest[2])
                self.got.add(identity)
            elif word == "checkpoint":
                self._expect(len(set(rest[1:])) <= 1, f"a checkpoint in parts: {line}")
            elif word == "holes":
                self.counts["restarts with a hole"] += rest[0] != "0"
            elif word == "dead":
                self._expect(rest[1] in {"0", "-9"}, f"a victim ended with {rest[1]}")
            elif word == "closing":
                self.closing.add(int(rest[0]))
            elif word == "closed":
                self.closed.add(int(rest[0]))

    async def balance(self, path: Path) -> Balance:
        """Open the log, once, and compare; the log must go on to be usable."""
        try:
            await self._look_into(path)
        except StoreError as error:
            self.problems.append(f"the log does not open: {error}")
        return Balance(problems=tuple(self.problems), counts=self.counts)

    async def _look_into(self, path: Path) -> None:
        log = open_log(path)
        try:
            self._expect(log.opening.set_aside is None, "the database was set aside")
            self._opened(boot=log.boot, end=log.end)
            self.closing.add(log.boot)
            cursor = log._writer.cursor("cloud")
            damaged: list[int] = []
            records = list(LogReader(path, on_corrupt=damaged.append).records())
            self._expect(not damaged, f"damaged records at {damaged}")
            self._look_at(records, cursor)
            self._look_at_groups(stored_samples=(await log.stats()).stored_samples)
            self._look_at_gaps(log)
            await log.durable(log.append([draft_event(make_event(0))]))
        finally:
            await log.close()

    def _look_at(self, records: list[Record], cursor: Cursor) -> None:
        self.counts["blocks"] += sum(record.kind is RecordKind.BLOCK for record in records)
        found = [(boot, seq, word) for record in records for boot, seq, word in words_of(record)]
        seqs = [seq for _, seq, _ in found]
        self._expect(seqs == sorted(set(seqs)), "positions are not in order, each once")
        for boot, seq, word in found:
            self._know((boot, seq), word)
            if cursor.has(Seq(seq)) and (boot, seq) not in self.got:
                self.problems.append(f"the cursor passed {boot}/{seq} {word}, which nobody got")

    def _look_at_groups(self, *, stored_samples: int) -> None:
        found = {word for word in self.known.values() if word[0] in "FDE"}
        losses = self._losses()
        numbers = {int(word[1:]) for word in found}
        self._expect(numbers <= self.appended.keys(), "records that nobody appended")
        for number in (numbers & self.appended.keys()) | self.promised:
            for letter in self.appended[number]:
                if f"{letter}{number}" in found:
                    continue
                # What was computed from samples is no loss, and goes with its neighbours.
                reach = SECOND_NS if letter == "D" else 0
                # An entry about events counts no samples.
                told = [loss for loss in losses if (loss[2] == 0) == (letter == "E")]
                is_lost = _is_covered(number, told, reach_ns=reach)
                self._expect(is_lost, f"{letter}{number} is neither stored nor in the ledger")
        raw = [int(word[1:]) for word in found if word[0] == "F"]
        missing = stored_samples - SAMPLES * len(raw)
        ledgered = sum(count for _, _, count in losses)
        # Delivered, but dropped before the cursor that says so was on disk: then it is in both.
        both = SAMPLES * sum(_is_covered(number, losses, reach_ns=0) for number in raw)
        self._expect(
            0 <= missing <= ledgered <= missing + both,
            f"{missing} samples are missing, {ledgered} are in the ledger, {both} in both",
        )
        self.counts["samples received"] += stored_samples
        self.counts["samples delivered or stored"] += SAMPLES * len(raw)
        self.counts["samples in the ledger"] += ledgered
        self.counts["losses"] += len(losses)

    def _losses(self) -> list[tuple[int, int, int]]:
        """Return begin, end and count of each entry about samples that were held."""
        losses = []
        for word in self.known.values():
            if word[0] == "L":
                reason, begin, end, count = word[1:].split(":")
                if not LedgerReason(reason).is_gap:
                    losses.append((int(begin), int(end), int(count)))
        return losses

    def _look_at_gaps(self, log: RecordLog) -> None:
        gaps = sum(word.startswith("Lunclean_stop") for word in self.known.values())
        unclean = set(self.boots) - self.closing
        self._expect(
            len(unclean) <= gaps <= log.boot - 1 - len(self.closed),
            f"{gaps} gaps for {len(unclean)} stops that were not clean",
        )

    def _opened(self, *, boot: int, end: int) -> None:
        seen = max((boot for boot, _ in self.known), default=0)
        self._expect(boot > max([seen, *self.boots]), f"boot {boot} was used before")
        self.boots.append(boot)
        last = max((seq for _, seq in self.got), default=0)
        self._expect(end >= last, f"the log ends at {end}, and {last} was delivered before")

    def _know(self, identity: Identity, word: str) -> None:
        before = self.known.setdefault(identity, word)
        self._expect(before == word, f"{identity} was {before} and is {word}")
        self._expect(not word.startswith("wrong"), f"{identity} is not what was appended")

    def _expect(self, is_so: bool, problem: str) -> None:
        if not is_so:
            self.problems.append(problem)


def _is_covered(number: int, losses: list[tuple[int, int, int]], *, reach_ns: int) -> bool:
    time_ns = START_NS + number * SECOND_NS
    return any(begin - reach_ns <= time_ns < end + reach_ns for begin, end, _ in losses)

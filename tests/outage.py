"""The cloud is away for 72 hours and the log may use 256 MB: `python -m tests.outage`.

    python -m tests.outage [--hours 72] [--budget-mb 256] [--tags 500] [--seed 4]

A plant of slow walks, noise, steps, sines, switches, states, constants and sensors that fail at
times is written to a real log, one sample of each tag a second, as fast as the machine can. The
clock of the log goes with the data. Then the cloud is back, everything is delivered, and compared
with what the plant said, which is made again from its seed: each sample kept is equal to the bit,
each one thinned out lies within the stated error of the line between its neighbours, no line goes
across a Bad stretch, every alarm came, nothing twice, and the books balance to the sample.

Ends with 1 when one of it does not hold.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from gateway.core.arrays import BoolArray, FloatArray, StatusArray
from gateway.core.cursors import Scope
from gateway.core.events import Event
from gateway.core.frame import Frame
from gateway.core.quality import Status
from gateway.core.records import Draft, GatewayId, LedgerReason, Record, RecordKind
from gateway.core.tags import ConfigEpoch, Tag, TagId
from gateway.store import LogSettings, RecordLog
from gateway.wire.clock import SystemClock
from gateway.wire.documents import decode_event, decode_ledger_entry, draft_event
from gateway.wire.frames import draft_frame, frames_of

START_NS: Final = 1_760_000_000_000_000_000
SECOND_NS: Final = 1_000_000_000
MINUTE_S: Final = 60
ALARM_PERIOD_S: Final = 600
KINDS: Final = ("walk", "noise", "steps", "switch", "constant", "failing", "state", "sine")
EXACT_KINDS: Final = frozenset(("switch", "state", "constant"))
MB: Final = 1_000_000
HEADROOM: Final = 0.04
"""Part of the budget that may be used beyond it between two looks at the bound."""


class OutageClock(SystemClock):
    """A clock that is set ahead with the data, and goes on by itself in between."""

    def __init__(self) -> None:
        self.ahead_ns = 0

    def now_ns(self) -> int:
        return START_NS + self.monotonic_ns()

    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + self.ahead_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """How long, how much."""

    hours: float
    budget_bytes: int
    tag_count: int
    seed: int = 4
    block_samples_max: int = 262_144

    @property
    def duration_s(self) -> int:
        """Whole minutes of data."""
        return round(self.hours * 60) * MINUTE_S

    @property
    def sample_count(self) -> int:
        """Samples that the plant says."""
        return self.duration_s * self.tag_count

    @property
    def settings(self) -> LogSettings:
        """Options of the log: the budget is for what is not delivered."""
        return LogSettings(
            group_commit_s=0.01,
            backlog_bytes_max=self.budget_bytes,
            block_samples_max=self.block_samples_max,
            ballast_bytes=0,
        )

    def tags(self) -> tuple[Tag, ...]:
        """Every kind in turn; half of the kinds have a range."""
        ranges = {"walk": (0, 100), "noise": (0, 100), "failing": (-50, 50), "state": (0, 1000)}
        return tuple(
            Tag(id=TagId(f"plant.{kind}{number}"), low=low, high=high)
            for number in range(self.tag_count)
            for kind in [KINDS[number % len(KINDS)]]
            for low, high in [ranges.get(kind, (-np.inf, np.inf))]
        )


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of it."""

    delivered: int = 0
    """Raw samples."""
    ledgered: dict[LedgerReason, int] = field(default_factory=dict)
    """Samples in the ledger that was delivered."""
    error_percent: float = 0.0
    """The largest, of the range."""
    stated_percent: float = 0.0
    """The largest that the ledger says."""
    alarms: list[str] = field(default_factory=list)
    used_bytes_max: int = 0
    file_bytes_max: int = 0
    """With the write-ahead log."""
    tidy_ms_max: float = 0.0
    """The longest sealing and dropping for a minute of data."""
    faults: list[str] = field(default_factory=list)
    """What does not hold."""

    def expect(self, is_so: bool, text: str) -> None:
        """Note a fault if something is not so."""
        if not is_so:
            self.faults.append(text)


def plant(outage: Outage) -> Iterator[tuple[FloatArray, StatusArray]]:
    """Yield values and status codes of each minute, shape (60, tags); the same for a seed."""
    rng = np.random.default_rng(outage.seed)
    count = outage.tag_count
    kind = np.arange(count) % len(KINDS)
    level = rng.uniform(20, 80, count)
    phase = rng.uniform(0, 6, count)
    state = rng.integers(0, 2, count).astype(np.float64)
    bad_left = np.zeros(count)
    for minute in range(outage.duration_s // MINUTE_S):
        time_s = np.arange(minute * MINUTE_S, (minute + 1) * MINUTE_S)[:, None]
        normal = rng.normal(size=(MINUTE_S, count))
        walk = level + np.cumsum(normal * 0.02, axis=0)
        level = np.clip(walk[-1], 1, 99)
        chance = rng.random((MINUTE_S, count))
        switch = (state + np.cumsum(chance < 0.01, axis=0)) % 2
        choices = [
            _single(walk),
            _single(level + normal * 0.15),
            np.round(10.0 * np.floor(level / 10) + normal * 0.01, 3),
            switch,
            np.full_like(walk, 20.5),
            _single(walk - 50),
            np.floor(level / 20),
            _single(np.sin(time_s / 200 + phase) * 5 + normal * 0.01),
        ]
        state = switch[-1]
        value = np.choose(kind, choices)
        # A sensor fails for 30 s to 90 s about every half an hour; it says so every second.
        begins = np.where((bad_left <= 0) & (rng.random(count) < 1 / 30), MINUTE_S * 1.5, bad_left)
        is_bad = (kind == KINDS.index("failing")) & (np.arange(MINUTE_S)[:, None] < begins)
        bad_left = begins - MINUTE_S
        value[is_bad] = np.nan
        yield value, np.where(is_bad, Status.BAD_SENSOR_FAILURE, Status.GOOD).astype(np.uint32)


def _single(value: FloatArray) -> FloatArray:
    """Return values as they come over a field bus, with 24 bits."""
    return value.astype(np.float32).astype(np.float64)


def minute_drafts(
    minute: int, value: FloatArray, status: StatusArray, *, epoch: ConfigEpoch
) -> list[Draft]:
    """Return a minute of data as entries for the log, now and then with an alarm."""
    drafts = []
    tag_index = np.arange(value.shape[1], dtype=np.int32)
    for second in range(MINUTE_S):
        time_ns = START_NS + (minute * MINUTE_S + second) * SECOND_NS
        frame = Frame(
            tag_index=tag_index,
            time_ns=np.full(len(tag_index), time_ns),
            value=value[second],
            status=status[second],
            received_ns=time_ns,
        )
        drafts.append(draft_frame(frame, epoch=epoch, kind=RecordKind.FRAME))
    if minute * MINUTE_S % ALARM_PERIOD_S == 0:
        drafts.insert(30, draft_event(alarm(minute)))
    return drafts


def alarm(minute: int) -> Event:
    """Return the alarm of a minute."""
    return Event(
        time_ns=START_NS + minute * MINUTE_S * SECOND_NS,
        source="P-101",
        condition="pressure_high",
        severity=700,
        text=f"alarm of minute {minute}",
    )


async def run(outage: Outage, folder: Path) -> Outcome:
    """Write, deliver and compare."""
    clock = OutageClock()
    log = RecordLog.open(
        folder / "log.db",
        outage.settings,
        gateway=GatewayId("outage"),
        clock=clock,
        cursors={"cloud": Scope.SAMPLES, "cloud/alarms": Scope.NOTES},
    )
    outcome = Outcome()
    files = [folder / name for name in ("log.db", "log.db-wal")]
    try:
        epoch = log.intern(outage.tags()).epoch
        for minute, (value, status) in enumerate(plant(outage)):
            clock.ahead_ns += MINUTE_S * SECOND_NS
            await log.durable(log.append(minute_drafts(minute, value, status, epoch=epoch)))
            begin_s = time.perf_counter()
            await log.tidy()
            took_ms = (time.perf_counter() - begin_s) * 1e3
            outcome.tidy_ms_max = max(outcome.tidy_ms_max, took_ms)
            used_bytes = (await log.stats()).used_bytes
            file_bytes = sum(each.stat().st_size for each in files)
            outcome.used_bytes_max = max(outcome.used_bytes_max, used_bytes)
            outcome.file_bytes_max = max(outcome.file_bytes_max, file_bytes)
        await deliver(log, outage, outcome)
    finally:
        await log.close()
    judge(outage, outcome)
    return outcome


async def deliver(log: RecordLog, outage: Outage, outcome: Outcome) -> None:
    """Let the cloud be back: read everything from its two cursors on, as delivery does."""
    comparison = Comparison(outage, outcome)
    for name, scope in (("cloud/alarms", Scope.NOTES), ("cloud", Scope.SAMPLES)):
        seen: set[int] = set()
        while page := await log.read(
            after=log.cursor(name), size_bytes_max=2 * MB, until=log.end, scope=scope
        ):
            for record in page:
                seqs = take(record, comparison, outcome)
                outcome.expect(seen.isdisjoint(seqs), f"record {record.seq} came twice")
                seen |= seqs
            await log.advance(name, page[-1].seq)
    stats = await log.stats()
    outcome.expect(
        [lag.samples for lag in stats.cursors] == [0, 0], f"lags are left: {stats.cursors}"
    )
    told = {each.reason: each.samples for each in stats.ledgered}
    outcome.expect(told == outcome.ledgered, f"the log's own books say {told}")


def take(record: Record, comparison: "Comparison", outcome: Outcome) -> set[int]:
    """Take one record and return the positions that it stands for."""
    if record.kind is RecordKind.EVENT:
        outcome.alarms.append(decode_event(record.body).text)
    elif record.kind is RecordKind.LEDGER:
        entry = decode_ledger_entry(record.body)
        count = outcome.ledgered.get(entry.reason, 0) + (entry.count or 0)
        outcome.ledgered[entry.reason] = count
        outcome.stated_percent = max(outcome.stated_percent, entry.error_percent or 0.0)
    elif record.kind is not RecordKind.TAGS:
        frames, _ = frames_of(record)
        comparison.add([each.frame for each in frames])
        return {int(each.seq) for each in frames}
    return {int(record.seq)}


class Said:
    """What the plant says, made again as far as it is asked for, forwards."""

    def __init__(self, outage: Outage) -> None:
        self._minutes = plant(outage)
        self._begin_s = 0
        self._value = np.zeros((0, outage.tag_count))
        self._status = np.zeros((0, outage.tag_count), dtype=np.uint32)

    def between(self, first_s: int, last_s: int) -> tuple[FloatArray, StatusArray]:
        """Return values and status codes of some seconds, both ends included."""
        while True:
            passed = min(first_s - self._begin_s, len(self._value))
            self._begin_s += passed
            self._value, self._status = self._value[passed:], self._status[passed:]
            if self._begin_s + len(self._value) > last_s:
                count = last_s - first_s + 1
                return self._value[:count], self._status[:count]
            value, status = next(self._minutes)
            self._value = np.concatenate([self._value, value])
            self._status = np.concatenate([self._status, status])


class Comparison:
    """Compares what is delivered, block by block, with what the plant says."""

    def __init__(self, outage: Outage, outcome: Outcome) -> None:
        self._tags = outage.tags()
        self._outcome = outcome
        self._said = Said(outage)

    def add(self, frames: Sequence[Frame]) -> None:
        """Compare the frames of one block, or a single one."""
        tags = np.concatenate([frame.tag_index for frame in frames])
        times_s = np.concatenate([frame.time_ns for frame in frames]) - START_NS
        times_s //= SECOND_NS
        first_s, last_s = int(times_s.min()), int(times_s.max())
        value, status = self._said.between(first_s, last_s)
        places = (times_s - first_s, tags)
        is_kept = np.zeros(value.shape, dtype=np.bool_)
        is_kept[places] = True
        values = np.concatenate([frame.value for frame in frames])
        is_same = values.view(np.int64) == value[places].view(np.int64)
        is_same &= np.concatenate([frame.status for frame in frames]) == status[places]
        self._outcome.delivered += len(tags)
        self._outcome.expect(bool(is_same.all()), f"seconds {first_s}-{last_s}: not what was said")
        self._outcome.expect(bool(is_kept[[0, -1]].all()), f"seconds {first_s}-{last_s}: no ends")
        for number in np.flatnonzero(~is_kept.all(axis=0)).tolist():
            self._compare_line(number, value[:, number], status[:, number], is_kept[:, number])

    def _compare_line(
        self, number: int, value: FloatArray, status: StatusArray, is_kept: BoolArray
    ) -> None:
        """Draw the lines between the kept samples of one tag, and see how far they miss others."""
        tag = self._tags[number]
        places = np.arange(len(value))
        kept = np.flatnonzero(is_kept)
        gone = np.flatnonzero(~is_kept)
        after = kept[np.searchsorted(kept, gone)]
        before = kept[np.searchsorted(kept, gone) - 1]
        is_alike = (status[gone] == status[before]) & (status[gone] == status[after])
        self._outcome.expect(bool(is_alike.all()), f"{tag.id}: a line across a change of quality")
        missed = np.abs(np.interp(places, kept, value[kept]) - value)[gone]
        self._outcome.expect(bool(np.isfinite(missed).all()), f"{tag.id}: a value is unknown")
        if KINDS[number % len(KINDS)] in EXACT_KINDS:
            self._outcome.expect(not missed.any(), f"{tag.id}: not exact")
            return
        finite = value[np.isfinite(value)]
        width = tag.high - tag.low if np.isfinite(tag.high) else float(np.ptp(finite))
        percent = 100 * float(missed.max()) / width
        self._outcome.error_percent = max(self._outcome.error_percent, percent)


def judge(outage: Outage, outcome: Outcome) -> None:
    """Note what does not hold over all of it."""
    told = sum(outcome.ledgered.values())
    outcome.expect(
        outcome.delivered + told == outage.sample_count,
        f"the books: {outcome.delivered} + {told} is not {outage.sample_count}",
    )
    minutes = range(outage.duration_s // MINUTE_S)
    texts = [alarm(each).text for each in minutes if each * MINUTE_S % ALARM_PERIOD_S == 0]
    outcome.expect(outcome.alarms == texts, f"{len(outcome.alarms)} of {len(texts)} alarms came")
    outcome.expect(
        outcome.error_percent <= outcome.stated_percent * (1 + 1e-9),
        f"the error is {outcome.error_percent} %, {outcome.stated_percent} % is stated",
    )
    outcome.expect(
        outcome.used_bytes_max <= outage.budget_bytes * (1 + HEADROOM),
        f"{outcome.used_bytes_max} bytes were used of {outage.budget_bytes}",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, print what came of it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.outage")
    parser.add_argument("--hours", type=float, default=72.0)
    parser.add_argument("--budget-mb", type=float, default=256.0)
    parser.add_argument("--tags", type=int, default=500)
    parser.add_argument("--seed", type=int, default=4)
    chosen = parser.parse_args(arguments)
    outage = Outage(
        hours=chosen.hours,
        budget_bytes=round(chosen.budget_mb * MB),
        tag_count=chosen.tags,
        seed=chosen.seed,
    )
    begin_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcome = asyncio.run(run(outage, Path(folder)))
    thinned = outcome.ledgered.get(LedgerReason.THINNED, 0)
    dropped = outcome.ledgered.get(LedgerReason.RETENTION, 0)
    print(f"{outage.sample_count} samples in {outage.hours:g} h: {outcome.delivered} delivered,")
    print(f"  {thinned} thinned out, {dropped} dropped; {len(outcome.alarms)} alarms delivered")
    print(
        f"largest error {outcome.error_percent:.3f} % of range, {outcome.stated_percent} % stated"
    )
    print(
        f"used at most {outcome.used_bytes_max / MB:.1f} MB of {outage.budget_bytes / MB:.1f} MB,"
    )
    print(f"  with the write-ahead log {outcome.file_bytes_max / MB:.1f} MB on disk")
    print(f"sealing and dropping for a minute took {outcome.tidy_ms_max:.0f} ms at the most")
    print(*outcome.faults, f"{time.monotonic() - begin_s:.0f} s", sep="\n")
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())

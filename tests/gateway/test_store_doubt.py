"""Times in doubt are moved by what the clock was wrong by: once, and nothing else with them."""

import asyncio
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.frame import ClockSource, Frame
from gateway.core.records import LedgerEntry, LedgerReason, RecordKind, Seq
from gateway.store import LogReader, RecordLog, StoreState
from gateway.store.doubt import moved_frame, moved_gap
from gateway.wire.documents import draft_event, draft_ledger_entry
from gateway.wire.frames import StoredFrame, draft_frame
from tests.gateway.doubtful_log import (
    FROM_NS,
    SHIFT,
    TO_NS,
    append_in_doubt,
    doubt_of,
    doubtful_frame,
    expected_frame,
)
from tests.gateway.store_cases import (
    GATEWAY,
    QUICK,
    SEALING,
    TAGS,
    SettableClock,
    append_all,
    kinds,
    ledger,
    make_event,
    open_log,
    stored_frames,
    until,
)
from tests.gateway.test_store_faults import refusing_disk

times = st.integers(FROM_NS - 10, TO_NS + 10)


@given(st.lists(times, max_size=8), times, st.sampled_from(ClockSource))
def test_a_frame_is_moved_by_who_stamped_it(
    column: list[int], received_ns: int, clock: ClockSource
) -> None:
    """Against the rule written out, for samples of any time."""
    count = len(column)
    frame = Frame(
        tag_index=np.zeros(count, dtype=np.int32),
        time_ns=np.array(column, dtype=np.int64),
        value=np.zeros(count),
        status=np.zeros(count, dtype=np.uint32),
        received_ns=received_ns,
        clock=clock,
    )
    found = moved_frame(frame, SHIFT)
    was_shown = FROM_NS <= received_ns <= TO_NS
    is_ours = was_shown and clock is ClockSource.UNTRUSTED
    assert found.time_ns.tolist() == [t + is_ours * SHIFT.shift_ns for t in column]
    assert found.received_ns == received_ns + was_shown * SHIFT.shift_ns
    assert found.clock is (ClockSource.REBASED if is_ours else clock)


def test_a_gap_ends_when_the_start_was_by_the_right_clock() -> None:
    """The clock stood before the last commit, so the gap seemed to end where it began."""
    last_ns = TO_NS + SHIFT.shift_ns // 2
    gap = LedgerEntry(
        reason=LedgerReason.UNCLEAN_STOP, source="*", from_ns=last_ns, to_ns=last_ns, count=None
    )
    moved = moved_gap(gap, SHIFT, stored_ns=FROM_NS)
    assert moved == replace(gap, to_ns=FROM_NS + SHIFT.shift_ns)
    loss = replace(gap, reason=LedgerReason.RETENTION, count=3)
    assert moved_gap(loss, SHIFT, stored_ns=FROM_NS) is None
    right = replace(gap, reason=LedgerReason.DEVICE_LOST)
    assert moved_gap(right, SHIFT, stored_ns=FROM_NS) is None


def is_in_doubt(log: RecordLog) -> bool:
    return log.rebasing.doubt is not None


def frames_in(path: Path) -> list[StoredFrame]:
    return stored_frames(LogReader(path).records())


def assert_all_moved(path: Path, count: int) -> None:
    """Check every frame that `append_in_doubt` made against what it has to be now."""
    found = frames_in(path)
    assert len(found) == count
    for number, stored in enumerate(found):
        expected = expected_frame(number)
        assert stored.frame.time_ns.tolist() == expected.time_ns.tolist()
        assert stored.frame.received_ns == expected.received_ns
        assert stored.frame.value.tolist() == expected.value.tolist()
        assert stored.frame.clock is expected.clock
    assert [x.seq for x in found] == sorted(x.seq for x in found)


async def test_samples_in_doubt_are_held_and_notes_are_not(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log.db")
    table = log.intern(TAGS)
    await append_all(log, [draft_event(make_event(1))])
    before = log.end
    assert log.samples_end == before
    log.rebasing.begin(doubt_of(Seq(before + 1)))
    assert log.samples_end == before
    await append_in_doubt(log, table, range(5))
    await append_all(log, [draft_event(make_event(2))])
    assert (log.samples_end, log.end) == (before, before + 6)
    log.rebasing.release()
    await until(lambda: log.samples_end == log.end)
    # It stands all the same: what is learnt later is still put right in the log.
    assert is_in_doubt(log)
    log.rebasing.shift(SHIFT)
    await until(lambda: not log.rebasing.is_due)
    assert not is_in_doubt(log)
    assert_all_moved(log.path, 5)
    await log.close()


async def test_what_was_stamped_wrong_is_moved_in_blocks_and_single_frames(tmp_path: Path) -> None:
    """Identities, order, values and everything that was right stay as they are."""
    path = tmp_path / "log.db"
    log = open_log(path, SEALING, clock=SettableClock())
    table = log.intern(TAGS)
    log.rebasing.begin(doubt_of(Seq(log.end + 1)))
    await append_in_doubt(log, table, range(40))
    await log.tidy()
    assert RecordKind.BLOCK.name in kinds(path)
    await append_in_doubt(log, table, range(40, 60))
    event = draft_event(make_event(7))
    await append_all(log, [event])
    before = [(x.boot, x.seq, x.kind) for x in frames_in(path)]
    log.rebasing.shift(SHIFT)
    await until(lambda: not log.rebasing.is_due)
    assert not is_in_doubt(log)
    assert log.samples_end == log.end
    assert [(x.boot, x.seq, x.kind) for x in frames_in(path)] == before
    assert_all_moved(path, 60)
    records = LogReader(path).records()
    assert [x.body for x in records if x.kind is RecordKind.EVENT] == [event.body]
    # A trend finds all of them where they belong.
    [trend] = await log.read_frames([TAGS[0].id], FROM_NS + SHIFT.shift_ns, TO_NS + SHIFT.shift_ns)
    assert trend.value.tolist() == [float(number) for number in range(60)]
    await log.close()


async def test_a_clock_set_twice_moves_what_came_before_by_both(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log.db")
    table = log.intern(TAGS)
    log.rebasing.begin(doubt_of(Seq(log.end + 1)))
    half_ns = SHIFT.shift_ns // 2
    first = replace(SHIFT, shift_ns=half_ns, clock=ClockSource.UNTRUSTED)
    await append_all(
        log,
        [
            draft_frame(
                doubtful_frame(0, ClockSource.UNTRUSTED), epoch=table.epoch, kind=RecordKind.FRAME
            )
        ],
    )
    log.rebasing.shift(first)
    second = replace(
        SHIFT,
        shift_ns=SHIFT.shift_ns - half_ns,
        from_ns=FROM_NS + half_ns,
        to_ns=TO_NS + half_ns,
    )
    late = moved_frame(doubtful_frame(3, ClockSource.UNTRUSTED), first)
    await append_all(log, [draft_frame(late, epoch=table.epoch, kind=RecordKind.FRAME)])
    await until(lambda: not log.rebasing.is_due)
    assert is_in_doubt(log)
    assert log.samples_end < log.end
    log.rebasing.shift(second)
    await until(lambda: not log.rebasing.is_due)
    assert not is_in_doubt(log)
    for number, stored in zip((0, 3), frames_in(log.path), strict=True):
        assert stored.frame.time_ns.tolist() == expected_frame(number).time_ns.tolist()
        assert stored.frame.clock is ClockSource.REBASED
    await log.close()


async def test_a_gap_told_by_the_wrong_clock_is_told_once_more(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = open_log(path)
    log.rebasing.begin(doubt_of(Seq(log.end + 1)))
    gap = LedgerEntry(
        reason=LedgerReason.DEVICE_LOST,
        source="pumps",
        from_ns=FROM_NS + 1,
        to_ns=FROM_NS + 2,
        count=None,
    )
    await append_all(log, [draft_ledger_entry(gap)])
    log.rebasing.shift(SHIFT)
    await until(lambda: not log.rebasing.is_due)
    assert not is_in_doubt(log)
    shift_ns = SHIFT.shift_ns
    again = replace(gap, from_ns=gap.from_ns + shift_ns, to_ns=gap.to_ns + shift_ns)
    assert ledger(path) == [gap, again]
    await log.close()


async def test_a_doubt_outlives_a_restart_of_the_process_only(tmp_path: Path) -> None:
    """While the machine runs on, its clock is wrong by the same; after that nobody knows."""
    path = tmp_path / "log.db"
    log = open_log(path)
    table = log.intern(TAGS)
    doubt = replace(doubt_of(Seq(log.end + 1)), known_ns=log.opening.opened_ns + 10**15)
    log.rebasing.begin(doubt)
    await append_in_doubt(log, table, range(3))
    await log.close()
    again = RecordLog.open(
        path, QUICK, gateway=GATEWAY, clock=SettableClock(), machine=doubt.machine
    )
    assert again.rebasing.doubt == doubt
    assert again.opening.known_ns == doubt.known_ns
    assert again.opening.last_commit_ns != doubt.known_ns
    await again.close()
    other = RecordLog.open(path, QUICK, gateway=GATEWAY, clock=SettableClock(), machine="another")
    # What was missed since is reckoned from the last time that was right.
    assert other.opening.last_commit_ns == doubt.known_ns
    other.rebasing.give_up()
    await until(lambda: not other.rebasing.is_due)
    assert not is_in_doubt(other)
    clocks = {x.frame.clock for x in frames_in(path)}
    assert ClockSource.UNTRUSTED in clocks
    await other.close()


async def test_a_disk_that_refuses_postpones_the_move_and_spoils_nothing(tmp_path: Path) -> None:
    log = open_log(tmp_path / "log.db")
    table = log.intern(TAGS)
    log.rebasing.begin(doubt_of(Seq(log.end + 1)))
    count = 2_000
    await append_in_doubt(log, table, range(count))
    begun = log.samples_end
    log.rebasing.shift(SHIFT)
    await until(lambda: log.samples_end > begun)
    with refusing_disk():
        await until(lambda: log.state is StoreState.DEGRADED)
        assert log.rebasing.is_due
    await until(lambda: not log.rebasing.is_due)
    assert_all_moved(log.path, count)
    await log.close()


async def test_nothing_is_old_while_times_are_in_doubt(tmp_path: Path) -> None:
    """The clock is set by decades, and what was committed a minute ago does not go for its age."""
    path, clock = tmp_path / "log.db", SettableClock()
    clock.shift_s = 100.0 - clock.now_ns() / 1e9
    settings = QUICK.model_copy(update={"history_age_s": 3600.0})
    log = open_log(path, settings, cursors=(), clock=clock)
    log.rebasing.begin(doubt_of(Seq(log.end + 1)))
    await append_all(log, [draft_event(make_event(number)) for number in range(5)])
    clock.shift_s = 0.0
    await log.tidy()
    assert kinds(path) == ["EVENT"] * 5
    log.rebasing.shift(SHIFT)
    await until(lambda: not log.rebasing.is_due)
    clock.shift_s = (FROM_NS + SHIFT.shift_ns - clock.now_ns()) / 1e9 + 60
    await log.tidy()
    assert kinds(path) == ["EVENT"] * 5
    clock.shift_s += 2 * 3600
    await log.tidy()
    assert kinds(path) == []
    await log.close()


@pytest.mark.slow
async def test_a_kill_in_the_middle_moves_nothing_twice_and_leaves_nothing(tmp_path: Path) -> None:
    """Killed again and again while it moves; the last start finishes."""
    path = tmp_path / "log.db"
    count = 6_000
    for _ in range(3):
        victim = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.gateway.doubtful_log", str(path), str(count)
        )
        async with asyncio.timeout(50):
            assert await victim.wait() == -signal.SIGKILL
    log = open_log(path)
    is_unfinished = log.rebasing.is_due
    await until(lambda: not log.rebasing.is_due)
    assert not is_in_doubt(log)
    assert is_unfinished
    assert_all_moved(path, count)
    await log.close()

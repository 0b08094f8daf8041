"""A cursor with holes holds exactly what a set of positions would hold."""

import random

from gateway.core.cursors import Cursor, Scope, Span
from gateway.core.records import RecordKind, Seq


def test_a_cursor_agrees_with_a_set_of_positions() -> None:
    """Method: random moves beside a plain set; all questions are asked after each."""
    for seed in range(200):
        draw = random.Random(seed)
        cursor, held, seq = Cursor(seq=Seq(0)), set[int](), 0
        for _ in range(20):
            move = draw.choice(("advance", "skip", "fill"))
            if move == "fill" and seq:
                first = draw.randint(1, seq)
                last = draw.randint(first, seq)
                cursor = cursor.filled(Span(first=Seq(first), last=Seq(last)))
                held |= set(range(first, last + 1))
            elif move == "advance":
                to = seq + draw.randint(0, 5)
                cursor = cursor.advanced(Seq(to))
                held |= set(range(seq + 1, to + 1))
                seq = max(seq, to)
            elif move == "skip":
                seq += draw.randint(0, 5)
                cursor = cursor.skipped(Seq(seq))
            assert cursor.seq == seq
            assert [cursor.has(Seq(k)) for k in range(1, seq + 3)] == [
                k in held for k in range(1, seq + 3)
            ]
            missing = [k for k in range(1, seq + 1) if k not in held]
            assert cursor.complete_to == (missing[0] - 1 if missing else seq)
            assert cursor.missing_count == len(missing)
            pairs = list(zip(cursor.holes, cursor.holes[1:], strict=False))
            assert all(left.last < right.first for left, right in pairs)


def test_holes_that_touch_become_one_when_the_reader_skips_on() -> None:
    cursor = Cursor(seq=Seq(4)).skipped(Seq(9)).skipped(Seq(12))
    assert cursor.holes == (Span(first=Seq(5), last=Seq(12)),)


def test_a_cursor_never_goes_back() -> None:
    cursor = Cursor(seq=Seq(9))
    assert cursor.advanced(Seq(3)) == cursor.skipped(Seq(3)) == cursor


def test_every_kind_is_either_a_note_or_samples() -> None:
    for kind in RecordKind:
        assert Scope.ALL.covers(kind)
        assert Scope.NOTES.covers(kind) is not Scope.SAMPLES.covers(kind)

"""What is on disk is found again: holes of a reader, and the tables of an earlier format."""

import sqlite3
from contextlib import closing
from pathlib import Path

from gateway.core.cursors import Scope, Span
from gateway.core.records import RecordKind, Seq
from gateway.wire.documents import draft_event
from gateway.wire.frames import draft_frame
from tests.gateway.store_cases import TAGS, make_event, make_frame, open_log


async def test_what_a_reader_left_out_is_kept_and_told_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = open_log(path)
    table = log.intern(TAGS)
    frames = [
        draft_frame(make_frame(k), epoch=table.epoch, kind=RecordKind.FRAME) for k in range(9)
    ]
    await log.durable(log.append([*frames, draft_event(make_event(1))]))
    await log.advance("cloud", Seq(2))
    await log.skip("cloud", log.end)
    await log.close()
    log = open_log(path)
    (hole,) = log.holes("cloud")
    assert (hole.first, hole.last, log.cursor("cloud")) == (3, 11, 11)
    found = await log.read(after=Seq(2), until=hole.last, size_bytes_max=10**6, scope=Scope.SAMPLES)
    assert [record.seq for record in found] == list(range(3, 11))
    notes = await log.read(after=Seq(2), size_bytes_max=10**6, scope=Scope.NOTES)
    assert [record.seq for record in notes] == [11]
    await log.fill("cloud", Span(first=Seq(3), last=Seq(8)))
    await log.close()
    log = open_log(path)
    assert log.holes("cloud") == (Span(first=Seq(9), last=Seq(11)),)
    await log.close()


async def test_a_log_of_the_first_format_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = open_log(path)
    await log.durable(log.append([draft_event(make_event(1))]))
    await log.advance("cloud", Seq(1))
    await log.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "DROP TABLE hole; DROP TABLE doubt; DROP TABLE shift; DROP TABLE log_key;"
            "DROP TABLE removed; DROP TABLE thinned;"
            "DROP INDEX note_by_seq; PRAGMA user_version = 1;"
        )
    log = open_log(path)
    assert (log.cursor("cloud"), log.holes("cloud")) == (1, ())
    assert [record.seq for record in await log.read(after=Seq(0), size_bytes_max=10**6)] == [1]
    await log.close()

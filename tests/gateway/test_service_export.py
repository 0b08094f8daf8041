"""`edgewright export`: what comes out of the log into a file is what went in, and no more."""

import asyncio
import csv
import errno
import json
import shlex
import sqlite3
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cli.export import command
from gateway.core.errors import ConfigError
from gateway.core.frame import Frame
from gateway.core.records import Draft, LedgerEntry, LedgerReason, RecordKind, Seq
from gateway.core.tags import ConfigEpoch, TagId, TagTable
from gateway.service.export import chosen_tags, parse_time
from gateway.store import EncryptionSettings, LogReader, LogSettings
from gateway.wire.documents import draft_ledger_entry
from gateway.wire.files import whole_file
from gateway.wire.frames import draft_frame
from tests.gateway.store_cases import (
    QUICK,
    SEALING,
    SECOND_NS,
    START_NS,
    TAGS,
    append_all,
    frame_draft,
    open_log,
    stored_frames,
)

HOUR_NS = 3600 * SECOND_NS
FROM_NS = START_NS - 100_000
TO_NS = START_NS + 100_000
SPAN = ["--from", "2025-10-09T08:53:19.999900Z", "--to", "2025-10-09T08:53:20.000100Z"]
"""The same for the command."""
DAY = ["--from", "2025-10-09T00:00Z", "--to", "2025-10-10T00:00Z"]
"""Has `START_NS` in it."""
EPOCH = ConfigEpoch(1)
TABLE = TagTable.build(TAGS, epoch=EPOCH)
"""As the log's first."""
KINDS = {RecordKind.FRAME: "measured", RecordKind.DERIVED: "derived", RecordKind.STATED: "stated"}
QUALITIES = {0: "Good", 1: "Uncertain", 2: "Bad", 3: "Bad"}

Row = tuple[int, str, int | None, str, int, int, str]
"""Time, tag, bits of the value or None, quality, status, server's time, kind."""


def export(path: Path, *options: str) -> Result:
    return CliRunner().invoke(command, ["--log", str(path), *options])


def filled(path: Path, drafts: Sequence[Draft], log_settings: LogSettings = QUICK) -> None:
    """Make a log of these drafts, closed again."""

    async def fill() -> None:
        log = open_log(path, log_settings)
        log.intern(TAGS)
        await append_all(log, drafts)
        await log.tidy()
        await log.close()

    asyncio.run(fill())


@st.composite
def frames(draw: st.DrawFn) -> tuple[RecordKind, Frame]:
    """Return a frame of any values; a NaN is Bad, as everywhere."""
    count = draw(st.integers(1, 6))

    def column(elements: st.SearchStrategy[float]) -> list[float]:
        return draw(st.lists(elements, min_size=count, max_size=count))

    value = np.array(column(st.floats()), dtype=np.float64)
    status = np.array(column(st.integers(0, 2**32 - 1)), dtype=np.uint32)
    status[np.isnan(value)] |= np.uint32(0x8000_0000)
    time_ns = np.array(column(st.integers(FROM_NS - 9, TO_NS + 9)), dtype=np.int64)
    server_ns = np.array(column(st.sampled_from([0, 1, START_NS])), dtype=np.int64)
    frame = Frame(
        tag_index=np.array(column(st.integers(0, len(TAGS) - 1)), dtype=np.int32),
        time_ns=time_ns,
        value=value,
        status=status,
        server_ns=server_ns if draw(st.booleans()) else None,
        received_ns=START_NS,
    )
    return draw(st.sampled_from(list(KINDS))), frame


def expected_rows(kind: RecordKind, frame: Frame) -> list[Row]:
    """Return the rows of a frame in the span, one sample after the other."""
    rows: list[Row] = []
    for place in range(len(frame)):
        time_ns, status = int(frame.time_ns[place]), int(frame.status[place])
        if FROM_NS <= time_ns < TO_NS:
            rows.append(
                (
                    time_ns,
                    TAGS[frame.tag_index[place]].id,
                    None if status >> 31 else bits(float(frame.value[place])),
                    QUALITIES[status >> 30],
                    status,
                    0 if frame.server_ns is None else int(frame.server_ns[place]),
                    KINDS[kind],
                )
            )
    return rows


def bits(value: float) -> int:
    (number,) = struct.unpack("<Q", struct.pack("<d", value))
    return int(number)


def nanoseconds(text: str) -> int:
    """Return the time in a text with nanoseconds, read with nothing of ours."""
    assert text.endswith("Z")
    return int(np.datetime64(text[:-1], "ns").astype(np.int64))


def csv_rows(text: str) -> list[Row]:
    return [
        (
            nanoseconds(row["time"]),
            row["tag"],
            bits(float(row["value"])) if row["value"] else None,
            row["quality"],
            int(row["status"], 16),
            nanoseconds(row["server_time"]) if row["server_time"] else 0,
            row["kind"],
        )
        for row in csv.DictReader(text.splitlines())
    ]


def parquet_rows(path: Path) -> list[Row]:
    table = pq.read_table(path)
    columns = [table[name].to_pylist() for name in ("tag", "value", "quality", "status", "kind")]
    times = table["time"].cast("int64").to_pylist()
    server = table["server_time"].cast("int64").to_pylist()
    return [
        (time, tag, None if value is None else bits(value), quality, status, known or 0, kind)
        for time, known, tag, value, quality, status, kind in zip(
            times, server, *columns, strict=True
        )
    ]


@settings(max_examples=25, deadline=None)
@given(written=st.lists(frames(), max_size=6), is_sealed=st.booleans())
def test_what_comes_out_is_what_went_in(
    written: list[tuple[RecordKind, Frame]], is_sealed: bool
) -> None:
    """Bit by bit, in both formats, each sample of the span once; Bad ones have no value."""
    expected = Counter(row for each in written for row in expected_rows(*each))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drafts = [draft_frame(frame, epoch=EPOCH, kind=kind) for kind, frame in written]
        filled(folder / "log.db", drafts, SEALING if is_sealed else QUICK)
        for form in ("csv", "parquet"):
            path = folder / form
            answer = export(folder / "log.db", *SPAN, "--format", form, "--out", str(path))
            assert answer.exit_code == 0, answer.output
            rows = csv_rows(path.read_text()) if form == "csv" else parquet_rows(path)
            assert Counter(rows) == expected


def test_rows_of_one_slice_are_by_time(tmp_path: Path) -> None:
    """Though frames came in another order; rows of one time are by tag."""
    drafts = [frame_draft(number, TABLE, tags=[2, 0]) for number in (3, 1, 2)]
    filled(tmp_path / "log.db", drafts)
    export(tmp_path / "log.db", *DAY, "--out", str(tmp_path / "out.csv"))
    rows = csv_rows((tmp_path / "out.csv").read_text())
    seconds = [(row[0] - START_NS) // SECOND_NS for row in rows]
    assert list(zip(seconds, [row[1] for row in rows], strict=True)) == [
        (number, f"pumps.T{tag}") for number in (1, 2, 3) for tag in (0, 2)
    ]


async def test_nothing_comes_twice_while_frames_become_blocks(tmp_path: Path) -> None:
    """Pages are read of frames that are sealed between two pages: each sample comes once."""
    log = open_log(tmp_path / "log.db", SEALING)
    table = log.intern(TAGS)
    reader = LogReader(log.path)
    after: Seq | None = Seq(0)
    seqs: list[list[int]] = []
    await append_all(log, [frame_draft(number, table) for number in range(40)])
    while after is not None:
        records, after = reader.read_span(
            after=after, from_ns=START_NS, to_ns=TO_NS + HOUR_NS, samples_max=100
        )
        seqs.append([stored.seq for stored in stored_frames(records)])
        await log.tidy()
    await log.close()
    assert len(seqs) > 1
    assert [seq for page in seqs for seq in page] == list(range(2, 42))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--tags", "pumps.T3"], {"pumps.T3"}),
        (["--tags", "pumps.T[12],pumps.T7"], {"pumps.T1", "pumps.T2", "pumps.T7"}),
        (["--kind", "derived"], {"pumps.T5"}),
        (["--kind", "measured"], {tag.id for tag in TAGS}),
    ],
)
def test_an_export_has_what_was_asked_for(
    tmp_path: Path, options: list[str], expected: set[str]
) -> None:
    drafts = [
        frame_draft(0, TABLE),
        frame_draft(1, TABLE, kind=RecordKind.DERIVED, tags=[5]),
    ]
    filled(tmp_path / "log.db", drafts)
    export(tmp_path / "log.db", *DAY, *options, "--out", str(tmp_path / "out.csv"))
    rows = csv_rows((tmp_path / "out.csv").read_text())
    assert {row[1] for row in rows} == expected


def test_an_unknown_tag_is_told_with_the_nearest(tmp_path: Path) -> None:
    """And no file is begun."""
    filled(tmp_path / "log.db", [])
    known = LogReader(tmp_path / "log.db").tags()
    with pytest.raises(ConfigError, match=r"no tag 'pumps\.X1'; nearest are .*pumps\.T1"):
        chosen_tags(known, ["pumps.X1"])
    answer = export(tmp_path / "log.db", *DAY, "--tags", "zz*", "--out", str(tmp_path / "out"))
    assert isinstance(answer.exception, ConfigError)
    assert sorted(path.name for path in tmp_path.glob("out*")) == []


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    """By the ledger, as far as it concerns the tags and the span; the exit code is 0."""

    def lost(source: str, hour: int, *tags: str, error: float | None = None) -> Draft:
        entry = LedgerEntry(
            reason=LedgerReason.RETENTION if error is None else LedgerReason.THINNED,
            error_percent=error,
            source=source,
            from_ns=START_NS + hour * HOUR_NS,
            to_ns=START_NS + (hour + 1) * HOUR_NS,
            count=7,
            tags=tuple(map(TagId, tags)),
        )
        return draft_ledger_entry(entry)

    drafts = [
        frame_draft(0, TABLE),
        lost("*", 1),
        lost("pumps", 2, error=1.5),
        lost("blower", 2),
        lost("*", 2, "pumps.T5"),
        lost("*", 100),
    ]
    filled(tmp_path / "log.db", drafts)
    options = [*DAY, "--tags", "pumps.T1", "--out", str(tmp_path / "out.csv")]
    answer = export(tmp_path / "log.db", *options)
    assert answer.exit_code == 0
    assert "missing in this span: 14 samples that the ledger has:" in answer.stderr
    assert answer.stderr.count("retention") == 1
    assert "thinned, pumps, 7 samples, within 1.5 %" in answer.stderr
    summary = json.loads(export(tmp_path / "log.db", *options, "--json").stdout)
    assert [loss["samples"] for loss in summary["losses"]] == [7, 7]
    assert (summary["rows"], summary["damaged_records"]) == (1, 0)


def test_a_damaged_record_is_told(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    filled(path, [frame_draft(number, TABLE) for number in range(3)])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE record SET body = zeroblob(40) WHERE seq = 3")
        connection.commit()
    answer = export(path, *DAY, "--out", str(tmp_path / "out.csv"))
    assert "1 record damaged and left out" in answer.stderr
    assert len(csv_rows((tmp_path / "out.csv").read_text())) == 2 * len(TAGS)


def test_rows_go_to_the_standard_output_alone(tmp_path: Path) -> None:
    filled(tmp_path / "log.db", [frame_draft(0, TABLE)])
    answer = export(tmp_path / "log.db", *DAY, "--out", "-")
    assert len(csv_rows(answer.stdout)) == len(TAGS)
    assert "8 rows of 8 tags written" in answer.stderr


def test_a_closed_log_is_read_where_nobody_may_write(tmp_path: Path) -> None:
    """Such as a copy on a disk that is mounted read-only: no file is made beside it."""
    filled(tmp_path / "log.db", [frame_draft(0, TABLE)])
    folder = shlex.quote(str(tmp_path))
    arguments = ["-m", "gateway.cli", "export", "--log", str(tmp_path / "log.db"), "--out", "-"]
    script = (
        f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder} && "
        + shlex.join([sys.executable, *arguments, *DAY])
    )
    answer = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert "8 rows of 8 tags written" in answer.stderr
    assert list(tmp_path.glob("*-shm")) == []


def write_half(path: Path) -> None:
    with whole_file(path) as file:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "disk full")


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    """A disk that is full leaves what had the name before, and nothing beside it."""
    filled(tmp_path / "log.db", [frame_draft(0, TABLE)])
    target = tmp_path / "out.csv"
    target.write_text("before")
    with pytest.raises(OSError, match="full"):
        write_half(target)
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.glob("out*")] == ["out.csv"]
    answer = export(tmp_path / "log.db", *DAY, "--out", str(tmp_path / "nowhere" / "out.csv"))
    assert answer.exit_code == 1
    assert "No such file or directory" in answer.output


async def test_an_export_goes_on_beside_the_gateway(tmp_path: Path) -> None:
    """An encrypted log, open for writing, by the configuration that names its key."""
    (tmp_path / "log.key").write_text("11" * 32)
    (tmp_path / "gateway.toml").write_text(
        '[gateway]\nid = "pumphouse-1"\nstate_folder = "state"\n'
        '[log.encryption]\nkey_file = "log.key"\n'
    )
    encryption = EncryptionSettings(key_file=tmp_path / "log.key")
    log = open_log(
        tmp_path / "state" / "log.db", QUICK.model_copy(update={"encryption": encryption})
    )
    await append_all(log, [frame_draft(number, log.intern(TAGS)) for number in range(2)])
    out = ["--out", str(tmp_path / "out.csv")]
    config = ["-c", str(tmp_path / "gateway.toml")]
    answer = await asyncio.to_thread(CliRunner().invoke, command, [*config, *DAY, *out])
    assert answer.exit_code == 0, answer.output
    assert "16 rows of 8 tags" in answer.stdout
    refused = await asyncio.to_thread(export, log.path, *DAY, *out)
    assert "is encrypted" in str(refused.exception)
    await log.close()
    keyed = await asyncio.to_thread(
        export, log.path, "--key-file", str(tmp_path / "log.key"), *DAY, *out
    )
    assert "16 rows of 8 tags" in keyed.stdout


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", START_NS),
        ("-24h", START_NS - 24 * HOUR_NS),
        ("-1.5m", START_NS - 90 * SECOND_NS),
        ("-2w", START_NS - 14 * 24 * HOUR_NS),
        ("2025-10-09T08:53:20Z", START_NS),
        ("2025-10-09T10:53:20.000001+02:00", START_NS + 1000),
        ("1969-12-31T23:59:59Z", -SECOND_NS),
    ],
)
def test_times_are_read(text: str, expected: int) -> None:
    assert parse_time(text, now_ns=START_NS) == expected


def test_a_time_without_an_offset_is_local() -> None:
    local = datetime(2025, 7, 1, 12, 0).astimezone()
    assert parse_time("2025-07-01T12:00", now_ns=0) == local.timestamp() * 1e9


@pytest.mark.parametrize("text", ["24h", "-24", "yesterday", "2025-13-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        parse_time(text, now_ns=START_NS)

"""Encryption at rest: what lies on the disk is unreadable without the key, and reads as before."""

import base64
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.edge.dead_letters import FolderOfDeadLetters
from gateway.cli.log import command
from gateway.config import read_config
from gateway.core.errors import ConfigError, CorruptRecordError, StoreError
from gateway.core.records import Boot, LedgerReason, Record, RecordKind, Seq
from gateway.core.tags import TagId
from gateway.service.changes import identity_mistakes
from gateway.store import EncryptionSettings, LogReader, LogSettings, RecordLog
from gateway.store.bodies import letter_place
from gateway.store.encryption import EncryptedBodies, bodies_of, fingerprint_of, read_key
from gateway.wire.documents import draft_event
from tests.gateway.store_cases import (
    QUICK,
    SEALING,
    START_NS,
    TAGS,
    append_all,
    frame_draft,
    ledger,
    make_event,
    make_frame,
    open_log,
    samples,
)

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))
SECRET = "compressor in the east hall"


def write_key(folder: Path, name: str = "log.key", key: bytes = KEY) -> Path:
    path = folder / name
    path.write_text(key.hex() + "\n")
    return path


def encrypted(
    folder: Path,
    *,
    key: bytes = KEY,
    previous: Sequence[Path] = (),
    settings: LogSettings = QUICK,
) -> LogSettings:
    path = write_key(folder, f"{key[:4].hex()}.key", key)
    encryption = EncryptionSettings(key_file=path, previous_key_files=tuple(previous))
    return settings.model_copy(update={"encryption": encryption})


async def fill(log: RecordLog, numbers: Sequence[int]) -> None:
    table = log.intern(TAGS)
    await append_all(log, [frame_draft(number, table) for number in numbers])


def stored_bodies(path: Path) -> list[bytes]:
    """Return what lies on the disk in place of each body, of records and of all else."""
    with closing(sqlite3.connect(path)) as connection:
        return [
            body
            for table in ("record", "epoch", "checkpoint")
            for (body,) in connection.execute(f"SELECT body FROM {table}")
        ]


def bytes_of_log(folder: Path) -> bytes:
    """Return what all files of a log hold."""
    return b"".join(path.read_bytes() for path in folder.glob("log.db*"))


def asides(folder: Path) -> list[Path]:
    return list(folder.glob("*aside*"))


@given(body=st.binary(max_size=300), place=st.text(max_size=30))
def test_what_is_stored_comes_back_only_at_its_place(body: bytes, place: str) -> None:
    """Twice the same body is stored as different bytes, and with another key it is no body."""
    bodies = EncryptedBodies([KEY])
    stored = bodies.put(body, place=place)
    assert bodies.get(stored, place=place) == body
    assert stored != bodies.put(body, place=place)
    assert len(stored) == len(body) + 33
    with pytest.raises(CorruptRecordError):
        bodies.get(stored, place=place + "0")
    with pytest.raises(CorruptRecordError):
        EncryptedBodies([OTHER]).get(stored, place=place)


@given(data=st.data())
def test_every_flipped_bit_is_found(data: st.DataObject) -> None:
    """Except in the mark, where it makes a plain body of it, whose check sum is wrong."""
    bodies = EncryptedBodies([KEY])
    stored = bytearray(bodies.put(b"a body", place="record 1"))
    bit = data.draw(st.integers(8, 8 * len(stored) - 1))
    stored[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CorruptRecordError):
        bodies.get(bytes(stored), place="record 1")


@given(size=st.integers(1, 32))
def test_a_body_cut_short_is_refused(size: int) -> None:
    stored = EncryptedBodies([KEY]).put(b"", place="record 1")
    with pytest.raises(CorruptRecordError):
        EncryptedBodies([KEY]).get(stored[:size], place="record 1")


async def test_nothing_of_what_was_logged_is_on_the_disk(tmp_path: Path) -> None:
    """Not in the database, not in its write-ahead log; and all of it comes back with the key."""
    settings = encrypted(tmp_path, settings=SEALING)
    log = open_log(tmp_path / "log.db", settings)
    await fill(log, range(20))
    event = make_event(1)
    await append_all(log, [draft_event(event)])
    await log.save_checkpoint({"board": SECRET.encode()})
    await log.durable(log.append([]))
    await log.tidy()
    on_disk = bytes_of_log(tmp_path)
    assert SECRET.encode() not in on_disk
    assert b"pumps.T1" not in on_disk
    assert event.text.encode() not in on_disk
    assert all(body[0] == 0xE1 for body in stored_bodies(log.path))
    reader = LogReader(log.path, bodies=bodies_of(settings.encryption))
    assert [record.kind for record in reader.records()].count(RecordKind.BLOCK) >= 1
    assert [value for *_, value in samples(reader.records())][:2] == [0.0, 0.01]
    (trend,) = reader.frames([TagId("pumps.T1")], from_ns=START_NS, to_ns=START_NS + 10**12)
    assert np.array_equal(trend.value, [make_frame(number).value[1] for number in range(20)])
    assert reader.checkpoints()[1] == {"board": SECRET.encode()}
    await log.close()


async def test_a_log_without_its_key_is_refused_and_stays(tmp_path: Path) -> None:
    """Nothing is set aside, nothing discarded as damaged: with the key all is there again."""
    path = tmp_path / "log.db"
    settings = encrypted(tmp_path)
    log = open_log(path, settings)
    await fill(log, range(5))
    await log.close()
    with pytest.raises(StoreError, match="is encrypted, and no key is given"):
        open_log(path)
    with pytest.raises(StoreError, match=fingerprint_of(KEY).hex()):
        open_log(path, encrypted(tmp_path, key=OTHER))
    for reader in (LogReader(path), LogReader(path, bodies=EncryptedBodies([OTHER]))):
        with pytest.raises(StoreError, match=r"log\.encryption"):
            list(reader.records())
    assert asides(tmp_path) == []
    again = open_log(path, settings)
    assert len(samples(await again.read(after=Seq(0), size_bytes_max=1 << 20))) == 5 * len(TAGS)
    assert again.boot == 2
    await again.close()


async def test_a_plain_log_goes_on_encrypted(tmp_path: Path) -> None:
    """What was stored before stays readable; the tag tables are encrypted at once."""
    path = tmp_path / "log.db"
    log = open_log(path)
    await fill(log, range(3))
    await log.close()
    settings = encrypted(tmp_path)
    log = open_log(path, settings)
    await fill(log, range(3, 6))
    records = await log.read(after=Seq(0), size_bytes_max=1 << 20)
    assert len(samples(records)) == 6 * len(TAGS)
    await log.close()
    with closing(sqlite3.connect(path)) as connection:
        (table,) = connection.execute("SELECT body FROM epoch").fetchone()
        marks = {body[0] == 0xE1 for (body,) in connection.execute("SELECT body FROM record")}
    assert table[0] == 0xE1
    assert marks == {False, True}


async def test_a_key_is_changed_without_losing_what_is_there(tmp_path: Path) -> None:
    """The earlier key is needed until the last record that it was used for has gone."""
    path = tmp_path / "log.db"
    log = open_log(path, encrypted(tmp_path))
    await fill(log, range(4))
    await log.save_checkpoint({"board": b"state"})
    await log.close()
    old = write_key(tmp_path)
    changed = encrypted(tmp_path, key=OTHER, previous=[old])
    log = open_log(path, changed)
    await fill(log, range(4, 8))
    end = log.end
    assert len(samples(await log.read(after=Seq(0), size_bytes_max=1 << 20))) == 8 * len(TAGS)
    await log.close()
    new_alone = encrypted(tmp_path, key=OTHER)
    with pytest.raises(StoreError, match=fingerprint_of(KEY).hex()):
        open_log(path, new_alone)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM record WHERE seq < ?", (end,))
        connection.commit()
    log = open_log(path, new_alone)
    assert log.intern(TAGS).tags == TAGS
    assert log.load_checkpoints()[1] == {"board": b"state"}
    assert len(samples(await log.read(after=Seq(0), size_bytes_max=1 << 20))) == len(TAGS)
    await log.close()


async def test_an_earlier_key_can_be_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    first = encrypted(tmp_path)
    second = encrypted(tmp_path, key=OTHER, previous=[write_key(tmp_path)])
    back = encrypted(tmp_path, previous=[write_key(tmp_path, "other.key", OTHER)])
    for number, settings in enumerate((first, second, back)):
        log = open_log(path, settings)
        await fill(log, [number])
        found = samples(await log.read(after=Seq(0), size_bytes_max=1 << 20))
        assert len(found) == (number + 1) * len(TAGS)
        await log.close()


async def test_a_damaged_encrypted_record_becomes_a_ledger_entry(tmp_path: Path) -> None:
    """As a plain one does; so does one that was moved to the place of another."""
    path = tmp_path / "log.db"
    settings = encrypted(tmp_path)
    log = open_log(path, settings)
    await fill(log, range(4))
    await log.close()
    with closing(sqlite3.connect(path)) as connection:
        frames = connection.execute("SELECT seq, body FROM record WHERE kind = 1").fetchall()
        (_, first), (moved_to, _), (damaged, body), _ = frames
        flipped = bytes((*body[:-1], body[-1] ^ 1))
        connection.execute("UPDATE record SET body = ? WHERE seq = ?", (first, moved_to))
        connection.execute("UPDATE record SET body = ? WHERE seq = ?", (flipped, damaged))
        connection.commit()
    log = open_log(path, settings)
    found = samples(await log.read(after=Seq(0), size_bytes_max=1 << 20))
    assert {value for *_, value in found if value % 1 == 0} == {0.0, 3.0}
    await log.stats()
    await log.close()
    entries = ledger(path, bodies=bodies_of(settings.encryption))
    assert [entry.reason for entry in entries] == [LedgerReason.CORRUPT] * 2
    assert sum(entry.count or 0 for entry in entries) == 2 * len(TAGS)


async def test_a_dead_letter_is_encrypted_as_the_log_is(tmp_path: Path) -> None:
    bodies = EncryptedBodies([KEY])
    record = Record(boot=Boot(1), seq=Seq(7), kind=RecordKind.EVENT, body=SECRET.encode())
    letters = FolderOfDeadLetters(tmp_path / "cloud", bodies=bodies)
    await letters.put(
        record, uplink="cloud", reason="refused", time_ns=START_NS, is_historical=False
    )
    letter = json.loads((tmp_path / "cloud" / "cloud-1-7.json").read_bytes())
    stored = base64.b64decode(letter["body"])
    assert SECRET.encode() not in stored
    assert bodies.get(stored, place=letter_place("cloud", 1, 7)) == record.body
    (kept,) = await letters.kept(count_max=10)
    assert kept.record == record


def test_keys_lie_beside_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(
        '[gateway]\nid = "g"\n[log.encryption]\nkey_file = "a.key"\n'
        'previous_key_files = ["b.key", "/etc/c.key"]\n'
    )
    encryption = read_config(path).log.encryption
    assert encryption is not None
    assert encryption.key_file == tmp_path / "a.key"
    assert encryption.previous_key_files == (tmp_path / "b.key", Path("/etc/c.key"))


def test_a_running_gateway_keeps_its_key(tmp_path: Path) -> None:
    """The way back from a trial would meet records that it cannot read."""
    texts = {"plain": "", "keyed": '[log.encryption]\nkey_file = "a.key"\n'}
    for name, text in texts.items():
        (tmp_path / f"{name}.toml").write_text(f'[gateway]\nid = "g"\n{text}')
    plain, keyed = (read_config(tmp_path / f"{name}.toml") for name in texts)
    (mistake,) = identity_mistakes(plain, keyed)
    assert mistake.startswith(f"log.encryption: '{tmp_path}/a.key' is 'none' while")
    assert identity_mistakes(keyed, keyed) == ()


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    answer = CliRunner().invoke(command, ["key", "--out", str(path)])
    assert answer.exit_code == 0, answer.output
    assert path.stat().st_mode & 0o777 == 0o600
    assert fingerprint_of(read_key(file=path)).hex() in answer.output
    before = path.read_text()
    assert before.strip() not in answer.output
    again = CliRunner().invoke(command, ["key", "--out", str(path)])
    assert again.exit_code == 1
    assert "File exists" in again.output
    assert path.read_text() == before


@pytest.mark.parametrize("text", ["00" * 31, "zz" * 32, "00" * 33])
def test_what_is_no_key_is_refused_without_telling_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "log.key"
    path.write_text(text)
    with pytest.raises(ConfigError, match="edgewright log key") as refused:
        read_key(file=path)
    assert text not in str(refused.value)


@pytest.mark.parametrize("given_keys", [{}, {"key_file": "a", "key_credential": "b"}])
def test_a_key_has_one_place(given_keys: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        EncryptionSettings.model_validate(given_keys)

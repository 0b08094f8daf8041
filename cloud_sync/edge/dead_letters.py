"""Dead letters: records that the far end will never take, kept for a person to look at.

One JSON file a record, named `<uplink>-<boot>-<seq>.json`: whole or not there after a power cut,
and writing one again changes nothing, so that delivery may stop between this and the cursor.
"""

import asyncio
import base64
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import structlog
from pydantic import BaseModel, ValidationError

from gateway.core.errors import CorruptRecordError, StoreError
from gateway.core.records import Boot, Record, RecordKind, Seq
from gateway.core.uplink_status import DeadLetter
from gateway.store.bodies import Bodies, PlainBodies, letter_place
from gateway.wire.files import write_durably

LETTERS_MAX: Final = 10_000
"""Files kept; when there are as many, delivery stops rather than losing one."""

_PLAIN: Final = PlainBodies()

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLetter:
    """A dead letter with what it is about."""

    letter: DeadLetter
    record: Record


class DeadLetters(Protocol):
    """Takes records out of the way of those behind them."""

    async def put(
        self, record: Record, *, uplink: str, reason: str, time_ns: int, is_historical: bool
    ) -> None:
        """Keep a record for good, before the cursor passes it.

        Raises:
            StoreError: it cannot be kept; the cursor must stay.
        """

    async def kept(self, *, count_max: int) -> tuple[KeptLetter, ...]:
        """Return some of the letters, the oldest records first; damaged ones are left out.

        Raises:
            StoreError: they cannot be read.
        """

    async def remove(self, record: Record, *, uplink: str) -> None:
        """Let a record go: the far end has taken it after all.

        Raises:
            StoreError: the disk refuses.
        """


class FolderOfDeadLetters:
    """Implements `DeadLetters` with one file a record."""

    def __init__(self, folder: Path, *, bodies: Bodies = _PLAIN) -> None:
        """Keep them in this folder, which is made when it is first needed.

        Args:
            folder: Of one uplink.
            bodies: The log's: what is encrypted there is encrypted here.
        """
        self._folder = folder
        self._bodies = bodies

    async def put(
        self, record: Record, *, uplink: str, reason: str, time_ns: int, is_historical: bool
    ) -> None:
        """Keep a record with the reason; durable on return.

        Raises:
            StoreError: the disk refuses, or there are too many.
        """
        place = letter_place(uplink, record.boot, record.seq)
        name = _file_name(record, uplink)
        letter = {
            "uplink": uplink,
            "boot": record.boot,
            "seq": record.seq,
            "kind": record.kind.name,
            "reason": reason,
            "time_ns": time_ns,
            "is_historical": is_historical,
            "body": base64.b64encode(self._bodies.put(record.body, place=place)).decode(),
        }
        await asyncio.to_thread(self._write, self._folder / name, json.dumps(letter).encode())

    async def kept(self, *, count_max: int) -> tuple[KeptLetter, ...]:
        """Return some of the letters; see `DeadLetters`."""
        return await asyncio.to_thread(self._kept, count_max)

    async def remove(self, record: Record, *, uplink: str) -> None:
        """Delete the file of a record; see `DeadLetters`."""
        path = self._folder / _file_name(record, uplink)
        try:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        except OSError as error:
            raise StoreError(f"the dead letter {path} cannot be deleted: {error}") from error

    def _write(self, path: Path, letter: bytes) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not path.exists() and len(list(self._folder.iterdir())) >= LETTERS_MAX:
                raise StoreError(
                    f"{self._folder} holds {LETTERS_MAX} dead letters: find out why the far end "
                    "refuses them, then move them away"
                )
            write_durably(path, letter, mode=0o600)
        except OSError as error:
            raise StoreError(f"the dead letter {path} cannot be written: {error}") from error

    def _kept(self, count_max: int) -> tuple[KeptLetter, ...]:
        try:
            paths = sorted(self._folder.glob("*.json"), key=_position)
            read = [self._read(path) for path in paths[:count_max]]
        except OSError as error:
            raise StoreError(f"{self._folder} cannot be read: {error}") from error
        return tuple(letter for letter in read if letter is not None)

    def _read(self, path: Path) -> KeptLetter | None:
        """Return a letter; None when it is damaged, so that the others can be looked at."""
        try:
            written = _Written.model_validate_json(path.read_bytes())
            kind = RecordKind[written.kind]
            body = self._bodies.get(
                base64.b64decode(written.body, validate=True),
                place=letter_place(written.uplink, written.boot, written.seq),
            )
        except (ValidationError, KeyError, ValueError, CorruptRecordError) as error:
            log.warning("dead_letter_damaged", path=str(path), reason=repr(error), stage="sending")
            return None
        boot, seq = Boot(written.boot), Seq(written.seq)
        return KeptLetter(
            letter=DeadLetter(
                boot=boot,
                seq=seq,
                kind=kind,
                size_bytes=len(body),
                reason=written.reason,
                time_ns=written.time_ns,
                is_historical=written.is_historical,
            ),
            record=Record(boot=boot, seq=seq, kind=kind, body=body),
        )


def _file_name(record: Record, uplink: str) -> str:
    return f"{uplink}-{record.boot}-{record.seq}.json"


def _position(path: Path) -> tuple[int, int]:
    """Return boot and seq from the name of a file; those of another form come last."""
    numbers = path.stem.rsplit("-", 2)[-2:]
    if len(numbers) < 2 or not all(number.isdecimal() for number in numbers):
        return (sys.maxsize, sys.maxsize)
    return int(numbers[0]), int(numbers[1])


class _Written(BaseModel):
    """A file's content."""

    uplink: str
    boot: int
    seq: int
    kind: str
    reason: str
    time_ns: int
    is_historical: bool = False
    body: str

"""Dead letters: records that the far end will never take, kept for a person to look at.

One JSON file a record, named `<uplink>-<boot>-<seq>.json`: whole or not there after a power cut,
and writing one again changes nothing, so that delivery may stop between this and the cursor.
"""

import asyncio
import base64
import json
from pathlib import Path
from typing import Final, Protocol

from gateway.core.errors import StoreError
from gateway.core.records import Record
from gateway.wire.files import write_durably

LETTERS_MAX: Final = 10_000
"""Files kept; when there are as many, delivery stops rather than losing one."""


class DeadLetters(Protocol):
    """Takes records out of the way of those behind them."""

    async def put(
        self, record: Record, *, uplink: str, reason: str, time_ns: int, is_historical: bool
    ) -> None:
        """Keep a record for good, before the cursor passes it.

        Raises:
            StoreError: it cannot be kept; the cursor must stay.
        """


class FolderOfDeadLetters:
    """Implements `DeadLetters` with one file a record."""

    def __init__(self, folder: Path) -> None:
        """Keep them in this folder, which is made when it is first needed."""
        self._folder = folder

    async def put(
        self, record: Record, *, uplink: str, reason: str, time_ns: int, is_historical: bool
    ) -> None:
        """Keep a record with the reason; durable on return.

        Raises:
            StoreError: the disk refuses, or there are too many.
        """
        name = f"{uplink}-{record.boot}-{record.seq}.json"
        letter = {
            "uplink": uplink,
            "boot": record.boot,
            "seq": record.seq,
            "kind": record.kind.name,
            "reason": reason,
            "time_ns": time_ns,
            "is_historical": is_historical,
            "body": base64.b64encode(record.body).decode(),
        }
        await asyncio.to_thread(self._write, self._folder / name, json.dumps(letter).encode())

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

"""The lake: acknowledged samples as Parquet files, for books, training and whoever asks.

The inbox becomes files in bounded steps. One step reads the oldest batches, writes their samples
to a file with a temporary name, syncs it, gives it its name, and then one transaction registers
the file and removes those batches from the inbox. A crash before the transaction leaves a file
that is not registered: it is removed at the next start, and the step is done again. A crash after
it leaves nothing to do. So every sample is in the inbox or in one registered file.

A file is never changed. Its name holds the first and last batch in it.
"""

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import structlog
from pydantic import Field

from cloud_sync.cloud.database import Database
from cloud_sync.cloud.messages import LakeStatus
from cloud_sync.cloud.parquet import FILE_SUFFIX, write_samples
from cloud_sync.cloud.unpack import Piece, unpack
from gateway.core.errors import CorruptRecordError, StoreError
from gateway.core.settings import Settings
from gateway.wire.files import PART_SUFFIX, sync_file, sync_folder

log = structlog.get_logger()

_NO_BOUND: Final = 1 << 62
"""Ingest has bounded these batches already."""


class LakeSettings(Settings):
    """How samples become files."""

    period_s: Annotated[float, Field(ge=0.1, le=86_400)] = 600.0
    """Longest time that an acknowledged sample waits before it is in a file."""
    file_rows_max: Annotated[int, Field(ge=1_000, le=20_000_000)] = 1_000_000
    """Rows after which a file is written at once and closed; one batch may exceed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """One batch in the inbox."""

    id: int
    known: frozenset[tuple[int, int]]
    """Identities that are in the lake or the inbox already."""
    body: bytes


class Lake:
    """The files of the lake and their register."""

    def __init__(self, folder: Path, database: Database, *, settings: LakeSettings) -> None:
        """Take over the folder; call `recover` before anything else."""
        self._folder = folder
        self._database = database
        self._settings = settings
        self._one_step = asyncio.Lock()

    async def recover(self) -> None:
        """Remove what an interrupted step left behind.

        Raises:
            StoreError: the folder cannot be used, or a registered file is missing.
        """
        registered = {path.name for path in await self.paths()}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            present = {path.name for path in self._folder.iterdir()}
            for name in sorted(present - registered):
                if name.endswith((FILE_SUFFIX, PART_SUFFIX)):
                    (self._folder / name).unlink()
                    log.info("lake_orphan_removed", file=name)
        except OSError as error:
            raise StoreError(f"{self._folder}: the lake cannot be used: {error}") from error
        missing = sorted(registered - present)
        if missing:
            raise StoreError(
                f"{self._folder}: {len(missing)} files of the lake are missing, such as "
                f"{missing[0]}: restore them from a backup"
            )

    async def paths(self) -> tuple[Path, ...]:
        """Return the registered files, the oldest first.

        Raises:
            StoreError: the database cannot be read.
        """
        names = await self._database.transact(_registered_names)
        return tuple(self._folder / name for name in names)

    async def is_due(self, *, now_ns: int) -> bool:
        """Return whether the inbox holds enough for a file, or holds something for long enough.

        Raises:
            StoreError: the database cannot be read.
        """
        row_count, oldest_ns = await self._database.transact(_waiting_level)
        age_s = (now_ns - oldest_ns) / 1e9
        # A clock that was set back makes ages negative: then it is better written at once.
        is_old = age_s >= self._settings.period_s or age_s < 0
        return row_count >= self._settings.file_rows_max or (row_count > 0 and is_old)

    async def compact(self) -> int:
        """Move all of the inbox into files and return the number of rows written.

        Raises:
            StoreError: the disk refuses; what was not moved is still in the inbox.
        """
        written = 0
        async with self._one_step:
            while waiting := await self._database.transact(self._oldest):
                written += await self._whole_step(waiting)
        return written

    async def _whole_step(self, waiting: Sequence[_Waiting]) -> int:
        """Move some batches into one file; when cancelled, not before the step has ended.

        A thread that writes cannot be stopped: its file would come without being registered, and
        stand beside that of the next step.
        """
        step = asyncio.create_task(self._step(waiting), name="lake-step")
        try:
            return await asyncio.shield(step)
        except asyncio.CancelledError:
            await asyncio.wait([step])
            if not step.cancelled():
                step.exception()  # looked at: the next step meets the same and tells it
            raise

    async def _step(self, waiting: Sequence[_Waiting]) -> int:
        """Move some batches into one file."""
        try:
            pieces = await asyncio.to_thread(_readable, waiting)
        except _SpoiltBatchError as error:
            log.error("inbox_batch_spoilt", stage="processing", batch=error.id, reason=str(error))
            await self._database.transact(partial(_set_aside, batch=error.id))
            return 0
        path = self._folder / f"{waiting[0].id:012d}-{waiting[-1].id:012d}{FILE_SUFFIX}"
        try:
            row_count = await asyncio.to_thread(_write_file, pieces, path)
            size_bytes = path.stat().st_size
        except OSError as error:
            raise StoreError(f"{path}: the lake cannot be written: {error}") from error
        await self._database.transact(
            partial(
                _register,
                name=path.name,
                row_count=row_count,
                size_bytes=size_bytes,
                first=waiting[0].id,
                last=waiting[-1].id,
            )
        )
        return row_count

    def _oldest(self, connection: sqlite3.Connection) -> tuple[_Waiting, ...]:
        """Return the oldest batches, as many as fill a file, at least one if there is any."""
        waiting: list[_Waiting] = []
        row_count = 0
        for row in connection.execute(
            "SELECT id, row_count, known, body FROM inbox WHERE NOT is_spoilt ORDER BY id"
        ):
            row_count += row["row_count"]
            if waiting and row_count > self._settings.file_rows_max:
                break
            known = frozenset((boot, seq) for boot, seq in json.loads(row["known"]))
            waiting.append(_Waiting(id=row["id"], known=known, body=row["body"]))
        return tuple(waiting)


class _SpoiltBatchError(Exception):
    """A batch that was whole when it was acknowledged cannot be read any more."""

    def __init__(self, batch: int, reason: str) -> None:
        super().__init__(reason)
        self.id = batch


def _readable(waiting: Sequence[_Waiting]) -> list[tuple[str, Piece]]:
    """Return the frames in these batches that are new, each beside its gateway's name."""
    pieces = []
    for batch in waiting:
        try:
            unpacked = unpack(batch.body, sample_count_max=_NO_BOUND)
        except CorruptRecordError as error:
            raise _SpoiltBatchError(batch.id, str(error)) from error
        # A block may repeat a frame that the same batch holds: the first one counts.
        known = set(batch.known)
        for piece in unpacked.pieces:
            if piece.identity not in known:
                known.add(piece.identity)
                pieces.append((unpacked.gateway, piece))
    return pieces


def _write_file(pieces: Sequence[tuple[str, Piece]], path: Path) -> int:
    part = path.with_name(path.name + PART_SUFFIX)
    row_count = write_samples(pieces, part)
    sync_file(part)
    part.replace(path)
    sync_folder(path.parent)
    return row_count


def _register(
    connection: sqlite3.Connection,
    *,
    name: str,
    row_count: int,
    size_bytes: int,
    first: int,
    last: int,
) -> None:
    connection.execute("INSERT INTO files VALUES (?, ?, ?)", (name, row_count, size_bytes))
    connection.execute(
        "DELETE FROM inbox WHERE id BETWEEN ? AND ? AND NOT is_spoilt", (first, last)
    )


def _set_aside(connection: sqlite3.Connection, *, batch: int) -> None:
    """Leave an unreadable batch in the inbox, where a person finds it, and out of the way."""
    connection.execute("UPDATE inbox SET is_spoilt = 1 WHERE id = ?", (batch,))


def _waiting_level(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return the rows that wait for a file, and when the oldest of them came."""
    row = connection.execute(
        "SELECT received_ns FROM inbox WHERE NOT is_spoilt ORDER BY id LIMIT 1"
    ).fetchone()
    level = connection.execute("SELECT row_count FROM inbox_level").fetchone()
    return (0, 0) if row is None else (level["row_count"], row["received_ns"])


def _registered_names(connection: sqlite3.Connection) -> tuple[str, ...]:
    rows = connection.execute("SELECT name FROM files ORDER BY name").fetchall()
    return tuple(row["name"] for row in rows)


def read_levels(connection: sqlite3.Connection) -> LakeStatus:
    """Return how much is where, inside a transaction."""
    row = connection.execute(
        "SELECT COUNT(*) AS file_count, COALESCE(SUM(row_count), 0) AS file_row_count, "
        "COALESCE(SUM(size_bytes), 0) AS file_size_bytes FROM files"
    ).fetchone()
    inbox = connection.execute(
        "SELECT batch_count AS inbox_batch_count, row_count AS inbox_row_count, "
        "size_bytes AS inbox_size_bytes FROM inbox_level"
    ).fetchone()
    spoilt = connection.execute("SELECT COUNT(*) FROM inbox WHERE is_spoilt").fetchone()
    return LakeStatus(**dict(row), **dict(inbox), spoilt_batch_count=spoilt[0])

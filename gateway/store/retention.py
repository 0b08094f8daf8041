"""Retention: what goes when the disk that the log may use is used up, or when it is too old.

The order, each only when nothing of the one before is left:

    1. delivered records, by age, then by size, the oldest first
    2. undelivered raw samples in blocks, thinned in stages (`thinning.py`)
    3. undelivered raw samples, and what was stated about them, the oldest first
    4. undelivered samples that the gateway computed, the oldest first
    5. ledger entries: they are merged (`merging.py`), never dropped
    6. undelivered events, commands and tag tables, the oldest first

Samples and notes are delivered apart: what a reader of samples lacks is no matter for notes, and
the other way round (`needs.py`). History that a restart would replay (behind the checkpoint) stays
as if it were undelivered. Deleting makes room inside the file, which does not shrink; so the
bounds are on pages in use.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.core.cursors import Cursor
from gateway.core.records import Boot
from gateway.store.database import LogDatabase
from gateway.store.needs import Needs
from gateway.store.relief import Look, Relief
from gateway.store.rows import (
    NOTES,
    ROWS_PER_STEP,
    SAMPLES,
    Removal,
    Row,
    all_bytes,
    delete_rows,
    first_rows,
    free_bytes,
    free_rows,
)
from gateway.store.settings import LogSettings

_HEADROOM: Final = 0.05
"""Part of a bound that is made free at once, so that not every look finds it crossed."""


@dataclass(slots=True, kw_only=True)
class _Excess:
    """Bytes of bodies that are to go."""

    history: float
    backlog: float


class Retention:
    """Looks at the bounds once, then drops step by step until they hold."""

    def __init__(self, settings: LogSettings, *, boot: Boot) -> None:
        """Keep the bounds, and the running boot for ledger entries."""
        self._settings = settings
        self._relief = Relief(settings, boot=boot)
        self._excess: _Excess | None = None

    def step(
        self,
        database: LogDatabase,
        *,
        readers: Sequence[Cursor],
        now_ns: int,
        is_time_known: bool,
        is_disk_full: bool,
    ) -> bool:
        """Drop some of what must go, in one transaction.

        Args:
            database: The log.
            readers: For whom records are kept; without any, nothing is undelivered.
            now_ns: Wall time, UTC.
            is_time_known: Whether ages can be told; while times are in doubt nothing is aged.
            is_disk_full: Whether all delivered history is to go, to make room.
        Returns:
            Whether there may be more to drop.
        """
        needs = Needs.of(readers, end=database.last_seq, checkpoint=database.checkpoint_seq())
        look = Look(database=database, readers=readers, needs=needs, now_ns=now_ns)
        if self._excess is None:
            if is_time_known and self._drop_aged(look):
                return True
            self._excess = self._find_excess(look, is_disk_full=is_disk_full)
        excess = self._excess
        if excess.history > 0:
            removal = _drop_history(look, excess.history)
            excess.history -= removal.size_bytes
        elif excess.backlog > 0:
            removal = self._relief.relieve(look, excess.backlog)
            excess.backlog -= removal.size_bytes
        else:
            removal = Removal(size_bytes=0, is_more=False)
        if not removal.is_more or max(excess.history, excess.backlog) <= 0:
            # How full the pages are changes with what is in them: the bound is looked at again.
            self._excess = None
        return removal.is_more

    def _find_excess(self, look: Look, *, is_disk_full: bool) -> _Excess:
        """Return what is beyond the bounds."""
        used = look.database.used_bytes()
        backlog_max = self._settings.backlog_bytes_max
        history_max = 0 if is_disk_full else self._settings.history_bytes_max
        if used <= min(backlog_max, history_max):
            return _Excess(history=0, backlog=0)
        connection = look.database.connection
        total = all_bytes(connection)
        history = free_bytes(connection, look.needs.free_samples, where=SAMPLES)
        history += free_bytes(connection, look.needs.free_notes, where=NOTES)
        # Pages are never quite full: each side has its part of what is unused in them.
        scale = max(used / max(total, 1), 1.0)
        return _Excess(
            history=_beyond(history, history_max / scale),
            backlog=_beyond(total - history, backlog_max / scale),
        )

    def _drop_aged(self, look: Look) -> bool:
        """Drop what is too old; returns whether there may be more."""
        before_ns = look.now_ns - int(self._settings.history_age_s * 1e9)
        aged = first_rows([row for row in _history(look) if row.stored_ns < before_ns])
        if aged:
            _delete(look.database, aged)
            return True
        if self._settings.backlog_age_s is None:
            return False
        before_ns = look.now_ns - int(self._settings.backlog_age_s * 1e9)
        return self._relief.drop_aged(look, before_ns=before_ns)


def _drop_history(look: Look, size_bytes: float) -> Removal:
    """Drop the oldest delivered records."""
    chosen = first_rows(_history(look), size_bytes)
    _delete(look.database, chosen)
    return Removal(size_bytes=sum(row.size_bytes for row in chosen), is_more=bool(chosen))


def _history(look: Look) -> list[Row]:
    """Return the oldest delivered records, samples and notes."""
    connection, needs = look.database.connection, look.needs
    samples = free_rows(connection, needs.free_samples, where=SAMPLES)
    notes = free_rows(connection, needs.free_notes, where=NOTES)
    return sorted([*samples, *notes], key=lambda row: row.seq)[:ROWS_PER_STEP]


def _delete(database: LogDatabase, rows: Sequence[Row]) -> None:
    with database.transaction():
        delete_rows(database, rows)


def _beyond(size_bytes: float, bound_bytes: float) -> float:
    """Return how much must go so that a bound holds for a while; 0 when it holds."""
    return size_bytes - bound_bytes * (1 - _HEADROOM) if size_bytes > bound_bytes else 0.0

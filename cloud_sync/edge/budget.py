"""What may be sent in a day over a metered link, and what waits when it is used up.

The day is that of UTC. A gateway without a battery for its clock begins in 1970 at each start, so
the counts of the last few days are kept apart: 1970 never takes the place of today. The count lies
in a small file, written at most once a minute: a power cut forgets the bytes of the last minute.
"""

import asyncio
import json
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import Final

import structlog

from gateway.core.events import Event, Transition
from gateway.core.uplink_status import DeliveryClass
from gateway.wire.files import write_durably

BACKFILL_SHARE: Final = 0.8
"""Part of a day's budget at which the backfill stops; the rest is for the present."""
DAYS_MAX: Final = 4
"""Days whose counts are kept."""
SAVE_PERIOD_NS: Final = 60 * 1_000_000_000
"""Between two writes of the file."""
SPENT: Final = "uplink_budget_spent"
SPENT_SEVERITY: Final = 400

_NS_PER_DAY: Final = 86_400 * 1_000_000_000

log = structlog.get_logger()


class Spent(IntEnum):
    """How far a day's budget is used up."""

    NO = 0
    """Everything may go out."""
    BACKFILL_WAITS = 1
    ALARMS_ONLY = 2


class Budget:
    """Counts the bytes of each day, and says what may still go out. Pure."""

    def __init__(self, bytes_per_day: int | None) -> None:
        """Begin with nothing sent; None allows any amount."""
        self.bytes_per_day = bytes_per_day
        """The bound; None is none."""
        self._days: dict[int, int] = {}
        self._told = Spent.NO

    @property
    def days(self) -> Mapping[int, int]:
        """Bytes by the number of the day since 1970; what `recall` takes."""
        return self._days

    def recall(self, days: Mapping[int, int]) -> None:
        """Add what earlier starts counted."""
        counted = self._days
        self._days = dict(days)
        for day, size_bytes in counted.items():
            self._count(day, size_bytes)

    def sent(self, size_bytes: int, *, now_ns: int) -> None:
        """Count bytes that went over the wire."""
        self._count(now_ns // _NS_PER_DAY, size_bytes)

    def bytes_today(self, *, now_ns: int) -> int:
        """Return what went out since midnight UTC."""
        return self._days.get(now_ns // _NS_PER_DAY, 0)

    def allows(self, kind: DeliveryClass, *, now_ns: int) -> bool:
        """Return whether a class may send; the alarms always may."""
        spent = self.spent(now_ns=now_ns)
        if kind is DeliveryClass.ALARMS or spent is Spent.NO:
            return True
        return kind is DeliveryClass.LIVE and spent is Spent.BACKFILL_WAITS

    def spent(self, *, now_ns: int) -> Spent:
        """Return how far the budget of today is used up."""
        if self.bytes_per_day is None:
            return Spent.NO
        today = self.bytes_today(now_ns=now_ns)
        if today >= self.bytes_per_day:
            return Spent.ALARMS_ONLY
        return Spent.BACKFILL_WAITS if today >= BACKFILL_SHARE * self.bytes_per_day else Spent.NO

    def edge(self, uplink: str, *, now_ns: int) -> Event | None:
        """Return what to tell when the budget lets less or more go out than before, else None."""
        spent = self.spent(now_ns=now_ns)
        if spent is self._told:
            return None
        self._told = spent
        figures = f"{self.bytes_today(now_ns=now_ns)} of {self.bytes_per_day} bytes"
        texts = {
            Spent.NO: f"{uplink} has a new day's budget: everything goes out again",
            Spent.BACKFILL_WAITS: f"{uplink} has sent {figures} today: the backlog waits until"
            " midnight UTC, new samples go on",
            Spent.ALARMS_ONLY: f"{uplink} has sent {figures} today: until midnight UTC only alarms"
            " go out; raise budget_bytes_per_day or send less",
        }
        return Event(
            time_ns=now_ns,
            source=uplink,
            condition=SPENT,
            severity=SPENT_SEVERITY,
            transition=Transition.RETURNED if spent is Spent.NO else Transition.RAISED,
            text=texts[spent],
        )

    def _count(self, day: int, size_bytes: int) -> None:
        self._days[day] = self._days.pop(day, 0) + size_bytes
        while len(self._days) > DAYS_MAX:
            # The one that was counted in longest ago, whatever its number.
            del self._days[next(iter(self._days))]


class BudgetFile:
    """Keeps the counts of one budget over a restart; without a budget, nothing is written."""

    def __init__(self, budget: Budget, path: Path | None) -> None:
        """Name the file, which is made when it is first needed; None keeps nothing."""
        self._budget = budget
        self._path = path if budget.bytes_per_day is not None else None
        self._saved_ns: int | None = None
        self._is_loaded = False
        self._is_failing = False

    async def load(self) -> None:
        """Add once what earlier starts counted; a file that cannot be read counts as none."""
        if self._path is not None and not self._is_loaded:
            self._is_loaded = True
            self._budget.recall(await asyncio.to_thread(_read, self._path))

    async def save(self, *, now_ns: int, is_last: bool = False) -> None:
        """Write the counts, if the last time was long enough ago or there is no further one.

        A disk that refuses stops no delivery: it is told once, and tried again a period later.

        Args:
            now_ns: On the monotonic clock.
            is_last: Whether it is written in any case.
        """
        is_early = self._saved_ns is not None and now_ns - self._saved_ns < SAVE_PERIOD_NS
        if self._path is None or (is_early and not is_last):
            return
        self._saved_ns = now_ns
        data = json.dumps({str(day): count for day, count in self._budget.days.items()}).encode()
        try:
            await asyncio.to_thread(_write, self._path, data)
        except OSError as error:
            if not self._is_failing:
                log.warning(
                    "budget_not_kept", path=str(self._path), reason=str(error), stage="sending"
                )
            self._is_failing = True
        else:
            self._is_failing = False


def _read(path: Path) -> dict[int, int]:
    try:
        document: object = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(document, dict):
        return {}
    return {
        int(day): count
        for day, count in document.items()
        if str(day).isdecimal() and isinstance(count, int) and count >= 0
    }


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_durably(path, data, mode=0o600)

"""A case: what is wrong with one asset, from the first sign to a technician's verdict; its port.

The advisory block of ISO 13374-1: findings become one recommendation, and somebody's answer to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Final, NewType, Protocol

from gateway.core.events import Event, Evidence
from gateway.core.rows import AssetId

CaseId = NewType("CaseId", str)
"""Made from the asset and the time of opening: 12 hexadecimal digits."""

OPENED: Final = "case_opened"
CLOSED: Final = "case_closed"
"""Conditions of events; each bears the time of opening as its onset."""


class Verdict(StrEnum):
    """What a technician found; a label for training."""

    CONFIRMED = "confirmed"
    """The machine was at fault: rows of this time are no healthy ones."""
    FALSE = "false"
    """Nothing was wrong: rows of this time are healthy, and the model is to learn them."""
    PLANNED_WORK = "planned_work"
    """Somebody worked on the machine: rows of this time say nothing."""

    @property
    def condition(self) -> str:
        """Condition of the event that tells it, such as `case_confirmed`."""
        return f"case_{self}"


VERDICT_BY_CONDITION: Final = {verdict.condition: verdict for verdict in Verdict}


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What is likely the matter, and what to do about it."""

    cause: str
    """In a few words."""
    check: str
    """What to look at, beginning with a verb."""

    @property
    def sentence(self) -> str:
        """Both, for a person."""
        return f"{self.cause}: {self.check}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case as it stands now."""

    asset: AssetId
    opened_ns: int
    """When its first alarm was raised, in the time of the data, UTC."""
    onset_ns: int
    """When the cause began, as far as known; never after the opening."""
    updated_ns: int
    """When something last happened to it."""
    severity: int
    """The highest of its alarms, 1 to 1000."""
    conditions: tuple[str, ...]
    """Its alarms, the first one first."""
    active: tuple[str, ...]
    """Those that still hold."""
    evidence: tuple[Evidence, ...]
    """The reasons of all its alarms, the weightiest first; each name once."""
    diagnosis: Diagnosis | None
    """What is likely; None while nothing fits."""
    verdict: Verdict | None = None
    """What a technician found; the latest counts."""
    note: str = ""
    """What the technician adds."""
    operator: str = ""
    """Who gave the verdict."""
    closed_ns: int | None = None
    """When it was over; None while it is open."""

    @property
    def id(self) -> CaseId:
        """Id made from asset and opening."""
        content = f"{self.asset}\0{self.opened_ns}"
        return CaseId(blake2b(content.encode(), digest_size=6).hexdigest())

    @property
    def is_open(self) -> bool:
        """Whether it still waits for something."""
        return self.closed_ns is None


class CaseKeeper(Protocol):
    """Gathers the alarms of each asset into cases, and what technicians say of them. Pure."""

    def update(self, events: Sequence[Event], *, now_ns: int) -> tuple[Event, ...]:
        """Take in events and return what became of the cases."""

    def cases(self) -> tuple[Case, ...]:
        """Return the open cases, the most severe first, then the closed ones."""

    def decide(
        self, case: CaseId, verdict: Verdict, *, note: str, time_ns: int, operator: str
    ) -> Event:
        """Note what a technician found.

        Raises:
            CommandError: there is no such case.
        """

    def repeat(self, event: Event) -> None:
        """Do again what a technician did, as its event tells; of a replay.

        Raises:
            CommandError: the case is forgotten.
        """

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set."""

    def checkpoint(self) -> bytes:
        """Return all that `restore` needs to go on exactly from here."""

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint.

        Raises:
            ValueError: it is damaged; the state is unchanged.
        """

"""What the API says of cases."""

from datetime import datetime

from gateway.api.answers import Answer, EvidenceAnswer
from gateway.core.cases import Verdict


class CaseAnswer(Answer):
    """What is wrong with one asset, and what a technician found."""

    id: str
    asset: str
    is_open: bool
    opened: datetime
    onset: datetime
    """When the cause began, as far as known."""
    updated: datetime
    closed: datetime | None
    """Null while it is open."""
    severity: int
    """The highest of its alarms, 1 to 1000."""
    conditions: tuple[str, ...]
    """Its alarms, the first one first."""
    active: tuple[str, ...]
    """Those that still hold."""
    cause: str
    """What is likely the matter; empty while nothing fits."""
    check: str
    """What to look at."""
    evidence: tuple[EvidenceAnswer, ...]
    """The weightiest first."""
    verdict: Verdict | None
    note: str
    operator: str
    """Who gave the verdict."""


class CaseList(Answer):
    """The open cases, the most severe first, then the closed ones, the newest first."""

    cases: tuple[CaseAnswer, ...]

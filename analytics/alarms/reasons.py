"""Why an alarm was raised, and what to check: asked of whoever computed its tag. Pure."""

from collections.abc import Sequence
from typing import Protocol

from analytics.limits import AlarmLimit
from gateway.core.events import Evidence
from gateway.core.tags import TagId


class Reasons(Protocol):
    """Whoever can say why a derived tag has its value, such as an anomaly detector."""

    def evidence(self, tag: TagId) -> tuple[Evidence, ...]:
        """Return the reasons, the weightiest first; empty for a tag it knows nothing of."""


class Adviser(Protocol):
    """Whoever can say what a computed tag's value may mean, such as a twin."""

    def advice(self, tag: TagId) -> str:
        """Return what to check, for a person; empty for a tag it knows nothing of."""


def advised_text(limit: AlarmLimit, advisers: Sequence[Adviser]) -> str:
    """Return what holds and what to check; the first adviser that knows replaces the limit's."""
    found = (adviser.advice(limit.tag) for adviser in advisers)
    advice = next((each for each in found if each), limit.advice)
    return f"{limit.text}; {advice}" if advice else limit.text


def evidence_of(
    limit: AlarmLimit, value: float, *, unit: str, others: Sequence[Reasons]
) -> tuple[Evidence, ...]:
    """Return the tag's own value, then what others know of it.

    Args:
        limit: The alarm.
        value: The newest known one.
        unit: UCUM code.
        others: Asked for more.
    """
    own = Evidence(name=limit.tag, value=value, expected=limit.limit, unit=unit)
    found = (source.evidence(limit.tag) for source in others)
    return (own, *(reason for reasons in found for reason in reasons))

"""What is told of an alarm: its events, and how it stands now. Pure."""

from typing import Final

from analytics.alarms.lifecycle import Standing
from analytics.limits import AlarmLimit
from gateway.core.alarms import Alarm
from gateway.core.events import Event, Transition

_SAYS: Final = {
    Transition.RAISED: "raised",
    Transition.RETURNED: "back to normal",
    Transition.ACKNOWLEDGED: "acknowledged",
    Transition.SHELVED: "shelved",
    Transition.UNSHELVED: "no longer shelved",
    Transition.RESET: "reset",
    Transition.SUPPRESSED: "suppressed",
    Transition.UNSUPPRESSED: "no longer suppressed",
    Transition.OUT_OF_SERVICE: "out of service",
    Transition.IN_SERVICE: "in service again",
    Transition.CHATTERING: "comes and goes too often; it stays until its condition is calm",
    Transition.CALMED: "its condition is calm again",
}


def raised_event(limit: AlarmLimit, standing: Standing, time_ns: int) -> Event:
    """Return the event that announces an alarm, with the reasons that it remembers."""
    order = standing.group_order
    first = f"; first out of {limit.group}" if order == 1 else ""
    return Event(
        time_ns=time_ns,
        source=limit.source,
        condition=limit.condition,
        severity=limit.severity,
        transition=Transition.RAISED,
        text=f"{standing.text}{first}",
        onset_ns=standing.onset_ns,
        evidence=standing.evidence,
        is_quiet=standing.is_quiet,
        group=limit.group if order else "",
        group_order=order,
    )


def plain_event(
    limit: AlarmLimit,
    transition: Transition,
    time_ns: int,
    *,
    more: str = "",
    operator: str = "",
    reason: str = "",
    until_ns: int | None = None,
    is_quiet: bool = False,
) -> Event:
    """Return the event of any other transition.

    Args:
        limit: Of the alarm.
        transition: What happened.
        time_ns: When.
        more: Stands behind what happened, in a few words.
        operator: Who did it; empty when the gateway did.
        reason: Why, in their words.
        until_ns: Until when it is shelved.
        is_quiet: Whether its raise was not announced, either.
    """
    return Event(
        time_ns=time_ns,
        source=limit.source,
        condition=limit.condition,
        severity=limit.severity,
        transition=transition,
        text=f"{limit.text}: {_SAYS[transition]}{f'; {more}' if more else ''}",
        until_ns=until_ns,
        operator=operator,
        reason=reason,
        is_quiet=is_quiet,
    )


def alarm_as_it_stands(
    limit: AlarmLimit, standing: Standing, *, is_active: bool, is_chattering: bool
) -> Alarm:
    """Return an alarm as the console and the API show it."""
    return Alarm(
        id=limit.id,
        source=limit.source,
        condition=limit.condition,
        severity=limit.severity,
        state=standing.shown,
        active=is_active,
        raised_ns=standing.raised_ns,
        onset_ns=standing.onset_ns,
        shelved_until_ns=standing.shelved_until_ns,
        silenced_by=standing.silenced_by,
        silenced_reason=standing.silenced_reason,
        silenced_since_ns=standing.silenced_since_ns,
        is_quiet=standing.is_quiet and not standing.is_silent,
        is_chattering=is_chattering,
        group=limit.group,
        group_order=standing.group_order,
        text=standing.text or limit.text_with_advice,
        evidence=standing.evidence,
    )

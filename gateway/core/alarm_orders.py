"""What a person did to an alarm, read back from its event. Pure."""

from typing import Final

from gateway.core.alarms import AlarmAction, AlarmId, AlarmOrder
from gateway.core.events import Event, Transition

ACTIONS: Final = {
    Transition.ACKNOWLEDGED: AlarmAction.ACKNOWLEDGE,
    Transition.RESET: AlarmAction.RESET,
    Transition.SHELVED: AlarmAction.SHELVE,
    Transition.UNSHELVED: AlarmAction.UNSHELVE,
    Transition.OUT_OF_SERVICE: AlarmAction.TAKE_OUT,
    Transition.IN_SERVICE: AlarmAction.PUT_BACK,
}
"""What leads to each transition, where a person made it."""


def order_of(event: Event) -> AlarmOrder | None:
    """Return the order that an event came from; None when no person gave it."""
    action = ACTIONS.get(event.transition)
    if not event.operator or action is None:
        return None
    return AlarmOrder(
        alarm=AlarmId(f"{event.source}/{event.condition}"),
        action=action,
        time_ns=event.time_ns,
        operator=event.operator,
        reason=event.reason,
        until_ns=event.until_ns,
    )

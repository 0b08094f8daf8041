"""What a person can do to an alarm, and when they cannot (ISA-18.2-2016, figure 4). Pure."""

from typing import Final, assert_never

from analytics.alarms.lifecycle import UNSEEN, Standing
from gateway.core.alarm_orders import ACTIONS
from gateway.core.alarms import AlarmAction, AlarmOrder, AlarmState
from gateway.core.events import Transition

ENDS_SILENCE: Final = frozenset((Transition.UNSHELVED, Transition.IN_SERVICE))
"""What was silent may have something to say."""

_TRANSITIONS: Final = {action: transition for transition, action in ACTIONS.items()}
_HOUR_NS: Final = 3_600 * 1_000_000_000


def refusal(standing: Standing, order: AlarmOrder, *, shelve_h_max: float) -> str:
    """Return why an alarm's state does not allow what is wanted; empty when it does.

    Args:
        standing: Of the alarm.
        order: What is wanted.
        shelve_h_max: Longest time for which an alarm can be shelved, in hours.
    """
    shown = standing.shown
    match order.action:
        case AlarmAction.ACKNOWLEDGE:
            return "" if shown in UNSEEN else f"is {shown}: nothing to acknowledge"
        case AlarmAction.RESET:
            return _reset_refusal(standing)
        case AlarmAction.SHELVE:
            if shown is AlarmState.OUT_OF_SERVICE:
                return "is out of service already: put it back first"
            return _shelve_refusal(order, shelve_h_max)
        case AlarmAction.UNSHELVE:
            return "" if shown is AlarmState.SHELVED else f"is {shown}, not shelved"
        case AlarmAction.TAKE_OUT:
            if shown is AlarmState.OUT_OF_SERVICE:
                return "is out of service already"
            return "" if order.reason else "goes out of service only with a reason: say why"
        case AlarmAction.PUT_BACK:
            is_out = shown is AlarmState.OUT_OF_SERVICE
            return "" if is_out else f"is {shown}, not out of service"
        case _:
            assert_never(order.action)


def carry_out(standing: Standing, order: AlarmOrder) -> Transition:
    """Do what is wanted and not refused; returns what it is called."""
    match order.action:
        case AlarmAction.ACKNOWLEDGE:
            standing.acknowledge()
        case AlarmAction.RESET:
            standing.reset()
        case AlarmAction.SHELVE:
            standing.silence(time_ns=order.time_ns, operator=order.operator, reason=order.reason)
            standing.shelved_until_ns = order.until_ns
        case AlarmAction.UNSHELVE:
            standing.shelved_until_ns = None
        case AlarmAction.TAKE_OUT:
            standing.silence(time_ns=order.time_ns, operator=order.operator, reason=order.reason)
            standing.shelved_until_ns, standing.is_out_of_service = None, True
        case AlarmAction.PUT_BACK:
            standing.is_out_of_service = False
        case _:
            assert_never(order.action)
    return _TRANSITIONS[order.action]


def _reset_refusal(standing: Standing) -> str:
    match standing.shown:
        case AlarmState.LATCHED_ACKNOWLEDGED:
            return ""
        case AlarmState.LATCHED_UNACKNOWLEDGED:
            return "has not been seen: acknowledge it, then reset it"
        case AlarmState.UNACKNOWLEDGED | AlarmState.ACKNOWLEDGED if standing.is_latched:
            return "is still active: it can be reset when its condition is gone"
        case _:
            return f"is {standing.shown}: nothing to reset"


def _shelve_refusal(order: AlarmOrder, hours_max: float) -> str:
    if order.until_ns is None or order.until_ns <= order.time_ns:
        return "cannot be shelved: the time to shelve it until is not ahead"
    if order.until_ns - order.time_ns > hours_max * _HOUR_NS:
        return (
            f"cannot be shelved for more than {hours_max:g} h (alarms.shelve_h_max); take it out "
            "of service instead"
        )
    return ""

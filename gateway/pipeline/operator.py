"""Repeats in a replay what people did: everything else follows from the frames."""

import structlog

from gateway.core.alarms import AlarmId
from gateway.core.cases import VERDICT_BY_CONDITION, CaseKeeper
from gateway.core.errors import CommandError
from gateway.core.events import Event, Transition
from gateway.core.ports import AlarmBoard

log = structlog.get_logger()


def repeat_operator(event: Event, board: AlarmBoard, cases: CaseKeeper) -> None:
    """Do again what a person did to an alarm or a case, as the event in the log tells."""
    if not event.operator:
        return
    alarm = AlarmId(f"{event.source}/{event.condition}")
    time_ns, operator = event.time_ns, event.operator
    try:
        if event.transition is Transition.ACKNOWLEDGED:
            board.acknowledge(alarm, time_ns=time_ns, operator=operator)
        elif event.transition is Transition.SHELVED and event.until_ns is not None:
            board.shelve(alarm, time_ns=time_ns, until_ns=event.until_ns, operator=operator)
        elif event.condition in VERDICT_BY_CONDITION:
            cases.repeat(event)
    except CommandError as error:
        # The alarm is no longer configured, the case forgotten: nothing is left to act on.
        log.info("operator_action_dropped", alarm=alarm, reason=str(error))

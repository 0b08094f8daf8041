"""Repeats in a replay what people did: everything else follows from the frames."""

import structlog

from gateway.core.alarm_orders import order_of
from gateway.core.cases import VERDICT_BY_CONDITION, CaseKeeper
from gateway.core.errors import CommandError
from gateway.core.events import Event
from gateway.core.ports import AlarmBoard

log = structlog.get_logger()


def repeat_operator(event: Event, board: AlarmBoard, cases: CaseKeeper) -> None:
    """Do again what a person did to an alarm or a case, as the event in the log tells."""
    if not event.operator:
        return
    order = order_of(event)
    try:
        if order is not None:
            cases.update(board.act(order), now_ns=order.time_ns)
        elif event.condition in VERDICT_BY_CONDITION:
            cases.repeat(event)
    except CommandError as error:
        # The alarm is no longer configured, the case forgotten: nothing is left to act on.
        about = f"{event.source}/{event.condition}"
        log.info("operator_action_dropped", about=about, reason=str(error))

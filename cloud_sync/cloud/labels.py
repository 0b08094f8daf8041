"""What technicians found behind cases: labels, out of the events that gateways delivered."""

import json
import sqlite3
from typing import Final

from analytics.training.healthy import ALARM_ENDS, EVER_NS, Happening, findings
from cloud_sync.cloud.messages import LabelEntry, LabelList
from gateway.core.cases import CLOSED, VERDICT_BY_CONDITION
from gateway.core.events import Transition

LABELS_MAX: Final = 1000
"""In one answer."""


def read_happenings(connection: sqlite3.Connection) -> dict[str, list[Happening]]:
    """Return what gateways told of alarms and cases, in the order of time, in a transaction."""
    rows = connection.execute(
        "SELECT gateway, source, condition, transition, time_ns, onset_ns FROM events "
        "WHERE transition IN (SELECT value FROM json_each(?)) "
        "OR condition IN (SELECT value FROM json_each(?)) "
        "ORDER BY time_ns, seq",
        (
            json.dumps([Transition.RAISED, *sorted(ALARM_ENDS)]),
            json.dumps([*VERDICT_BY_CONDITION, CLOSED]),
        ),
    )
    told: dict[str, list[Happening]] = {}
    for gateway, source, condition, transition, time_ns, onset_ns in rows:
        happening = Happening(
            asset=source,
            condition=condition,
            transition=Transition(transition),
            time_ns=time_ns,
            onset_ns=onset_ns,
        )
        told.setdefault(gateway, []).append(happening)
    return told


def read_labels(connection: sqlite3.Connection) -> LabelList:
    """Return every label, the newest first, in a transaction."""
    labels = [
        LabelEntry(
            gateway=gateway,
            asset=found.asset,
            verdict=found.verdict,
            from_ns=found.span.from_ns,
            to_ns=None if found.span.to_ns == EVER_NS else found.span.to_ns,
        )
        for gateway, happenings in read_happenings(connection).items()
        for found in findings(happenings)
    ]
    labels.sort(key=lambda label: -label.from_ns)
    return LabelList(labels=tuple(labels[:LABELS_MAX]))

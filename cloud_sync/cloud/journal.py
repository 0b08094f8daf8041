"""What gateways reported beside samples, read from the database inside a transaction."""

import json
import sqlite3
from typing import Final

from cloud_sync.cloud.messages import EventEntry, EventList, GatewayStatus, LossEntry, LossList

ENTRIES_MAX: Final = 1000
"""Entries that one question returns at most."""


def read_gateways(connection: sqlite3.Connection) -> tuple[GatewayStatus, ...]:
    """Return what came from each gateway so far, by name."""
    rows = connection.execute("SELECT * FROM gateways ORDER BY gateway")
    return tuple(GatewayStatus(**dict(row)) for row in rows)


def read_events(connection: sqlite3.Connection, *, gateway: str | None, limit: int) -> EventList:
    """Return the newest events of one gateway, or of all."""
    rows = connection.execute(
        "SELECT gateway, id, time_ns, source, condition, severity, transition, onset_ns, "
        "operator, text FROM events WHERE gateway = COALESCE(?, gateway) "
        "ORDER BY time_ns DESC LIMIT ?",
        (gateway, limit),
    )
    return EventList(events=tuple(EventEntry(**dict(row)) for row in rows))


def read_losses(connection: sqlite3.Connection, *, gateway: str | None, limit: int) -> LossList:
    """Return the newest entries of the loss ledger of one gateway, or of all."""
    rows = connection.execute(
        "SELECT gateway, reason, source, from_ns, to_ns, count, tags, error_percent FROM ledger "
        "WHERE gateway = COALESCE(?, gateway) ORDER BY from_ns DESC LIMIT ?",
        (gateway, limit),
    )
    entries = (LossEntry(**{**dict(row), "tags": json.loads(row["tags"])}) for row in rows)
    return LossList(entries=tuple(entries))

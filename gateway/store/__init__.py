"""The record log: the gateway's one durable store (design in `gateway.store.log`)."""

from gateway.store.backlog import Ticket
from gateway.store.doubt import Doubt, Shift
from gateway.store.log import RecordLog
from gateway.store.opening import Opening
from gateway.store.reader import LogReader, Trend
from gateway.store.settings import LogSettings
from gateway.store.stats import CursorLag, Ledgered, StoreStats
from gateway.store.writer import StoreState

__all__ = [
    "CursorLag",
    "Doubt",
    "Ledgered",
    "LogReader",
    "LogSettings",
    "Opening",
    "RecordLog",
    "Shift",
    "StoreState",
    "StoreStats",
    "Ticket",
    "Trend",
]

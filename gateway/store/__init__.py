"""The record log: the gateway's one durable store (design in `gateway.store.log`)."""

from gateway.store.backlog import Ticket
from gateway.store.log import RecordLog
from gateway.store.opening import Opening
from gateway.store.reader import LogReader, Trend
from gateway.store.settings import LogSettings
from gateway.store.stats import CursorLag, Ledgered, StoreStats
from gateway.store.thinning import expected_gain
from gateway.store.writer import StoreState

__all__ = [
    "CursorLag",
    "Ledgered",
    "LogReader",
    "LogSettings",
    "Opening",
    "RecordLog",
    "StoreState",
    "StoreStats",
    "Ticket",
    "Trend",
    "expected_gain",
]

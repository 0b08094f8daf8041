"""The record log: the gateway's one durable store (design in `gateway.store.log`)."""

from gateway.store.backlog import Ticket
from gateway.store.doubt import Doubt, Shift
from gateway.store.log import RecordLog
from gateway.store.opening import Opening
from gateway.store.reader import LogReader
from gateway.store.settings import EncryptionSettings, LogSettings
from gateway.store.stats import CursorLag, Ledgered, StoreState, StoreStats
from gateway.store.thinning import expected_gain
from gateway.store.trends import PointValue, Trend

__all__ = [
    "CursorLag",
    "Doubt",
    "EncryptionSettings",
    "Ledgered",
    "LogReader",
    "LogSettings",
    "Opening",
    "PointValue",
    "RecordLog",
    "Shift",
    "StoreState",
    "StoreStats",
    "Ticket",
    "Trend",
    "expected_gain",
]

"""Alarms by ISA-18.2 / IEC 62682: life cycle, suppression, floods, first-out and their figures."""

from analytics.alarms.board import LimitAlarms
from analytics.alarms.reasons import Adviser, Reasons
from analytics.alarms.rules import AlarmRules

__all__ = ["Adviser", "AlarmRules", "LimitAlarms", "Reasons"]

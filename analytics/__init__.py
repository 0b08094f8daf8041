"""Finds trouble: anomaly scores and alarms. Pure: time comes from the data, never from a clock."""

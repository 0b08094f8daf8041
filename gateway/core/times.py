"""Times as people read them."""

from datetime import UTC, datetime


def utc_text(time_ns: int) -> str:
    """Return a time as people read it, in UTC, to the second."""
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

"""How a connector words its trouble: a line for the engineer, then one for the expert."""

from gateway.core.errors import DeviceError
from gateway.core.times import utc_text

NS_PER_S = 1_000_000_000
KEEPS_TRYING = " The gateway keeps trying."
"""How the line for the engineer ends; a command that tries once takes it out."""


def device_error(
    device: str, what: str, *, check: str, expert: str, since_ns: int | None = None
) -> DeviceError:
    """Return an error that says what happened, since when, what to check, and the code.

    Args:
        device: Name and address, such as `blower (10.0.4.17:502 unit 1)`.
        what: Continues the sentence that the device opens, such as `does not answer`.
        check: A sentence for the engineer, with its full stop.
        expert: Code, address, exception.
        since_ns: UTC time of the last good answer; None when there was none in this session.
    """
    since = "" if since_ns is None else f" since {utc_text(since_ns)}"
    return DeviceError(f"{device} {what}{since}. {check}{KEEPS_TRYING}\n{expert}")

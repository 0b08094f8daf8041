"""What the Linux kernel knows of its clock: whether it is synchronised, and since when it runs."""

import ctypes
from pathlib import Path

_STA_UNSYNC = 0x0040
"""In the status of `struct timex`: no time server was reached, or too long ago (adjtimex(2))."""
_MACHINE_RUN = Path("/proc/sys/kernel/random/boot_id")


class _Timex(ctypes.Structure):
    """The head of `struct timex`, and room for the rest (adjtimex(2))."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def is_synchronised() -> bool | None:
    """Return whether the kernel calls its clock synchronised; None when it does not say.

    In a container it is the host's clock, and the host's word.
    """
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    if adjtimex is None:
        return None
    timex = _Timex()  # modes 0: nothing is changed
    if adjtimex(ctypes.byref(timex)) < 0:
        return None
    return not timex.status & _STA_UNSYNC


def machine_run() -> str:
    """Return a name for the time since the machine was switched on; empty when unknown."""
    try:
        return _MACHINE_RUN.read_text(encoding="ascii").strip()
    except OSError:
        return ""

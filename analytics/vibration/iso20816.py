"""Zones of vibration severity for machines, as data.

The limits were written down from common practice under ISO 20816-3 (formerly 10816-3) and must be
checked by the user against the edition of the standard that holds for the machine. A machine with
limits of its own, agreed with its maker, uses those.
"""

from dataclasses import dataclass
from typing import Final, Literal

Group = Literal[1, 2]
"""1: above 300 kW, shaft height from 315 mm; 2: 15 to 300 kW, shaft height 160 to 315 mm."""
Foundation = Literal["rigid", "flexible"]
"""Flexible where the lowest natural frequency of machine and support lies below, or less than a
quarter above, the main excitation."""
Zone = Literal["A", "B", "C", "D"]
"""A: as newly commissioned; B: good for long operation; C: not for long, mend it; D: damaging."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneLimits:
    """Upper limits of the first three zones: RMS velocity in mm/s, on bearing housings."""

    a: float
    """Between A and B."""
    b: float
    """Between B and C."""
    c: float
    """Between C and D."""


LIMITS_MM_S: Final[dict[tuple[Group, Foundation], ZoneLimits]] = {
    (1, "rigid"): ZoneLimits(a=2.3, b=4.5, c=7.1),
    (1, "flexible"): ZoneLimits(a=3.5, b=7.1, c=11.0),
    (2, "rigid"): ZoneLimits(a=1.4, b=2.8, c=4.5),
    (2, "flexible"): ZoneLimits(a=2.3, b=4.5, c=7.1),
}
"""Machines with a rotor of 120 to 15,000 turns a minute."""

HIGH_HZ: Final = 1000.0
SLOW_TURNS_HZ: Final = 10.0
"""600 turns a minute."""


def low_hz(speed_hz: float | None) -> float:
    """Return where the band of the velocity begins: 10 Hz, for slow machines 2 Hz."""
    return 2.0 if speed_hz is not None and speed_hz < SLOW_TURNS_HZ else 10.0


def zone(velocity_mm_s: float, *, group: Group, foundation: Foundation) -> Zone:
    """Return the zone of an RMS velocity; a value on a limit belongs to the better zone.

    Args:
        velocity_mm_s: Broad band, 10 to 1000 Hz (from 2 Hz below 600 turns a minute), not NaN.
        group: Of the machine.
        foundation: What it stands on.
    """
    limits = LIMITS_MM_S[group, foundation]
    if velocity_mm_s <= limits.a:
        return "A"
    if velocity_mm_s <= limits.b:
        return "B"
    return "C" if velocity_mm_s <= limits.c else "D"

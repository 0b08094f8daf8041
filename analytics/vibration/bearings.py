"""Rolling bearings: the orders at which their defects strike, from a table or from geometry.

An order is a frequency over the speed of the shaft, so it is a property of the bearing alone.
The table holds only geometry that is published by those who used the bearing, or that follows
from its standard bore and outer diameter and its usual balls. Makers change the number of balls
between series: whoever knows the orders of the very bearing gives those.
"""

import math
import re
from dataclasses import dataclass
from typing import Final

from gateway.core.errors import ConfigError

ORDER_MAX: Final = 60.0
"""A higher order belongs to no rolling bearing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearing:
    """Orders at which the parts of a bearing with a turning inner ring are struck."""

    name: str
    """What it was looked up or given as."""
    bpfo: float
    """Rolling elements that pass a point of the outer ring, for each turn of the shaft."""
    bpfi: float
    """Rolling elements that pass a point of the inner ring; above `bpfo`."""
    bsf: float
    """Turns of a rolling element about itself; its defect strikes twice for each."""
    ftf: float
    """Turns of the cage; below one half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """What the orders follow from."""

    count: int
    """Rolling elements in one row."""
    diameter: float
    """Of a rolling element, in the unit of `pitch`."""
    pitch: float
    """Diameter of the circle that their centres run on."""
    angle_deg: float = 0.0
    """Contact angle."""


TABLE: Final = {
    # Deep groove ball bearings; balls of the inch series, pitch = half the sum of bore and outside.
    "6203": Geometry(count=8, diameter=6.75, pitch=28.55),
    "6204": Geometry(count=8, diameter=7.938, pitch=33.5),
    "6205": Geometry(count=9, diameter=7.94, pitch=39.04),
    "6206": Geometry(count=9, diameter=9.525, pitch=46.0),
    "6207": Geometry(count=9, diameter=11.112, pitch=53.5),
    "6208": Geometry(count=9, diameter=11.906, pitch=60.0),
    "6210": Geometry(count=10, diameter=12.7, pitch=70.0),
    "6306": Geometry(count=8, diameter=12.303, pitch=51.0),
    "6307": Geometry(count=8, diameter=13.494, pitch=57.5),
    "6308": Geometry(count=8, diameter=15.081, pitch=65.0),
    "6309": Geometry(count=8, diameter=17.462, pitch=72.5),
    "6310": Geometry(count=8, diameter=19.05, pitch=80.0),
    "6311": Geometry(count=8, diameter=20.638, pitch=87.5),
    "6312": Geometry(count=8, diameter=22.225, pitch=95.0),
    "6313": Geometry(count=8, diameter=23.812, pitch=102.5),
    "6314": Geometry(count=8, diameter=25.4, pitch=110.0),
    "6804": Geometry(count=13, diameter=3.5, pitch=25.6),
    # Bearings of housings, as their users publish them.
    "ER16K": Geometry(count=9, diameter=7.9375, pitch=38.506),
    "UC204": Geometry(count=8, diameter=7.938, pitch=33.5),
    "UER204": Geometry(count=8, diameter=7.92, pitch=34.55),
    "ZA-2115": Geometry(count=16, diameter=8.407, pitch=71.501, angle_deg=15.17),
}
"""Geometry by designation, in millimetres.

Sources: Case Western Reserve University (6205; 6203 after Lessmeier 2016), PRONOSTIA (6804, Nectoux
2012), Xi'an Jiaotong (UER204, Wang 2018), IMS Cincinnati (ZA-2115, Lee 2007), Rexnord (ER16K).
"""

_PART: Final = re.compile(r"^(n|d|D|angle|bpfo|bpfi|bsf|ftf)=([-+0-9.eE]+)$")


def bearing_of_geometry(geometry: Geometry, *, name: str = "geometry") -> Bearing:
    """Return the orders of a bearing whose inner ring turns and whose outer ring stands.

    Raises:
        ValueError: no bearing can have that geometry.
    Source:
        Randall and Antoni (2011), equations 1 to 4: rolling without slip. Real bearings slip by
        one or two per cent, which whoever searches for the lines must allow for.
    """
    ratio = geometry.diameter / geometry.pitch if geometry.pitch > 0 else math.inf
    if geometry.count < 3 or not 0 < ratio < 1 or not -90 < geometry.angle_deg < 90:
        raise ValueError(f"{geometry} is no bearing")
    part = ratio * math.cos(math.radians(geometry.angle_deg))
    half = geometry.count / 2
    return Bearing(
        name=name,
        bpfo=half * (1 - part),
        bpfi=half * (1 + part),
        bsf=(1 - part * part) / (2 * ratio),
        ftf=(1 - part) / 2,
    )


def bearing_of_orders(
    *, bpfo: float, bpfi: float, bsf: float | None = None, ftf: float | None = None
) -> Bearing:
    """Return a bearing from its orders; the last two follow from the first where not given.

    Raises:
        ConfigError: they cannot belong to one bearing.
    """
    if not 0 < bpfo < bpfi < ORDER_MAX:
        raise ConfigError(
            f"bpfo {bpfo:g} and bpfi {bpfi:g}: these are orders, in multiples of the speed of the "
            f"shaft, bpfo below bpfi and both between 0 and {ORDER_MAX:g}; divide hertz by it"
        )
    part = (bpfi - bpfo) / (bpfi + bpfo)
    usual_bsf, usual_ftf = (1 - part * part) / (2 * part), (1 - part) / 2
    for name, order, highest in (("bsf", bsf, ORDER_MAX), ("ftf", ftf, 1.0)):
        if order is not None and not 0 < order < highest:
            raise ConfigError(f"{name} {order:g} is not between 0 and {highest:g}, as an order is")
    return Bearing(
        name=f"bpfo={bpfo:g} bpfi={bpfi:g}",
        bpfo=bpfo,
        bpfi=bpfi,
        bsf=usual_bsf if bsf is None else bsf,
        ftf=usual_ftf if ftf is None else ftf,
    )


def bearing(text: str) -> Bearing:
    """Return the bearing that a text names.

    Args:
        text: A designation, with or without the maker and what follows the size (`SKF
            6205-2RS`); `n=9 d=7.94 D=39.04 angle=0`; or `bpfo=3.58 bpfi=5.42 bsf=2.36 ftf=0.4`.
    Raises:
        ConfigError: it is none of these, or not in the table.
    """
    parts = text.split()
    given = {match[1]: match[2] for part in parts if (match := _PART.match(part))}
    if parts and len(given) == len(parts):
        return _given(text, given)
    found = [
        key
        for key in TABLE
        for part in (*parts, "".join(parts))
        if re.match(rf"(SKF|FAG|NSK|NTN|INA)?{re.escape(key)}(?![0-9])", part.upper())
    ]
    if not found:
        raise ConfigError(
            f"the bearing {text!r} is not in the table ({', '.join(TABLE)}): give its geometry as "
            "n=9 d=7.94 D=39.04 angle=0, or its orders as bpfo=3.58 bpfi=5.42 bsf=2.36 ftf=0.4"
        )
    return bearing_of_geometry(TABLE[found[0]], name=found[0])


def _given(text: str, given: dict[str, str]) -> Bearing:
    try:
        number = {name: float(value) for name, value in given.items()}
    except ValueError as error:
        raise ConfigError(f"the bearing {text!r} holds what is no number") from error
    if {"bpfo", "bpfi"} <= number.keys() <= {"bpfo", "bpfi", "bsf", "ftf"}:
        return bearing_of_orders(
            bpfo=number["bpfo"],
            bpfi=number["bpfi"],
            bsf=number.get("bsf"),
            ftf=number.get("ftf"),
        )
    if {"n", "d", "D"} <= number.keys() <= {"n", "d", "D", "angle"}:
        geometry = Geometry(
            count=round(number["n"]),
            diameter=number["d"],
            pitch=number["D"],
            angle_deg=number.get("angle", 0.0),
        )
        try:
            return bearing_of_geometry(geometry, name=text)
        except ValueError as error:
            raise ConfigError(
                f"the bearing {text!r}: at least 3 balls, d above 0 and below D, angle below 90"
            ) from error
    raise ConfigError(f"the bearing {text!r}: give n, d and D, or bpfo and bpfi, all of them")

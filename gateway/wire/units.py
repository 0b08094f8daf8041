"""Finds the unit that all values of a signal are whole multiples of.

A converter counts in steps: a 12-bit input for 0 to 10 bar gives n · 10/4095, and no decimal number
of a bearable length is exactly that. Euclid's algorithm finds the step but for rounding; all values
together say it to a few units in the last place, and of the float64 there the one is taken that
gives back most of them to the bit.
"""

import numpy as np

from gateway.core.arrays import BoolArray, FloatArray

COUNT_MIN = 128
"""With fewer values the search costs more time than it saves bytes."""
_MULTIPLE_MAX = float(1 << 24)
"""Converters have at most 24 bits; beyond it the rounding of float64 hides the unit."""
_SIZE_MAX = 1e100
"""Beyond it, or below one part in it, and for NaN, nothing is looked for."""
_NEAR_ULPS = 8
"""How far a multiple may be from its value, in units in the last place."""
_NEIGHBOURS = (0, -1, 1, -2, 2, -3, 3, -4, 4)
"""Which float64 are tried, counted from the centre; the nearest first."""


def unit_of(values: FloatArray, *, probes: FloatArray) -> float | None:
    """Return the largest unit that the values are multiples of, as they look.

    The caller checks it: values that are no multiples to the bit may be among them.

    Args:
        values: Any float64, shape (n,); zeros, and those not finite or absurd, say nothing.
        probes: Some of them; only these pass through Euclid's algorithm.
    Returns:
        None where there is none, or the values are more than 2^24 of them.
    """
    sizes = _sizes(probes).tolist()
    if not sizes:
        return None
    floor = sizes[-1] / _MULTIPLE_MAX
    unit: float = sizes[0]
    for size in sizes:
        unit = _common(size, unit, floor=floor / 4)
        if unit < floor:
            return None
        # Each larger one says more exactly what the unit is; the rests below stay small by it.
        unit = size / round(size / unit)
    return _exact(_sizes(values), unit)


def _sizes(values: FloatArray) -> FloatArray:
    """Return the different magnitudes that an instrument can have shown, ascending."""
    sizes: FloatArray = np.unique(np.abs(values))
    is_telling: BoolArray = (sizes > 1 / _SIZE_MAX) & (sizes < _SIZE_MAX)
    return sizes[is_telling]


def _common(larger: float, smaller: float, *, floor: float) -> float:
    """Return the largest number that both are multiples of, but for a rest below a floor."""
    while smaller > floor:
        larger, smaller = smaller, abs(larger - round(larger / smaller) * smaller)
    return larger


def _exact(sizes: FloatArray, unit: float) -> float:
    """Return the float64 near a unit that gives back most sizes to the bit."""
    count = np.rint(sizes / unit)
    is_multiple = np.abs(sizes - count * unit) <= _NEAR_ULPS * np.spacing(sizes)
    if not is_multiple.any():
        return unit
    sizes, count = sizes[is_multiple], count[is_multiple]
    centre = float(sizes.sum() / count.sum())
    near = centre + np.array(_NEIGHBOURS) * np.spacing(centre)
    hits = (count * near[:, np.newaxis] == sizes).sum(axis=1)
    return float(near[hits.argmax()])

"""What a recording says about its columns: which of them measure, and how much they vary."""

from typing import Final

import numpy as np

from gateway.core.arrays import BoolArray, FloatArray

RANGE_SHARE_MIN: Final = 0.003
"""Of a column's trained range, that its spread is at the least: one that stood still but for a few
rows is not therefore exact. Nothing to 0.01 rank alike."""
LEVEL_SHARE: Final = 0.01
"""Of its level, the spread of a column that never varied."""
SPREAD_MIN: Final = 0.01
"""For one that never varied, at about zero: in the column's own unit, for want of any other."""

WILD_ROWS_MAX: Final = 2
"""Readings of a column that may be wild, on each side; what happens more often belongs to the
machine."""
WILD_RANGES: Final = 3.0
"""How far a wild reading lies beyond all others, in their range."""


def without_wild(rows: FloatArray) -> tuple[FloatArray, int]:
    """Return rows with those replaced that hold a reading no machine has made, and how many.

    A glitch of a sensor or a converter stands alone, far from everything before and after it. Kept
    in a recording it would widen every limit: the model would be deaf. The row before stands for
    it.

    Args:
        rows: Healthy rows in the order of time, shape (n, m), finite.
    """
    if len(rows) <= 2 * WILD_ROWS_MAX:
        return rows, 0
    ordered = np.partition(rows, (WILD_ROWS_MAX, len(rows) - WILD_ROWS_MAX - 1), axis=0)
    low, high = ordered[WILD_ROWS_MAX], ordered[-WILD_ROWS_MAX - 1]
    room = WILD_RANGES * (high - low)
    beyond = np.maximum(low - rows, rows - high)
    is_wild = ((beyond > room) & (room > 0.0)).any(axis=1)
    usable = np.flatnonzero(~is_wild)
    # The last usable row up to each row; the first one for those before it.
    place = np.maximum(np.searchsorted(usable, np.arange(len(rows)), side="right") - 1, 0)
    return (rows[usable[place]], int(is_wild.sum())) if is_wild.any() else (rows, 0)


def is_measured(rows: FloatArray) -> BoolArray:
    """Return which columns of healthy rows (n, m) are measurements, shape (m,).

    One that held nothing but exact zeros and ones is a switch or a command: what it is set to is
    the operator's will, and a position not seen before is no fault of the machine. So is one that
    was never switched; a measurement that stands at exactly 0 or 1 all along cannot be told from
    it, and is left out too.
    """
    is_other: BoolArray = np.any((rows != 0.0) & (rows != 1.0), axis=0)
    return is_other


def level_and_spread(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return each column's mean and its standard deviation with its floors, shapes (m,).

    Args:
        rows: Healthy rows, finite, shape (n, m), n >= 1.
    """
    level = rows.mean(axis=0)
    span = np.ptp(rows, axis=0)
    floor = np.maximum(LEVEL_SHARE * np.abs(level), SPREAD_MIN)
    spread = np.where(span > 0.0, np.maximum(rows.std(axis=0), RANGE_SHARE_MIN * span), floor)
    return level, spread

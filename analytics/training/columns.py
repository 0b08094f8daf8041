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

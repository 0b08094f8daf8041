"""Averages over several lengths of time at once: short faults and slight ones.

An average over few rows shows a large fault at once; one over many shows a slight one that lasts,
for the averages of a healthy machine lie the closer together the longer they are. Each length is
compared with its own healthy averages, and the most surprising counts. Lengths are in rows, so that
the same ones serve a machine of a row a second and one of a row a minute.
"""

from typing import Final

import numpy as np

from gateway.core.arrays import BoolArray, FloatArray

TIME_SCALES_ROWS: Final = (2.0, 8.0, 32.0)
"""Time constants. With (1, 4, 16) or (3, 12, 48) recordings of servers and satellites rank alike;
from 64 rows on, a fault of four rows is lost in what follows it."""


class TimeScales:
    """Exponentially weighted averages of d numbers of n assets, over each of s lengths.

    Source:
        Roberts (1959), "Control Chart Tests Based on Geometric Moving Averages"; several lengths
        side by side as in Sparks (2000), "CUSUM Charts for Signalling Varying Location Shifts".
    """

    def __init__(
        self,
        *,
        asset_count: int,
        usual: FloatArray,
        scales_rows: tuple[float, ...] = TIME_SCALES_ROWS,
    ) -> None:
        """Begin as if the usual had always been: one odd row is then no long average.

        Args:
            asset_count: n.
            usual: What the d numbers are on average on a healthy machine, shape (d,).
            scales_rows: Time constants in rows, each above 0, shape (s,).
        """
        assert min(scales_rows) > 0, scales_rows
        shape = (asset_count, len(usual), len(scales_rows))
        self._weight = -np.expm1(-1.0 / np.array(scales_rows))
        self.average: FloatArray = np.broadcast_to(usual[:, np.newaxis], shape).copy()
        """Shape (n, d, s)."""

    def update(self, values: FloatArray, counts: BoolArray) -> FloatArray:
        """Take in one row of each asset and return the averages, shape (n, d, s).

        Args:
            values: Shape (n, d), finite where the row counts.
            counts: Which rows count, shape (n,); the averages of the others stay as they are.
        """
        is_new = counts[:, np.newaxis, np.newaxis]
        step = np.where(is_new, values[:, :, np.newaxis] - self.average, 0.0)
        self.average = self.average + self._weight * step
        return self.average


def averaged_run(
    values: FloatArray, *, usual: FloatArray, scales_rows: tuple[float, ...] = TIME_SCALES_ROWS
) -> FloatArray:
    """Return the averages of one recording, as the running service would have them.

    Args:
        values: Shape (r, d), finite, in the order of time.
        usual: Shape (d,).
        scales_rows: Time constants in rows, shape (s,).
    Returns:
        Shape (r, d, s).
    """
    scales = TimeScales(asset_count=1, usual=usual, scales_rows=scales_rows)
    counts = np.ones(1, dtype=np.bool_)
    averages = np.empty((*values.shape, len(scales_rows)))
    for index, row in enumerate(values):
        averages[index] = scales.update(row[np.newaxis], counts)[0]
    return averages

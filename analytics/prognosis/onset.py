"""When wear has begun: many rows that say so, and not one."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.core.arrays import BoolArray

ROWS: Final = 4
"""Rows that must say so more often than not. With 1, most C-MAPSS engines are taken back after
their onset; from 3 to 10 hardly any is, and onsets move by one per cent of a life."""


class Onset:
    """A sequential sign test of n assets.

    A row that says that there is wear counts one up, another one down, between nothing and
    `ROWS`. At the top wear has begun, at the bottom it is taken back: one wild row does neither,
    and what is said by less than half of the rows never leads to an onset for good.

    Source:
        Page (1954), "Continuous Inspection Schemes", with the sign as score; the same bound on
        both sides is the hysteresis.
    """

    def __init__(self, asset_count: int) -> None:
        """Begin with assets that are as new.

        Args:
            asset_count: n.
        """
        self.count = np.zeros(asset_count, dtype=np.int64)
        """Shape (n,), 0 to `ROWS`."""
        self.is_on = np.zeros(asset_count, dtype=np.bool_)
        """Whether wear has begun, shape (n,)."""

    def take(self, at: NDArray[np.intp], says_wear: BoolArray) -> BoolArray:
        """Take in one row of each of some assets and return whether wear has begun, shape (r,).

        Args:
            at: Which assets, each once, shape (r,).
            says_wear: What their rows say, shape (r,).
        """
        count = np.minimum(np.maximum(self.count[at] + np.where(says_wear, 1, -1), 0), ROWS)
        is_on = np.where(self.is_on[at], count > 0, count == ROWS)
        self.count[at], self.is_on[at] = count, is_on
        return is_on

    def forget(self, is_new: BoolArray) -> None:
        """Begin anew with some assets.

        Args:
            is_new: Shape (n,).
        """
        self.count[is_new], self.is_on[is_new] = 0, False

"""Finds the operating conditions in recordings, and how each column lies in them.

Theory. A column that a person or a program sets stands at one of a few levels with wide gaps
between them, and the other columns follow it. A measurement may show levels, too, because its
instrument rounds, but nothing follows those. So a column with levels tells conditions apart when
they explain most of the variance of the other columns in the first part of each life, where there
is no wear yet that could do the same.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.prognosis.conditions import Conditions
from gateway.core.arrays import BoolArray, FloatArray

YOUNG_SHARE: Final = 0.3
"""First part of each life, taken as free of wear."""
LEVELS_MAX: Final = 20
CONDITIONS_MAX: Final = 20
GAP_SHARE: Final = 0.02
"""Of a column's range: neighbouring values further apart are on different levels."""
ROWS_SHARE_MIN: Final = 0.005
"""A level or a condition with fewer of the rows is chance."""
EXPLAINED_MIN: Final = 0.5
"""Share of the other columns' variance, in the median, that conditions must explain."""
GAIN_MIN: Final = 0.02
"""What a further column must add to it."""
SPREAD_SHARE_MIN: Final = 1e-9
"""A column that varies less than this part of its size does not vary."""


def fit_conditions(runs: Sequence[FloatArray]) -> Conditions:
    """Return the conditions that the rows of several lives were in; often there is one.

    Args:
        runs: One life each, shape (r, m), in the order of time; rows may hold NaN.
    """
    rows = np.concatenate(runs)
    young = np.concatenate([run[: max(1, int(len(run) * YOUNG_SHARE))] for run in runs])
    cuts = _cuts(rows)
    selecting = _selecting(rows, young, cuts)
    codes = _codes(rows, [(k, cuts[k]) for k in selecting])
    seen, count = np.unique(codes[codes >= 0], return_counts=True)
    seen = seen[count >= ROWS_SHARE_MIN * len(rows)]
    measured = [k for k in range(rows.shape[1]) if k not in selecting]
    centers, spreads, levels = [], [], []
    for code in seen if selecting else [0]:
        own = rows[codes == code] if selecting else rows
        levels.append(np.nanmedian(own[:, selecting], axis=0) if selecting else np.zeros(0))
        center, spread = _center_and_spread(own[:, measured])
        centers.append(center)
        spreads.append(spread)
    center, spread = np.array(centers), np.array(spreads)
    varies = np.isfinite(spread).any(axis=0)
    return Conditions(
        selecting=np.array(selecting, dtype=np.intp),
        levels=np.array(levels),
        tolerance=np.array([_tolerance(rows[:, k], cuts[k]) for k in selecting]),
        measured=np.array(measured, dtype=np.intp)[varies],
        center=center[:, varies],
        spread=spread[:, varies],
    )


def _cuts(rows: FloatArray) -> dict[int, FloatArray]:
    """Return, for each column with levels, the values between them."""
    cuts: dict[int, FloatArray] = {}
    for k in range(rows.shape[1]):
        values = np.unique(rows[np.isfinite(rows[:, k]), k])
        if len(values) < 2:
            continue
        gaps = np.diff(values)
        at = np.flatnonzero(gaps > GAP_SHARE * (values[-1] - values[0]))
        if not 1 <= len(at) < LEVELS_MAX:
            continue
        cut = values[at] + gaps[at] / 2
        counts = np.bincount(np.searchsorted(cut, rows[np.isfinite(rows[:, k]), k]))
        if counts.min() >= ROWS_SHARE_MIN * len(rows):
            cuts[k] = cut
    return cuts


def _selecting(rows: FloatArray, young: FloatArray, cuts: dict[int, FloatArray]) -> list[int]:
    """Return the columns that tell the conditions apart, the most telling first.

    Of columns that tell as much, the one whose levels are narrowest: the setting itself, and not
    a measurement that follows it and shows wear, too.
    """
    chosen: list[int] = []
    explained = EXPLAINED_MIN - GAIN_MIN
    while True:
        shares: dict[int, float] = {}
        for k in sorted(cuts.keys() - set(chosen)):
            codes = _codes(young, [(c, cuts[c]) for c in [*chosen, k]])
            if len(np.unique(codes[codes >= 0])) <= CONDITIONS_MAX:
                shares[k] = _explained(young, codes, others=_others(rows, [*chosen, k]))
        best = max(shares.values(), default=0.0)
        if best <= explained + GAIN_MIN:
            return chosen
        good = [k for k, share in shares.items() if share >= best - GAIN_MIN]
        chosen.append(
            max(good, key=lambda k: _explained(rows, _codes(rows, [(k, cuts[k])]), others=[k]))
        )
        explained = best


def _others(rows: FloatArray, chosen: Sequence[int]) -> list[int]:
    return [k for k in range(rows.shape[1]) if k not in chosen]


def _codes(rows: FloatArray, cuts: Sequence[tuple[int, FloatArray]]) -> NDArray[np.int64]:
    """Return a number for each combination of levels, shape (n,); -1 with a NaN among them."""
    codes = np.zeros(len(rows), dtype=np.int64)
    is_known = np.ones(len(rows), dtype=np.bool_)
    for k, cut in cuts:
        codes = codes * (len(cut) + 1) + np.searchsorted(cut, rows[:, k])
        is_known &= np.isfinite(rows[:, k])
    return np.where(is_known, codes, -1)


def _explained(rows: FloatArray, codes: NDArray[np.int64], *, others: Sequence[int]) -> float:
    """Return the share of these columns' variance between the codes, in the median."""
    whole = codes >= 0
    shares = []
    for k in others:
        is_number: BoolArray = whole & np.isfinite(rows[:, k])
        values, own = rows[is_number, k], codes[is_number]
        if len(values) == 0 or np.ptp(values) <= SPREAD_SHARE_MIN * np.abs(values).max():
            continue
        total = values - values.mean()
        _, at = np.unique(own, return_inverse=True)
        within = values - (np.bincount(at, values) / np.bincount(at))[at]
        shares.append(1.0 - float((within**2).sum() / (total**2).sum()))
    return float(np.median(shares)) if shares else 0.0


def _center_and_spread(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return median and spread of the columns (p,); an infinite spread where nothing varies."""
    low, center, high = np.nanquantile(rows, [0.25, 0.5, 0.75], axis=0)
    spread = (high - low) / 1.349
    # A column that rests on one value most of the time has no quartiles worth the name.
    spread = np.where(spread > 0, spread, np.nanstd(rows, axis=0))
    least = SPREAD_SHARE_MIN * np.maximum(np.abs(center), np.finfo(np.float32).tiny)
    return center, np.where(spread > least, spread, np.inf)


def _tolerance(values: FloatArray, cut: FloatArray) -> float:
    """Return half the narrowest gap between the levels of a column."""
    known = np.unique(values[np.isfinite(values)])
    at = np.searchsorted(known, cut)
    return float((known[at] - known[at - 1]).min() / 2)

"""Scores of anomaly scores without a threshold: how well they rank the faulty rows.

VUS-PR widens every labelled segment by a ramp of up to w/2 rows on either side, because labels are
some rows off, takes the area under the curve of precision over recall, and averages it over all
w from 0 to W. W is the period of the signal.

Source:
    Paparrizos et al. (2022), "Volume Under the Surface", PVLDB 15(11); in the form of Liu and
    Paparrizos (2024), "The Elephant in the Room" (TSB-AD): recall is divided by the labelled rows
    plus half of the ramp that was found, and multiplied by the share of segments that are touched.
"""

from typing import Final

import numpy as np

from analytics.scorers.alarms import RowArray, segments
from gateway.core.arrays import BoolArray, FloatArray

THRESHOLD_COUNT: Final = 250
PERIOD_UNKNOWN: Final = 125
"""The window where a signal shows no period."""
LAG_MIN: Final = 3
LAG_MAX: Final = 400
PERIOD_ROWS_MAX: Final = 20_000
PERIOD_BEYOND_LAG_MIN: Final = 300
"""The highest peak counts as a period between `LAG_MIN` and this, both counted from `LAG_MIN`."""


def period_rows(values: FloatArray) -> int:
    """Return the period of a signal in rows: where its autocorrelation has its highest peak.

    Args:
        values: Shape (n,), finite; by TSB-AD's rule the first column of a recording. Only its
            first rows are looked at, and lags of 3 to 400 rows.
    Returns:
        The period; 125 for a constant or short signal, one without a peak, or with a peak outside
        of the usual range.
    """
    head = values[:PERIOD_ROWS_MAX] - np.mean(values[:PERIOD_ROWS_MAX])
    spectrum = np.fft.rfft(head, 2 * len(head))
    power = np.fft.irfft((spectrum * spectrum.conj()).real)[: min(LAG_MAX + 1, len(head))]
    if len(power) <= LAG_MIN or not power[0] > 0:
        return PERIOD_UNKNOWN
    likeness = power[LAG_MIN:] / power[0]
    middle = likeness[1:-1]
    is_peak = (middle > likeness[:-2]) & (middle > likeness[2:])
    if not is_peak.any():
        return PERIOD_UNKNOWN
    peak = 1 + int(np.argmax(np.where(is_peak, middle, -np.inf)))
    return peak + LAG_MIN if LAG_MIN <= peak <= PERIOD_BEYOND_LAG_MIN else PERIOD_UNKNOWN


def vus_pr(truth: BoolArray, score: FloatArray, *, window_rows: int) -> float:
    """Return the volume under the surface of precision and recall, 0..1.

    Args:
        truth: Shape (n,), with at least one true row.
        score: Shape (n,), finite; higher is more anomalous.
        window_rows: W, see `period_rows`.
    Raises:
        ValueError: the shapes differ, nothing is labelled, or a score is not finite.
    """
    if truth.shape != score.shape or not truth.any() or not np.isfinite(score).all():
        raise ValueError(
            f"{truth.shape} labels ({np.count_nonzero(truth)} true), {score.shape} scores "
            f"({np.count_nonzero(~np.isfinite(score))} not finite)"
        )
    spans = segments(truth)
    ramps = _Ramps(truth, spans, reach=window_rows // 2)
    falling = -np.sort(-score)
    limits = falling[np.linspace(0, len(score) - 1, THRESHOLD_COUNT).astype(np.int64)]
    # Of equal limits all rows pass the first one, so a row belongs to the first that it passes.
    passes = np.searchsorted(-limits, -score, side="left")
    alarm_count = np.cumsum(np.bincount(passes, minlength=THRESHOLD_COUNT))
    label_count = np.cumsum(np.bincount(passes[truth], minlength=THRESHOLD_COUNT))
    padded = np.append(score, -np.inf)
    areas = np.empty(window_rows + 1)
    for w in range(window_rows + 1):
        ramp_found = np.cumsum(
            np.bincount(passes[ramps.rows], weights=ramps.heights(w), minlength=THRESHOLD_COUNT)
        )
        peaks = _peaks(padded, spans, reach=w // 2)
        touched = (peaks[:, np.newaxis] >= limits).mean(axis=0)
        found = label_count + ramp_found
        recall = np.minimum(found / (label_count[-1] + ramp_found / 2), 1.0) * touched
        areas[w] = np.sum(np.diff(recall, prepend=0.0) * found / alarm_count)
    return float(areas.mean())


class _Ramps:
    """The rows beside the labelled ones, and how far from which segments they are."""

    def __init__(self, truth: BoolArray, spans: RowArray, *, reach: int) -> None:
        steps = np.arange(1, reach + 1)
        before = spans[:, :1] - steps
        after = spans[:, 1:] - 1 + steps
        at = np.concatenate([before.T, after.T], axis=1).ravel()
        distance = np.repeat(steps, 2 * len(spans))
        is_beside = (at >= 0) & (at < len(truth))
        is_beside[is_beside] = ~truth[at[is_beside]]
        self.rows, self._place = np.unique(at[is_beside], return_inverse=True)
        self._distance = distance[is_beside]

    def heights(self, w: int) -> FloatArray:
        """Return the height of the ramps of width w at the rows, at most 1, shape (rows,)."""
        near = int(np.searchsorted(self._distance, w // 2, side="right"))
        height = np.sqrt(1 - self._distance[:near] / max(w, 1))
        return np.minimum(
            np.bincount(self._place[:near], weights=height, minlength=len(self.rows)), 1.0
        )


def _peaks(padded: FloatArray, spans: RowArray, *, reach: int) -> FloatArray:
    """Return the highest score of each widened segment; those that share a row are one.

    The scores are padded with one more value, below all of them.
    """
    first = np.maximum(spans[:, 0] - reach, 0)
    last = np.minimum(spans[:, 1] - 1 + reach, len(padded) - 2)
    begins = np.append(np.True_, first[1:] > last[:-1])
    ends = np.append(begins[1:], np.True_)
    bounds = np.column_stack([first[begins], last[ends] + 1]).ravel()
    return np.asarray(np.maximum.reduceat(padded, bounds)[::2])

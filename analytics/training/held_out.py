"""Healthy values of rows that were not fitted: cross-validation by blocks of time.

A fit flatters its own rows, the more so the fewer they are beside its columns: limits taken from
them are too low. To hold back the end of a short recording leaves too few rows for both. So each
recording is cut into blocks; each block in turn is left out of the fit and then scored. Blocks are
whole stretches of time, because neighbouring rows of a machine are nearly the same: a row left out
alone would be known from the one before it.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from gateway.core.arrays import FloatArray

BLOCK_COUNT: Final = 5
"""Blocks of each recording: more would be too short to stand for a stretch of time of their own."""

Scorer = Callable[[FloatArray], FloatArray]
"""Returns the k statistics of each row of a recording (r, m), causally, shape (r, k)."""
Fit = Callable[[Sequence[FloatArray]], Scorer]
"""Fits to recordings (r, m) each."""


def held_out_values(
    runs: Sequence[FloatArray], fit: Fit, *, block_count: int = BLOCK_COUNT
) -> list[FloatArray]:
    """Return the statistics of every row by a fit that did not see it, shape (r, k) a recording.

    Args:
        runs: Recordings, shape (r, m), in the order of time, each of at least `block_count` rows.
        fit: Is called once for each block, with all recordings but for that block of each; what
            lies before and behind the block are recordings of their own there.
        block_count: At least 2.
    Returns:
        For each recording; a block is scored in the course of its whole recording, so that it
        begins with the history it had.
    Source:
        Burman, Chow and Nolan (1994), "A Cross-Validatory Method for Dependent Data", with the
        gap between the parts left out: it would cost a short recording a tenth of its rows.
    """
    assert block_count >= 2, block_count
    assert min(map(len, runs)) >= block_count, [len(run) for run in runs]
    edges = [np.linspace(0, len(run), block_count + 1).astype(int) for run in runs]
    parts: list[list[FloatArray]] = [[] for _ in runs]
    for block in range(block_count):
        bounds = [(int(edge[block]), int(edge[block + 1])) for edge in edges]
        fitted = [
            part
            for run, (begin, end) in zip(runs, bounds, strict=True)
            for part in (run[:begin], run[end:])
            if len(part)
        ]
        score = fit(fitted)
        for values, run, (begin, end) in zip(parts, runs, bounds, strict=True):
            values.append(score(run)[begin:end])
    return [np.concatenate(values) for values in parts]

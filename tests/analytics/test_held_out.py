"""Values of rows that the fit did not see."""

from collections.abc import Sequence

import numpy as np
import pytest

from analytics.training.held_out import Scorer, held_out_values
from gateway.core.arrays import FloatArray


def fit_known(runs: Sequence[FloatArray]) -> Scorer:
    """Scores a row 1 when it was fitted, and how many rows stood before it."""
    known = {float(value) for run in runs for value in run[:, 0]}

    def score(run: FloatArray) -> FloatArray:
        seen = [float(value) in known for value in run[:, 0].tolist()]
        return np.column_stack([seen, np.arange(len(run))]).astype(np.float64)

    return score


@pytest.mark.parametrize("block_count", [2, 5, 7])
def test_no_row_is_scored_by_a_fit_that_saw_it(block_count: int) -> None:
    """Each row once, in order, in the course of its recording."""
    runs = [np.arange(23.0).reshape(-1, 1), 100.0 + np.arange(7.0).reshape(-1, 1)]
    values = held_out_values(runs, fit_known, block_count=block_count)
    assert [len(each) for each in values] == [23, 7]
    for each in values:
        np.testing.assert_array_equal(each[:, 0], 0.0)
        np.testing.assert_array_equal(each[:, 1], np.arange(len(each)))


def test_what_lies_around_a_block_are_recordings_of_their_own() -> None:
    lengths: list[list[int]] = []

    def fit(runs: Sequence[FloatArray]) -> Scorer:
        lengths.append([len(run) for run in runs])
        return fit_known(runs)

    held_out_values([np.zeros((9, 1))], fit, block_count=3)
    assert lengths == [[6], [3, 3], [6]]


def test_limits_of_rows_held_out_hold_where_those_of_fitted_rows_do_not() -> None:
    """The point of it: 150 rows of 30 columns flatter a Mahalanobis distance by a third."""
    dice = np.random.default_rng(1)
    rows, later = dice.normal(size=(150, 30)), dice.normal(size=(5_000, 30))

    def fit(runs: Sequence[FloatArray]) -> Scorer:
        inverse = np.linalg.inv(np.cov(np.concatenate(runs).T))
        return lambda run: np.einsum("ij,jk,ik->i", run, inverse, run)[:, np.newaxis]

    held_out = np.quantile(held_out_values([rows], fit)[0], 0.95)
    flattered = np.quantile(fit([rows])(rows), 0.95)
    values = fit([rows])(later)
    assert (values > flattered).mean() > 0.25
    assert (values > held_out).mean() < 0.06

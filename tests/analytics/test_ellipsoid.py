"""Models of columns whose tolerance is known, and of those of which nothing is."""

from dataclasses import replace

import numpy as np
import pytest

from analytics.canary import row_scores
from analytics.training.anomaly import INDEPENDENT_S, STUDENT_TERM, Purpose, train_anomaly
from analytics.training.ellipsoid import chi_square_limit, fit_about_zero
from gateway.core.arrays import FloatArray
from gateway.wire.bundle import read_bundle, write_bundle

COLUMNS = ("a", "b", "c", "d")
PURPOSE = Purpose(name="sigmas", version="1.0", asset_type="pump", columns=COLUMNS, tolerance=1.0)


def quiet(rows: int, *, spread: float, seed: int = 1) -> FloatArray:
    dice = np.random.default_rng(seed)
    return np.asarray(spread * dice.normal(size=(rows, len(COLUMNS))))


def scores(rows: FloatArray, at: FloatArray) -> FloatArray:
    model = train_anomaly([rows], PURPOSE).bundle.model
    return np.asarray(row_scores(model, at.astype(np.float32)), dtype=np.float64)


@pytest.mark.parametrize(
    ("count", "expected"), [(1, 10.83), (2, 13.82), (5, 20.52), (9, 27.88), (20, 45.31)]
)
def test_the_limit_is_the_quantile_in_the_tables_of_chi_square(count: int, expected: float) -> None:
    assert chi_square_limit(count) == pytest.approx(expected, rel=0.035)


def test_the_score_is_the_distance_with_the_tolerance_added() -> None:
    """By the definition: zᵀ (S + I)⁻¹ z over the limit."""
    rows = quiet(2_000, spread=0.4)
    model = fit_about_zero(rows, tolerance=0.5)
    z = rows / 0.5
    inverse = np.linalg.inv(z.T @ z / len(z) + np.eye(4))
    expected = np.sqrt(np.einsum("ni,ij,nj->n", z, inverse, z) / chi_square_limit(4))
    np.testing.assert_allclose(model.score(rows), expected, rtol=1e-9)


def test_a_machine_that_stood_still_makes_no_narrow_model() -> None:
    """Rows of a hundredth of the tolerance: what is within the tolerance is no anomaly."""
    found = scores(quiet(3_000, spread=0.01), np.diag([3.0, 3.0, 3.0, 3.0]))
    assert (found < 1.0).all()


def test_what_varied_on_the_healthy_machine_counts_less() -> None:
    rows = quiet(6_000, spread=0.2)
    rows[:, 1] *= 10.0
    found = scores(rows, 6.0 * np.eye(4))
    assert found[1] < 0.6 * found[0]


def test_single_wild_rows_do_not_blind_the_model() -> None:
    """Ten rows in a thousand, a thousand tolerances off, as after a start."""
    rows = quiet(6_000, spread=0.3)
    wild = rows.copy()
    wild[::100] = 1_000.0
    assert scores(wild[:4_200], 8.0 * np.eye(4)).min() > 0.7 * scores(rows, 8.0 * np.eye(4)).min()


def test_a_short_recording_widens_the_threshold() -> None:
    """By Student's term, as independent rows are told apart by time."""
    short, long = 600, 60_000
    at = 8.0 * np.eye(4)
    gain = scores(quiet(long, spread=0.1), at) / scores(quiet(short, spread=0.1), at)
    terms = [1 + STUDENT_TERM * INDEPENDENT_S / (0.7 * rows) for rows in (short, long)]
    np.testing.assert_allclose(gain, terms[0] / terms[1], rtol=0.01)


def test_the_tolerance_goes_with_the_bundle() -> None:
    """Whoever trains the next version finds it there."""
    bundle = train_anomaly([quiet(600, spread=0.3)], replace(PURPOSE, tolerance=0.8)).bundle
    manifest = read_bundle(write_bundle(bundle)).manifest
    assert manifest.kind == "anomaly"
    assert manifest.tolerance == 0.8

"""Scores of remaining life: errors, intervals, and the moment at which wear is noticed."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.scorers.alarms import rising_edges
from gateway.core.arrays import BoolArray, FloatArray

EARLY_SCALE: Final = 13.0
LATE_SCALE: Final = 10.0
ONSET_FROM: Final = 0.60
ONSET_UNTIL: Final = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeScore:
    """Errors of predicted remaining lives, in their unit."""

    rmse: float
    nasa: float
    """A sum, so it grows with the number of machines; what is predicted too late costs more."""
    mae: float


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalScore:
    """How often an interval holds the truth, and how wide it is for that."""

    covered_percent: float
    width: float
    """Mean, in the unit of the life."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnsetScore:
    """Whether wear was noticed in good time in one life."""

    noticed_at: float | None
    """Share of the life at the first edge in good time; None when there is none."""
    false_count: int
    """Edges earlier than that."""


def life_score(predicted: FloatArray, actual: FloatArray, *, cap: float | None) -> LifeScore:
    """Return the errors of one prediction for each machine.

    Args:
        predicted: Shape (n,), finite.
        actual: Shape (n,).
        cap: The truth is cut here before; None leaves it as it is. Say which: on FD002 of C-MAPSS
            the same predictions have half the error with the cap.
    Raises:
        ValueError: shapes differ or a prediction is not finite.
    Source:
        Saxena et al. (2008), "Damage propagation modeling", PHM08: exp(-d / 13) - 1 for d < 0,
        exp(d / 10) - 1 else, summed; d is predicted minus actual. The cap: Heimes (2008).
    """
    if predicted.shape != actual.shape or not np.isfinite(predicted).all():
        raise ValueError(
            f"{predicted.shape} predictions ({np.count_nonzero(~np.isfinite(predicted))} not "
            f"finite), {actual.shape} truths"
        )
    error = predicted - (actual if cap is None else np.minimum(actual, cap))
    scale = np.where(error < 0, -EARLY_SCALE, LATE_SCALE)
    return LifeScore(
        rmse=float(np.sqrt(np.mean(error * error))),
        nasa=float(np.sum(np.expm1(error / scale))),
        mae=float(np.mean(np.abs(error))),
    )


def interval_score(low: FloatArray, high: FloatArray, actual: FloatArray) -> IntervalScore:
    """Return coverage and mean width of intervals, shape (n,) each; the ends belong to them."""
    return IntervalScore(
        covered_percent=100 * float(np.mean((low <= actual) & (actual <= high))),
        width=float(np.mean(high - low)),
    )


def phm_score(predicted: FloatArray, actual: FloatArray) -> float:
    """Return the mean accuracy of the PHM 2012 challenge, 0..1; late costs more than early.

    With E the error in percent of the actual life, positive when predicted too early: a half for
    each 20 % too early, or each 5 % too late. "A fifth of the age" comes close to the winner.

    Source:
        Nectoux et al. (2012), "PRONOSTIA: an experimental platform for bearings accelerated
        degradation tests", rules of the challenge.
    """
    early_percent = 100 * (actual - predicted) / actual
    halvings = np.where(early_percent > 0, early_percent / 20.0, -early_percent / 5.0)
    return float(np.mean(np.exp2(-halvings)))


def onset_score(alarm: BoolArray, life_share: FloatArray) -> OnsetScore:
    """Return when wear was noticed: edges from 60 % to 99 % of the life are in good time.

    Args:
        alarm: Shape (n,).
        life_share: Shape (n,), rising from 0 to 1 over the whole life.
    """
    edges = life_share[rising_edges(alarm)]
    timely = edges[(edges >= ONSET_FROM) & (edges <= ONSET_UNTIL)]
    return OnsetScore(
        noticed_at=float(timely[0]) if len(timely) else None,
        false_count=int(np.count_nonzero(edges < ONSET_FROM)),
    )

"""From smoothed residuals to words: the worst sign, the likely cause, what to check. Pure.

A fault moves several residuals, each in its direction: its signature. The cause whose signature
fits best is named, if it fits well; otherwise the signal that stands out is doubted. A frozen
sensor comes before all, because with it residuals mislead.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from gateway.core.arrays import FloatArray
from gateway.core.cases import Diagnosis
from twins.health import FROZEN_SIGMAS, NORMAL_SIGMAS
from twins.model import Relation, Signature, ending_of

MATCH_MIN = 0.6
"""Fit of a signature, see `match`, from which on its cause is named."""
SIGN_MIN = 0.5
"""Share of `NORMAL_SIGMAS` from which on a sign counts as seen."""


def worst_sign(
    relations: Sequence[Relation], sigmas: FloatArray, frozen_roles: Sequence[str]
) -> str:
    """Return the weightiest reason in a few words; empty when everything is normal.

    Args:
        relations: All r of them.
        sigmas: Smoothed residuals of one asset in standard deviations, shape (r,).
        frozen_roles: Signals that repeat themselves.
    """
    worst = int(np.abs(sigmas).argmax()) if len(sigmas) else 0
    size = abs(float(sigmas[worst])) if len(sigmas) else 0.0
    if frozen_roles and size < FROZEN_SIGMAS:
        return f"{spoken(frozen_roles[0])} frozen"
    if size <= NORMAL_SIGMAS:
        return ""
    return f"{spoken(relations[worst].signal)} {float(sigmas[worst]):+.1f} σ"


def diagnosis(
    relations: Sequence[Relation],
    signatures: Sequence[Signature],
    sigmas: FloatArray,
    frozen_roles: Sequence[str],
) -> Diagnosis | None:
    """Return what is likely the matter and what to check; None when everything is normal.

    Args:
        relations: All r of them.
        signatures: Those of the asset's type.
        sigmas: Smoothed residuals of one asset in standard deviations, shape (r,).
        frozen_roles: Signals that repeat themselves.
    """
    if frozen_roles:
        return Diagnosis(
            cause=f"{spoken(frozen_roles[0])} does not move any more",
            check="check the sensor and its wiring",
        )
    if not (np.abs(sigmas) > NORMAL_SIGMAS).any():
        return None
    by_signal = {relation.signal: float(s) for relation, s in zip(relations, sigmas, strict=True)}
    best = max(signatures, key=lambda each: match(each, by_signal))
    if match(best, by_signal) >= MATCH_MIN:
        seen = sum(_sign(by_signal[signal], way) > SIGN_MIN for signal, way in best.signs)
        cause = f"likely: {best.cause} ({seen} of {len(best.signs)} signs)"
        return Diagnosis(cause=cause, check=best.check)
    worst = relations[int(np.abs(sigmas).argmax())]
    check = "compare with a gauge at the machine"
    if worst.roles == (worst.signal,):
        return Diagnosis(cause=f"{spoken(worst.signal)} moves faster than usual", check=check)
    others = ", ".join(spoken(role) for role in worst.roles if role != worst.signal)
    return Diagnosis(cause=f"{spoken(worst.signal)} does not fit {others}", check=check)


def spoken(role: str) -> str:
    """Return the role's name for a person: without its unit, blanks between the words."""
    return role.removesuffix(ending_of(role)).replace("_", " ")


def match(signature: Signature, by_signal: Mapping[str, float]) -> float:
    """Return how well the residuals fit a signature, at most 1.

    The mean of its signs, each -1 (opposite) to 1 (beyond normal), times the share of all
    deviation that they explain.

    Args:
        signature: All its signals are explained ones.
        by_signal: Smoothed residuals in standard deviations, by explained signal; not all 0.
    """
    present = sum(_sign(by_signal[signal], way) for signal, way in signature.signs)
    explained = sum(max(way * by_signal[signal], 0.0) for signal, way in signature.signs)
    total = sum(abs(size) for size in by_signal.values())
    return present / len(signature.signs) * explained / total


def _sign(size: float, way: int) -> float:
    return float(np.clip(way * size / NORMAL_SIGMAS, -1.0, 1.0))

"""Scores of process monitoring: detection rate, false alarms and delay after a known moment."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from gateway.core.arrays import BoolArray

CONFIRM_ROWS: Final = 6
"""A fault is detected at the first of so many alarm rows in a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionScore:
    """One recording with a fault from a known row on."""

    detected_percent: float
    """Of the faulty rows, those in alarm; NaN without any."""
    false_percent: float
    """Of the rows before, those in alarm; NaN without any."""
    delay_rows: int | None
    """From the fault to the first of six alarm rows in a row; None when it is not detected."""


def detection_score(alarm: BoolArray, *, fault_row: int) -> DetectionScore:
    """Return how a fault that enters at a row is detected.

    Args:
        alarm: Shape (n,).
        fault_row: The first row with the fault.
    Source:
        Russell, Chiang and Braatz (2000), "Fault detection in industrial processes using canonical
        variate analysis and dynamic principal component analysis".
    """
    before, after = alarm[:fault_row], alarm[fault_row:]
    length = np.cumsum(np.append(0, after))
    is_sustained = length[CONFIRM_ROWS:] - length[:-CONFIRM_ROWS] == CONFIRM_ROWS
    return DetectionScore(
        detected_percent=100 * float(after.mean()) if len(after) else np.nan,
        false_percent=100 * float(before.mean()) if len(before) else np.nan,
        delay_rows=int(np.argmax(is_sustained)) if is_sustained.any() else None,
    )

"""The pace of a recording: its gaps, and another time between its rows."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from gateway.core.arrays import FloatArray, TimeArray, frozen
from gateway.recordings.reading import Recording

GAP_PERIODS: Final = 5.0
"""Rows further apart than so many usual times are two stretches."""

_NS_PER_S: Final = 1_000_000_000
_TIME: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h)")
_SECONDS: Final[Mapping[str, float]] = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}


def seconds_of(text: str) -> float | None:
    """Return a time such as `1s`, `500ms`, `2min` or `1h` in seconds, above 0; None if it is none.

    A number alone counts in seconds.
    """
    found = _TIME.fullmatch(text.strip()) or _TIME.fullmatch(f"{text.strip()}s")
    if found is None:
        return None
    seconds = float(found[1]) * _SECONDS[found[2]]
    return seconds if seconds > 0.0 else None


def without_gaps(time_ns: TimeArray, value: FloatArray, *, period_s: float) -> list[FloatArray]:
    """Return the stretches of rows (n, m) between gaps and steps back in time, in their order.

    Rows at the time of the row before them are left out, as the running service does.
    """
    step_ns = np.diff(time_ns, prepend=time_ns[:1] - 1)
    is_new = step_ns != 0
    times, rows = time_ns[is_new], value[is_new]
    steps = np.diff(times)
    cuts = np.flatnonzero((steps > GAP_PERIODS * period_s * _NS_PER_S) | (steps < 0)) + 1
    return np.split(rows, cuts)


def period_means(
    time_ns: TimeArray, value: FloatArray, *, period_s: float
) -> tuple[TimeArray, FloatArray]:
    """Return the time and the mean of each column (r, m) over each period that has rows.

    NaN where a column has no number in a period. A mean carries the end of its period: it is known
    only then.
    """
    period_ns = round(period_s * _NS_PER_S)
    places, inverse = np.unique(time_ns // period_ns, return_inverse=True)
    known = np.isfinite(value)
    sums = np.zeros((len(places), value.shape[1]))
    counts = np.zeros(sums.shape)
    np.add.at(sums, inverse, np.where(known, value, 0.0))
    np.add.at(counts, inverse, known)
    mean = np.where(counts > 0, sums / np.maximum(counts, 1.0), np.nan)
    return (places + 1) * period_ns, mean


def resampled(recording: Recording, period_s: float) -> Recording:
    """Return the means over each period of a recording."""
    time_ns, mean = period_means(recording.time_ns, recording.value, period_s=period_s)
    return replace(recording, time_ns=frozen(time_ns), value=frozen(mean))

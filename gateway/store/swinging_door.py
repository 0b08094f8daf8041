"""Swinging door trending: which samples a straight line between their neighbours replaces.

From a kept sample, the *pivot*, two doors swing open: the steepest and the flattest line that pass
within the error of every sample since. A sample that lies between the doors may be the other end
of a line; the first one that does not makes its predecessor the next pivot.

Source: E. H. Bristol (1990), "Swinging door trending: adaptive trend recording?", ISA National
Conference Proceedings, 749-754; US patent 4,669,097 (expired). There a segment lasts until the
doors are parallel, and the line drawn at last may miss samples by twice the error. Here it ends
before a sample outside of the doors, so that the error is never exceeded, at a few more samples.

All runs are walked abreast, one sample of each at a time, so that the loop is as long as the
longest run; runs are cut for that.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.core.arrays import BoolArray, FloatArray, IndexArray, StatusArray, TimeArray

RUN_SAMPLES_MAX: Final = 256
"""A longer run is cut into parts that share an end; so at least one sample in 255 is kept."""

_STEP_NS_MAX: Final = 1 << 53
"""A hundred days between two samples end a run; so time differences never overflow."""
_VALUE_MAX: Final = 1e300
"""Larger values are kept, and so is NaN: a difference of two others never overflows."""
_ROUNDING: Final = 1e-9
"""Part of the error that is left for rounding when the line is drawn again."""


def swinging_door(
    series: IndexArray,
    time_ns: TimeArray,
    value: FloatArray,
    status: StatusArray,
    *,
    is_fixed: BoolArray,
    error: FloatArray,
) -> BoolArray:
    """Return which samples to keep so that the others lie on lines between them.

    A *run* is a stretch of one series with rising times and one status code, without a fixed
    sample. Its first and last sample are kept, and all that are in no run: fixed ones, NaN,
    infinities, those of equal times. So nothing is drawn across a change of quality.

    Args:
        series: Which series each sample belongs to, shape (n,); those of one series stand
            together, in the order they came in.
        time_ns: UTC, shape (n,), any order.
        value: Shape (n,).
        status: OPC UA status codes, shape (n,).
        is_fixed: Which samples must be kept, shape (n,); nothing is drawn across them either.
        error: In the unit of the value, not negative, shape (n,): a removed sample is missed by
            at most so much by the line between the kept ones before and after it in its run.
    Returns:
        Shape (n,).
    Source:
        See above.
    """
    first, last = _parts(_run_starts(series, time_ns, value, status, is_fixed), len(value))
    is_kept = np.zeros(len(value), dtype=np.bool_)
    is_kept[first] = True
    is_kept[last] = True
    length = last - first
    order = np.argsort(-length, kind="stable")
    order = order[length[order] > 1]
    if len(order):
        allowed = error[first[order]] * (1 - _ROUNDING)
        _walk(first[order], length[order], time_ns, value, allowed, is_kept)
    return is_kept


def _run_starts(
    series: IndexArray,
    time_ns: TimeArray,
    value: FloatArray,
    status: StatusArray,
    is_fixed: BoolArray,
) -> NDArray[np.intp]:
    """Return where each run begins; a sample that is in none is one of its own."""
    is_alone = is_fixed | ~(np.abs(value) < _VALUE_MAX)
    step_ns = np.diff(time_ns)
    is_start = np.ones(len(value), dtype=np.bool_)
    is_start[1:] = (
        (series[1:] != series[:-1])
        | (status[1:] != status[:-1])
        | is_alone[1:]
        | is_alone[:-1]
        | (time_ns[1:] <= time_ns[:-1])
        # Where the difference is beyond 64 bits it comes out negative.
        | (step_ns <= 0)
        | (step_ns > _STEP_NS_MAX)
    )
    return np.flatnonzero(is_start)


def _parts(starts: NDArray[np.intp], count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first and the last sample of each part of the runs."""
    last = np.append(starts[1:], count) - 1 if len(starts) else starts
    step = RUN_SAMPLES_MAX - 1
    part_count = np.maximum(-((starts - last) // step), 1)
    ends = np.cumsum(part_count)
    number = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - part_count, part_count)
    first = np.repeat(starts, part_count) + number * step
    return first, np.minimum(first + step, np.repeat(last, part_count))


def _walk(
    first: NDArray[np.intp],
    length: NDArray[np.intp],
    time_ns: TimeArray,
    value: FloatArray,
    error: FloatArray,
    is_kept: BoolArray,
) -> None:
    """Mark the pivots of all parts; the longest part comes first."""
    pivot = first.copy()
    low = np.full(len(first), -np.inf)
    high = np.full(len(first), np.inf)
    counts = np.searchsorted(-length, -np.arange(int(length[0]) + 1), side="right")
    for step in range(1, int(length[0]) + 1):
        # Parts that are this long; the others are at their end.
        count = int(counts[step])
        place = first[:count] + step
        rise = value[place] - value[pivot[:count]]
        duration = (time_ns[place] - time_ns[pivot[:count]]).astype(np.float64)
        slope = rise / duration
        is_outside = ~((slope >= low[:count]) & (slope <= high[:count]))
        if is_outside.any():
            outside = np.flatnonzero(is_outside)
            place_before = place[outside] - 1
            is_kept[place_before] = True
            pivot[outside] = place_before
            low[outside], high[outside] = -np.inf, np.inf
            rise[outside] = value[place[outside]] - value[place_before]
            duration[outside] = time_ns[place[outside]] - time_ns[place_before]
        np.maximum(low[:count], (rise - error[:count]) / duration, out=low[:count])
        np.minimum(high[:count], (rise + error[:count]) / duration, out=high[:count])

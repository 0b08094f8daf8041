"""Thinning: undelivered samples become fewer, within a stated error, before any are dropped.

A sealed block is decoded, the samples that a line between their neighbours replaces are taken out
(`swinging_door.py`), and what is left becomes the block in its place, at the same positions; a
frame with no sample left is left out. Only raw samples that a reader lacks are taken out; what the
gateway states and computes stays whole.

The error is in percent of a tag's range; of a tag without one, in percent of what its values span
in the block. A tag with few small whole numbers is a state or a switch: it keeps every change. As
the pressure rises the error grows in stages. How far a block was thinned stands in the table
`thinned`; thinning again adds up, so a stage allows what the stages before have left of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.core.arrays import BoolArray, FloatArray, IndexArray, TimeArray
from gateway.core.cursors import Cursor
from gateway.core.frame import Frame
from gateway.core.tags import TagTable
from gateway.store.loss import is_lacked
from gateway.store.settings import LogSettings
from gateway.store.swinging_door import swinging_door
from gateway.wire.stored_frame import StoredFrame

STAGES: Final = (1.0, 4.0, 16.0)
"""Multiples of `thin_error_percent`, none above `thin_error_percent_max`."""
STATES_MAX: Final = 8
"""A tag with at most so many different values in a block, all of them small whole numbers, is a
state."""
STATE_VALUE_MAX: Final = 255.0
"""Largest small whole number."""


_GAIN: Final = 4.0
"""A plant of walks, noise, steps, switches and constants (`tests/outage.py`) takes 4.5 times less
at 0.5 % of the range, 8 times at 5 %; this is for what is less tame."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Thinned:
    """What thinning makes of a block."""

    frames: tuple[StoredFrame, ...]
    """Those that have a sample left."""
    tag_index: IndexArray
    """Tag of each sample taken out, shape (n,)."""
    time_ns: TimeArray
    """Time of each, UTC, shape (n,)."""


def error_stages(settings: LogSettings) -> tuple[float, ...]:
    """Return the errors in percent that blocks are thinned to one after the other."""
    bounded = {
        min(stage * settings.thin_error_percent, settings.thin_error_percent_max)
        for stage in STAGES
    }
    return tuple(sorted(bounded - {0.0}))


def expected_gain(settings: LogSettings) -> float:
    """Return how many times longer the backlog lasts with thinning, as an estimate; at least 1."""
    return _GAIN if error_stages(settings) else 1.0


def thin_frames(
    frames: Sequence[StoredFrame],
    table: TagTable,
    *,
    readers: Sequence[Cursor],
    error_percent: float,
) -> Thinned:
    """Take out what lies on lines between neighbours.

    Args:
        frames: Of one block, at least one, in the order of the log.
        table: Of their tags.
        readers: Samples that all of them have stay, and are no loss.
        error_percent: Of a tag's range, added to what the samples missed before.
    """
    sizes = [len(stored.frame) for stored in frames]
    tag_index = np.concatenate([stored.frame.tag_index for stored in frames])
    time_ns = np.concatenate([stored.frame.time_ns for stored in frames])
    is_fixed = np.repeat([not is_lacked(stored, readers) for stored in frames], sizes)
    order = np.argsort(tag_index, kind="stable")
    series = tag_index[order]
    value = np.concatenate([stored.frame.value for stored in frames])[order]
    kept_in_order = swinging_door(
        series,
        time_ns[order],
        value,
        np.concatenate([stored.frame.status for stored in frames])[order],
        is_fixed=is_fixed[order],
        error=allowed_errors(series, value, table, error_percent=error_percent),
    )
    is_kept = np.empty_like(kept_in_order)
    is_kept[order] = kept_in_order
    left = (
        _with(stored, mask)
        for stored, mask in zip(frames, np.split(is_kept, np.cumsum(sizes)[:-1]), strict=True)
        if mask.any() or len(mask) == 0
    )
    return Thinned(frames=tuple(left), tag_index=tag_index[~is_kept], time_ns=time_ns[~is_kept])


def allowed_errors(
    series: IndexArray, value: FloatArray, table: TagTable, *, error_percent: float
) -> FloatArray:
    """Return by how much the samples of each tag may be missed.

    Args:
        series: Position of each sample's tag in the table, ascending, shape (n,).
        value: Shape (n,); NaN and infinities do not count.
        table: Of the tags.
        error_percent: Of the tag's range.
    Returns:
        In the unit of the value, shape (n,).
    """
    tags, starts, counts = np.unique(series, return_index=True, return_counts=True)
    if len(tags) == 0:
        return np.zeros(0)
    is_finite = np.isfinite(value)
    # A range of more than float64 holds comes out infinite, and then nothing is allowed.
    with np.errstate(over="ignore", invalid="ignore"):
        span = np.maximum.reduceat(np.where(is_finite, value, -np.inf), starts)
        span = span - np.minimum.reduceat(np.where(is_finite, value, np.inf), starts)
        width = table.high[tags] - table.low[tags]
        width = np.where(np.isfinite(width), width, span)
        allowed = error_percent / 100 * np.where(np.isfinite(width), width, 0.0)
    allowed[_are_states(value, is_finite, starts, counts)] = 0.0
    return np.repeat(allowed, counts)


def _are_states(
    value: FloatArray,
    is_finite: BoolArray,
    starts: NDArray[np.intp],
    counts: NDArray[np.intp],
) -> BoolArray:
    """Return which tags have few different values, all of them small whole numbers."""
    is_small = (value >= 0) & (value <= STATE_VALUE_MAX) & (value == np.floor(value))
    is_whole = np.logical_and.reduceat(is_small | ~is_finite, starts)
    tag_of = np.repeat(np.arange(len(starts)), counts)
    chosen = is_whole[tag_of] & is_finite
    size = int(STATE_VALUE_MAX) + 1
    different = np.unique(tag_of[chosen] * size + value[chosen].astype(np.int64))
    return is_whole & (np.bincount(different // size, minlength=len(starts)) <= STATES_MAX)


def _with(stored: StoredFrame, mask: BoolArray) -> StoredFrame:
    if mask.all():
        return stored
    frame: Frame = stored.frame.where(mask)
    return StoredFrame(boot=stored.boot, seq=stored.seq, kind=stored.kind, frame=frame)

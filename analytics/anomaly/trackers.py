"""The univariate detector: says of each tag, alone, that something new began.

Two things are told of every value. *Novelty*: how far the present of the tag is from all that it
has done (`memory`), over the distance that it exceeds in a stated share of its rows
(`surprise.RunningLimit`); it stays above 1 as long as the new lasts, and falls as it becomes usual.
*Event*: the novelty in the one row where it begins or grows (`surprise.EventGate`), else 0. The
default for a recording of one tag is the event. Where many tags are fused, the event of the asset
is the largest of its tags, over `tag_margin`, which keeps its false-alarm rate that of one tag: as
Bonferroni's correction does, but measured, since tags are not independent.

It goes on learning: what lasts, returns or repeats is soon no longer new. A fault that must stay
visible is a matter of the charts (`charts`) and the statistics over all tags.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.anomaly.memory import (
    BANDS,
    FEATURES,
    POINT_COUNT_MIN,
    MemoryModel,
    NoveltyMemory,
)
from analytics.anomaly.surprise import EventGate, RunningLimit
from gateway.core.arrays import BoolArray, FloatArray, frozen

DISTANCE_FLOOR: Final = 1e-3
"""Least distance whose logarithm is taken, in trained spreads."""
LOG_LIMIT_MIN: Final = float(np.log(0.3))
"""Logarithm of the least distance that can be an event: 0.3 trained spreads."""
# As arrays: a number of Python is converted anew in each call.
_SQUARE_FLOOR, _HALF = np.array([DISTANCE_FLOOR**2]), np.array([0.5])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackerModel:
    """What a training found for m columns; the arrays are read-only."""

    memory: MemoryModel
    """What was seen."""
    log_limit: FloatArray
    """Logarithm of the distance that is novel, shape (m,)."""
    rate: float
    """Share of the rows that may be novel, 0 to 1."""
    tag_margin: float
    """What the largest novelty of the m columns exceeds in that share of the rows, at least 1."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tracked:
    """What one row is to each column; 1 is the limit, NaN where the value is not usable."""

    novelty: FloatArray
    """Stays on while the new is new, shape (n, m)."""
    event: FloatArray
    """The novelty where it begins or grows, else 0, shape (n, m)."""


class TagTracker:
    """The univariate detector for n assets of m columns."""

    def __init__(self, model: TrackerModel, *, asset_count: int) -> None:
        """Begin with what the training saw.

        Args:
            model: For the m columns of one asset.
            asset_count: n.
        """
        self._shape = (asset_count, len(model.log_limit))
        self._memory = NoveltyMemory(model.memory, asset_count=asset_count)
        self._limit = RunningLimit(
            log_limit=np.tile(model.log_limit, asset_count),
            log_limit_min=LOG_LIMIT_MIN,
            rate=model.rate,
        )
        self._gate = EventGate(column_count=self._limit.log_limit.size)

    def update(self, value: FloatArray, usable: BoolArray) -> Tracked:
        """Take in one row of each asset; later rows must be later in time.

        Args:
            value: In the columns' units, shape (n, m).
            usable: Which values count, shape (n, m); those are finite.
        """
        flat = None if np.count_nonzero(usable) == usable.size else usable.ravel()
        squared = self._memory.update(value.ravel(), flat)
        squared += _SQUARE_FLOOR
        log_distance = np.log(squared)
        log_distance *= _HALF
        excess = self._limit.update(log_distance, flat)
        passes = self._gate.update(excess, flat)
        novelty = np.exp(excess)
        event = novelty * passes
        if flat is not None:
            novelty[~flat], event[~flat] = np.nan, np.nan
        return Tracked(novelty=novelty.reshape(self._shape), event=event.reshape(self._shape))

    def checkpoint(self) -> tuple[FloatArray, ...]:
        """Return copies of all that was learnt, in a fixed order."""
        return tuple(array.copy() for array in self._arrays())

    def restore(self, checkpoint: tuple[FloatArray, ...]) -> None:
        """Go on from a checkpoint.

        Raises:
            ValueError: it belongs to other columns or assets; the state is unchanged.
        """
        arrays = self._arrays()
        here, there = [a.shape for a in arrays], [a.shape for a in checkpoint]
        if here != there:
            raise ValueError(
                f"the checkpoint of the trackers has the shapes {there}, here they are {here}"
            )
        for array, saved in zip(arrays, checkpoint, strict=True):
            np.copyto(array, saved)
        self._memory.resume()

    def _arrays(self) -> tuple[FloatArray, ...]:
        return (*self._memory.arrays(), self._limit.log_limit, self._gate.log_least)


def tracker_arrays(model: TrackerModel) -> dict[str, FloatArray]:
    """Return the model as named arrays, as a file holds them; `tracker_of` makes it again."""
    memory = model.memory
    return {
        "level": memory.level,
        "spread": memory.spread,
        "points": memory.points,
        "last_met": memory.last_met,
        "log_limit": model.log_limit,
        "rate": np.array([model.rate]),
        "tag_margin": np.array([model.tag_margin]),
    }


def tracker_of(arrays: Mapping[str, FloatArray]) -> TrackerModel:
    """Return the model that these arrays hold.

    Raises:
        ValueError: one is missing, or they do not belong together; says which.
    """
    missing = [name for name in _SHAPES if name not in arrays]
    if missing:
        raise ValueError(f"the arrays of a tracker lack {', '.join(missing)}")
    taken = {name: np.array(arrays[name], dtype=np.float64) for name in _SHAPES}
    sizes = {"m": taken["level"].size, "P": taken["last_met"].shape[-1]}
    for name, wanted in _SHAPES.items():
        shape = tuple(sizes[size] if isinstance(size, str) else size for size in wanted)
        if taken[name].shape != shape or not np.isfinite(taken[name]).all():
            raise ValueError(
                f"{name} of a tracker has shape {taken[name].shape}, finite {shape} is needed"
            )
    rate, tag_margin = float(taken["rate"][0]), float(taken["tag_margin"][0])
    is_sound = (taken["spread"] > 0).all() and 0 < rate < 1 and tag_margin >= 1
    if not is_sound or sizes["P"] < POINT_COUNT_MIN:
        raise ValueError(
            "a tracker needs spreads above 0, a rate in 0 to 1, a margin of at least 1, two points"
        )
    return TrackerModel(
        memory=MemoryModel(
            level=frozen(taken["level"]),
            spread=frozen(taken["spread"]),
            points=frozen(taken["points"]),
            last_met=frozen(taken["last_met"]),
        ),
        log_limit=frozen(taken["log_limit"]),
        rate=rate,
        tag_margin=tag_margin,
    )


_SHAPES: Final[Mapping[str, tuple[str | int, ...]]] = {
    "level": ("m",),
    "spread": ("m", BANDS),
    "points": ("m", "P", FEATURES + 1),
    "last_met": ("m", "P"),
    "log_limit": ("m",),
    "rate": (1,),
    "tag_margin": (1,),
}


def asset_event(event: FloatArray, *, margin: float) -> tuple[FloatArray, FloatArray]:
    """Return the event of each asset, shape (n,), and what each column adds, shape (n, m).

    Args:
        event: Of each column, shape (n, m); NaN counts as none.
        margin: `TrackerModel.tag_margin`.
    """
    clean = np.where(np.isfinite(event), event, 0.0)
    part: FloatArray = clean / margin
    return part.max(axis=1, initial=0.0), part

"""The remaining life of each asset of one type, row by row.

Theory. A model that has seen lives to their end reads the window statistics of an asset and tells
how much is left, at most its cap: further ahead, nothing shows. The interval around it comes from
errors on lives that the model had not seen. While it reaches the cap, the asset cannot be told
from a healthy one, and the figure is not *known*: the remaining life is at least the lower end
(ISO 13381-1: a prognosis needs a significant trend). It is known when the interval stays below the
cap for several rows.

There is no figure at all where a row is no evidence: too few rows yet, an input that is Bad, an
operating condition that the training never saw, a time that does not rise.
"""

import json
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.prognosis.conditions import Conditions
from analytics.prognosis.conformal import Intervals
from analytics.prognosis.onset import Onset
from analytics.prognosis.window_statistics import WindowStatistics
from analytics.runtime import Session
from gateway.core.arrays import BoolArray, Float32Array, FloatArray, frozen
from gateway.core.errors import ModelError
from gateway.core.rul_manifest import RulManifest

STATISTICS: Final = "statistics"
LIFE: Final = "life"
"""Names in the graph; see `RulManifest`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lives:
    """Remaining lives in the model's time unit, shape (r,) each; NaN where there is no figure."""

    rul: FloatArray
    low: FloatArray
    high: FloatArray
    """At the cap it means: this much or more."""
    is_known: BoolArray
    """Whether wear shows; if not, `low` holds and `rul` is no more than a guess."""

    def __post_init__(self) -> None:
        """Switch writing off."""
        for array in (self.rul, self.low, self.high, self.is_known):
            frozen(array)


class RemainingLife:
    """Estimates the remaining life of n assets; the state of each is bounded."""

    def __init__(self, manifest: RulManifest, model: bytes, *, asset_count: int) -> None:
        """Load a model and begin with assets that are as new.

        Args:
            manifest: Of the bundle.
            model: Its graph.
            asset_count: n.
        Raises:
            ModelError: the graph does not load, or is not one of this manifest.
        """
        self._manifest = manifest
        self._conditions = conditions_of(manifest)
        self._intervals = Intervals(
            at=np.array(manifest.intervals.at),
            below=np.array(manifest.intervals.below),
            above=np.array(manifest.intervals.above),
        )
        self._statistics = WindowStatistics(
            asset_count=asset_count,
            column_count=len(manifest.conditions.measured),
            windows=np.array(manifest.windows),
            period=manifest.period,
        )
        self._onset = Onset(asset_count)
        self._session = Session(model)
        if set(self._session.inputs) != {STATISTICS} or LIFE not in self._session.outputs:
            raise ModelError(
                f"the model has inputs {list(self._session.inputs)} and outputs "
                f"{list(self._session.outputs)}, not {STATISTICS} and {LIFE}"
            )
        # The shapes that a graph declares may be missing or wrong; what it returns counts.
        self._shares(np.zeros((1, self._statistics.size), dtype=np.float32))

    @property
    def manifest(self) -> RulManifest:
        """What the model says of itself."""
        return self._manifest

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows taken in of each asset since it was new, shape (n,)."""
        return self._statistics.rows

    def update(self, at: NDArray[np.intp], time: FloatArray, rows: FloatArray) -> Lives:
        """Take in one row of each of some assets, in one call of the model.

        Args:
            at: Which assets, each once, shape (r,).
            time: In the model's time unit, shape (r,); a row that is not later than the last one
                of its asset is ignored.
            rows: In the order of the manifest's columns, shape (r, m); NaN where Bad.
        Raises:
            ModelError: the model fails, or does not give one number a row.
        """
        steps, is_usable = self._conditions.standardise(rows)
        is_usable &= ~(time <= self._statistics.newest[at])
        if len(at) and is_usable.all():
            return self._estimate(at, time, steps)
        rul, low, high = np.full((3, len(at)), np.nan)
        is_known = np.zeros(len(at), dtype=np.bool_)
        if is_usable.any():
            part = self._estimate(at[is_usable], time[is_usable], steps[is_usable])
            rul[is_usable], low[is_usable], high[is_usable] = part.rul, part.low, part.high
            is_known[is_usable] = part.is_known
        return Lives(rul=rul, low=low, high=high, is_known=is_known)

    def forget(self, is_new: BoolArray) -> None:
        """Begin anew with some assets: they were repaired, or replaced by others.

        Args:
            is_new: Shape (n,).
        """
        self._statistics.forget(is_new)
        self._onset.forget(is_new)

    def rebase(self, shift: float) -> None:
        """Move every remembered time, in the model's time unit: the clock was set."""
        self._statistics.began += shift
        self._statistics.newest += shift

    def checkpoint(self) -> bytes:
        """Return all that `restore` needs to go on exactly from here."""
        past = self._statistics
        content = {
            "configuration": self._configuration(),
            "mean": past.mean.tolist(),
            "weight": past.weight.tolist(),
            # JSON knows no NaN.
            "began": [None if np.isnan(each) else each for each in past.began.tolist()],
            "newest": [None if np.isnan(each) else each for each in past.newest.tolist()],
            "rows": past.rows.tolist(),
            "count": self._onset.count.tolist(),
            "is_on": self._onset.is_on.tolist(),
        }
        return json.dumps(content).encode()

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint.

        Raises:
            ValueError: it was made with another model or other assets; the state is unchanged.
        """
        content = json.loads(checkpoint)
        if content["configuration"] != self._configuration():
            raise ValueError("the checkpoint of the remaining life belongs to another model")
        past = self._statistics
        past.mean[:] = content["mean"]
        past.weight[:] = content["weight"]
        past.began[:] = np.array(content["began"], dtype=np.float64)
        past.newest[:] = np.array(content["newest"], dtype=np.float64)
        past.rows[:] = content["rows"]
        self._onset.count[:] = content["count"]
        self._onset.is_on[:] = content["is_on"]

    def _estimate(self, at: NDArray[np.intp], time: FloatArray, steps: Float32Array) -> Lives:
        cap = self._manifest.cap
        shares = self._shares(self._statistics.take(at, time, steps))
        rul = np.minimum(np.maximum(shares * cap, 0.0), cap)
        low, high = self._intervals.around(rul)
        low, high = np.maximum(low, 0.0), np.minimum(high, cap)
        is_known = self._onset.take(at, high < cap)
        is_young = self._statistics.rows[at] < self._manifest.rows_min
        if is_young.any():
            rul[is_young] = low[is_young] = high[is_young] = np.nan
            is_known &= ~is_young
        return Lives(rul=rul, low=low, high=high, is_known=is_known)

    def _shares(self, statistics: Float32Array) -> FloatArray:
        life = self._session.run({STATISTICS: statistics})[LIFE]
        if life.shape != statistics.shape[:1]:
            raise ModelError(
                f"the model returns lives of shape {life.shape} for {len(statistics)} rows"
            )
        if not np.isfinite(life).all():
            raise ModelError("the model returns a remaining life that is no number")
        return life.astype(np.float64)

    def _configuration(self) -> list[object]:
        return [
            self._manifest.name,
            self._manifest.version,
            self._manifest.training_sha256,
            len(self._statistics.rows),
        ]


def conditions_of(manifest: RulManifest) -> Conditions:
    """Return the operating conditions that a manifest holds."""
    table = manifest.conditions
    spread = np.array(table.spread)
    return Conditions(
        selecting=np.array(table.selecting, dtype=np.intp),
        levels=np.array(table.levels, dtype=np.float64).reshape(len(table.levels), -1),
        tolerance=np.array(table.tolerance, dtype=np.float64),
        measured=np.array(table.measured, dtype=np.intp),
        center=np.array(table.center),
        # JSON knows no infinity.
        spread=np.where(spread > 0, spread, np.inf),
    )

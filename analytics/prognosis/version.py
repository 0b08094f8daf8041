"""One version of a model of remaining life at work: its rows, its figures, its promises.

A model has learnt from rows that came at its period. A twin's rows may come much more often; of
those one a period is taken, so that noise, waiting times and the onset's rows mean here what they
meant in the training. In between, the last figure stands, for as long as the asset runs.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.model_input import OUT_OF_SERVICE, WAITING, model_input, places_of
from analytics.prognosis.conformal import Coverage
from analytics.prognosis.promises import JudgedLife, Promises
from analytics.prognosis.remaining_life import Lives, RemainingLife
from gateway.core.arrays import BoolArray, FloatArray, StatusArray, frozen
from gateway.core.errors import ModelError
from gateway.core.models import CanaryReport
from gateway.core.quality import Status, is_bad
from gateway.core.rows import OperatingState, Rows
from gateway.core.rul_manifest import RulManifest
from gateway.wire.bundle import Bundle, read_bundle

NS_PER_HOUR: Final = 3.6e12
EARLY_SHARE: Final = 0.05
"""Share of the period by which a row may come too early, as rows of a twin may."""
CANARY_CALLS: Final = 200
"""Rows of each asset in the trial before a release: enough for a 99th percentile."""
CANARY_NS_MAX: Final = 1_000_000_000
"""A slow model is cut short, but not before it must have figures."""
CANARY_ROWS_MIN: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Figures:
    """What one version says at one instant; the arrays are read-only."""

    hours: FloatArray
    """Remaining life and the ends of its interval, shape (n, 3); NaN where the status is Bad."""
    status: StatusArray
    """Of each, shape (n, 3). Uncertain where a figure is a guess: all but the lower end while no
    wear shows, and an upper end at the cap, which means *or more*."""
    is_new: BoolArray
    """Assets of which a row was taken now, shape (n,)."""
    not_finite: BoolArray
    """Those of them on which the model broke, shape (n,)."""
    latency_ns: int
    """Time of the call of the model; 0 when none was due."""


def open_life_bundle(data: bytes) -> tuple[Bundle, RulManifest]:
    """Return a bundle and its manifest as that of a model of remaining life in hours.

    Raises:
        ModelError: the bundle is damaged, holds another kind of model, or counts no hours.
    """
    bundle = read_bundle(data)
    manifest = bundle.manifest
    if not isinstance(manifest, RulManifest):
        raise ModelError(f"{manifest.name} is a {manifest.kind} model, not one of remaining life")
    if manifest.time_unit != "hour":
        raise ModelError(
            f"{manifest.name} {manifest.version} counts {manifest.time_column!r}, and a gateway "
            "knows hours only: train it on a recording whose times are dates"
        )
    return bundle, manifest


def try_life(data: bytes, *, asset_count: int, monotonic_ns: Callable[[], int]) -> CanaryReport:
    """Run a bundle on rows at the middle of what it was trained on.

    It brings no cases of its own: what is found out is whether it gives numbers, and how fast.

    Args:
        data: The bytes of an `.ewm` file.
        asset_count: Rows in each call.
        monotonic_ns: Tells the time for the latency.
    Raises:
        ModelError: the bundle is damaged, or its graph does not run.
    """
    bundle, manifest = open_life_bundle(data)
    table = manifest.conditions
    row = np.zeros(len(manifest.columns))
    row[list(table.measured)] = table.center[0]
    row[list(table.selecting)] = table.levels[0]
    rows = np.tile(row, (asset_count, 1))
    model = RemainingLife(manifest, bundle.model, asset_count=asset_count)
    at = np.arange(asset_count)
    is_finite, latencies_ns = True, list[int]()
    calls_min = max(CANARY_ROWS_MIN, manifest.rows_min)
    for k in range(max(CANARY_CALLS, calls_min)):
        if k >= calls_min and sum(latencies_ns) > CANARY_NS_MAX:
            break
        started_ns = monotonic_ns()
        lives = model.update(at, np.full(asset_count, k * manifest.period), rows)
        latencies_ns.append(monotonic_ns() - started_ns)
        if k + 1 >= manifest.rows_min:
            is_finite &= bool(np.isfinite(lives.rul).all())
    return CanaryReport(
        fault_count=0,
        missed=(),
        latency_ms_p99=float(np.percentile(latencies_ns, 99)) / 1e6,
        is_finite=is_finite,
    )


class LifeVersion:
    """One version, loaded for the n assets of one type."""

    def __init__(
        self,
        data: bytes,
        *,
        columns: Sequence[str],
        asset_count: int,
        monotonic_ns: Callable[[], int],
    ) -> None:
        """Load a bundle.

        Args:
            data: The bytes of an `.ewm` file.
            columns: Columns of the rows that will come; the model may read some of them.
            asset_count: Rows that will come at each instant, n.
            monotonic_ns: Tells the time for measuring latency, and for nothing else.
        Raises:
            ModelError: it is damaged, counts no hours, or wants columns that are not there.
        """
        bundle, self.manifest = open_life_bundle(data)
        self._places = places_of(self.manifest.columns, columns, label=self.label)
        self.digest = sha256(data).hexdigest()
        """Of the bundle: tells its checkpoint from that of another one."""
        self.coverage = Coverage(told=self.manifest.intervals.level)
        """How often its intervals held the truth, as far as it is known."""
        self._model = RemainingLife(self.manifest, bundle.model, asset_count=asset_count)
        self._promises = Promises(asset_count, cap=self.manifest.cap)
        self._period_ns = round(self.manifest.period * NS_PER_HOUR)
        self._due_ns = np.zeros(asset_count, dtype=np.int64)
        self._hours = np.full((asset_count, 3), np.nan)
        self._status = np.full((asset_count, 3), WAITING)
        self._monotonic_ns = monotonic_ns

    @property
    def label(self) -> str:
        """Name and version for a person."""
        return f"{self.manifest.name} {self.manifest.version}"

    def take(self, rows: Rows) -> Figures:
        """Take in the rows of one instant, later than the last, in at most one call of the model.

        An asset that does not run has no figure, and its rows are no evidence.
        """
        given = model_input(rows, self._places)
        is_usable = given.is_usable & (rows.state == OperatingState.RUNNING)
        early_ns = round(EARLY_SHARE * self._period_ns)
        is_due = is_usable & (rows.time_ns >= self._due_ns - early_ns)
        not_finite = np.zeros(len(is_due), dtype=np.bool_)
        at, latency_ns = np.flatnonzero(is_due), 0
        if len(at):
            latency_ns = self._estimate(
                at, rows.time_ns, given.value[at], given.worst[at], not_finite
            )
        reason = given.why_none()
        told = np.where(is_usable[:, np.newaxis], self._status, reason[:, np.newaxis])
        return Figures(
            hours=frozen(np.where(is_bad(told), np.nan, self._hours)),
            status=frozen(told),
            is_new=frozen(is_due),
            not_finite=frozen(not_finite),
            latency_ns=latency_ns,
        )

    def judge(self, position: int, *, end_ns: int) -> JudgedLife | None:
        """Count how its promises of an asset did whose life ended; None when there were none."""
        judged = self._promises.judge(position, end=end_ns / NS_PER_HOUR)
        if judged is not None:
            self.coverage = self.coverage.with_failure(
                low=judged.low, high=judged.high, truth=judged.truth
            )
        return judged

    def forget(self, position: int) -> None:
        """Begin anew with an asset: it was repaired, or replaced."""
        is_new = np.zeros(len(self._due_ns), dtype=np.bool_)
        is_new[position] = True
        self._model.forget(is_new)
        self._promises.forget(position)
        self._due_ns[position] = 0
        self._hours[position], self._status[position] = np.nan, WAITING

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set."""
        self._model.rebase(shift_ns / NS_PER_HOUR)
        self._promises.rebase(shift_ns / NS_PER_HOUR)
        self._due_ns[self._due_ns > 0] += shift_ns

    def checkpoint(self) -> str:
        """Return all that `restore` needs to go on exactly from here, as text."""
        return json.dumps(
            {
                "model": self._model.checkpoint().decode(),
                "promises": list(self._promises.save().items()),
                "coverage": [self.coverage.count, self.coverage.held],
                "due_ns": self._due_ns.tolist(),
                "hours": self._hours.tolist(),
                "status": self._status.tolist(),
            }
        )

    def restore(self, checkpoint: str) -> None:
        """Go on from a checkpoint of the same version for as many assets."""
        content = json.loads(checkpoint)
        self._model.restore(content["model"].encode())
        self._promises.load(dict(content["promises"]))
        count, held = content["coverage"]
        self.coverage = Coverage(told=self.coverage.told, count=count, held=held)
        self._due_ns[:] = content["due_ns"]
        self._hours[:] = np.array(content["hours"], dtype=np.float64)
        self._status[:] = content["status"]

    def _estimate(
        self,
        at: NDArray[np.intp],
        time_ns: int,
        value: FloatArray,
        worst: StatusArray,
        not_finite: BoolArray,
    ) -> int:
        """Take in rows that are due and note what they give; returns the latency."""
        before = self._model.rows[at]
        time = time_ns / NS_PER_HOUR
        started_ns = self._monotonic_ns()
        try:
            lives = self._model.update(at, np.full(len(at), time), value)
        except ModelError:
            # A graph that breaks on a row gave no number: the rules of the rollout see to it.
            lives = None
        latency_ns = self._monotonic_ns() - started_ns
        is_taken = self._model.rows[at] > before
        # Kept to the period, and not to what is left of it when rows come a little early.
        due_ns = self._due_ns[at] + self._period_ns
        due_ns = np.where(due_ns > time_ns, due_ns, time_ns + self._period_ns)
        self._due_ns[at] = np.where(is_taken, due_ns, self._due_ns[at])
        if lives is None:
            not_finite[at] = is_taken
            self._hours[at] = np.nan
            self._status[at] = np.uint32(Status.BAD_UNEXPECTED_ERROR)
            return latency_ns
        self._hours[at] = np.column_stack((lives.rul, lives.low, lives.high))
        self._status[at] = _status_of(lives, worst, is_taken, cap=self.manifest.cap)
        known = lives.is_known
        self._promises.note(at[known], time, lives.low[known], lives.high[known])
        return latency_ns


_UNCERTAIN: Final = np.uint32(Status.UNCERTAIN)


def _status_of(lives: Lives, worst: StatusArray, is_taken: BoolArray, *, cap: float) -> StatusArray:
    """Return the status of each figure, shape (r, 3).

    No figure: a young asset waits for rows, and one whose row was not taken runs in a condition
    that the training never saw.
    """
    guess = np.maximum(worst, _UNCERTAIN)
    status = np.column_stack(
        (
            np.where(lives.is_known, worst, guess),
            worst,
            np.where(lives.is_known & (lives.high < cap), worst, guess),
        )
    )
    reason = np.where(is_taken, WAITING, OUT_OF_SERVICE)
    return np.where(np.isnan(lives.rul)[:, np.newaxis], reason[:, np.newaxis], status)

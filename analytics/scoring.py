"""One version of an anomaly model at work: its engine, its columns, its states."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from analytics.anomaly.averaging_engine import AveragingEngine
from analytics.anomaly.engine import Assessed
from analytics.anomaly.engines import open_engine
from analytics.model_input import model_input, places_of
from gateway.core.arrays import BoolArray, FloatArray, IndexArray, StatusArray, frozen
from gateway.core.errors import ModelError
from gateway.core.manifest import AnomalyManifest
from gateway.core.quality import Status
from gateway.core.rows import OperatingState, Rows
from gateway.wire.bundle import Bundle, read_bundle

ALARM_SCORE = 1.0
"""A score above it is anomalous: scores are over their calibrated threshold."""

_BROKEN = np.uint32(Status.BAD_UNEXPECTED_ERROR)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """What one version says of the rows of one instant; the arrays are read-only."""

    value: FloatArray
    """Score averaged over time, shape (n,); NaN exactly where the status is Bad."""
    status: StatusArray
    """As good as the worst column that the model reads, shape (n,)."""
    is_covered: BoolArray
    """Rows that the model should be able to score: known inputs that are no longer being learnt,
    in a state it was trained for."""
    is_begun: BoolArray
    """Rows with one before them in the average: a first row can never alarm, shape (n,)."""
    latency_ns: int
    """Time of the call of the model."""

    @property
    def alarms(self) -> BoolArray:
        """Rows that are anomalous, shape (n,)."""
        return self.value > ALARM_SCORE

    @property
    def not_finite(self) -> BoolArray:
        """Rows for which the model should have given a number and gave none, shape (n,)."""
        return self.is_covered & np.isnan(self.value)


def open_bundle(data: bytes) -> tuple[Bundle, AnomalyManifest]:
    """Return a bundle and its manifest as that of an anomaly model.

    Raises:
        ModelError: the bundle is damaged, or holds another kind of model.
    """
    bundle = read_bundle(data)
    if not isinstance(bundle.manifest, AnomalyManifest):
        raise ModelError(f"{bundle.manifest.name} is a {bundle.manifest.kind} model")
    return bundle, bundle.manifest


class Scoring:
    """One version, loaded for the assets of one type."""

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
            ModelError: it is damaged, or wants columns that are not there.
        """
        bundle, self.manifest = open_bundle(data)
        self._places = places_of(self.manifest.columns, columns, label=self.label)
        self.digest = sha256(data).hexdigest()
        self._is_covered_state: BoolArray = np.array(
            [state.name.lower() in self.manifest.states for state in OperatingState]
        )
        engine = open_engine(bundle.model, self.manifest, asset_count=asset_count)
        if self.manifest.is_averaged:
            engine = AveragingEngine(
                engine,
                period_s=self.manifest.period_s,
                asset_count=asset_count,
                column_count=len(self.manifest.columns),
            )
        self._engine = engine
        self._monotonic_ns = monotonic_ns

    @property
    def column_places(self) -> IndexArray:
        """Where the model's columns stand among those of the rows, shape (m,)."""
        return self._places

    @property
    def label(self) -> str:
        """Name and version for a person."""
        return f"{self.manifest.name} {self.manifest.version}"

    def score(self, rows: Rows) -> Scores:
        """Score the rows of one instant, in one call of the model."""
        given = model_input(rows, self._places)
        is_covered = given.is_usable & self._is_covered_state[rows.state]
        started_ns = self._monotonic_ns()
        try:
            assessed = self._engine.update(rows.time_ns, given.value, is_covered)
        except ModelError:
            # A graph that breaks on a row gave no number: the rules of the rollout see to it.
            assessed = _no_number(len(is_covered))
        latency_ns = self._monotonic_ns() - started_ns
        score, is_waiting = assessed.score, assessed.is_waiting
        is_covered = is_covered & ~is_waiting
        status, is_told = given.worst, np.isfinite(score)
        if not is_told.all():
            reason = np.where(is_covered, _BROKEN, given.why_none(is_waiting=is_waiting))
            status = np.where(is_told, status, reason)
        return Scores(
            value=frozen(score),
            status=frozen(status),
            is_covered=frozen(is_covered),
            is_begun=frozen(assessed.is_begun),
            latency_ns=latency_ns,
        )

    def shares(self) -> FloatArray:
        """Return each column's part of each asset's score, shape (n, m), 0 to 1."""
        return self._engine.shares()

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set."""
        self._engine.rebase(shift_ns)

    def checkpoint(self) -> str:
        """Return what was remembered, as text."""
        return self._engine.checkpoint()

    def restore(self, checkpoint: str) -> None:
        """Go on from a checkpoint of the same version for as many assets."""
        self._engine.restore(checkpoint)


def _no_number(count: int) -> Assessed:
    return Assessed(
        score=np.full(count, np.nan),
        is_waiting=np.zeros(count, dtype=np.bool_),
        is_begun=np.ones(count, dtype=np.bool_),
    )

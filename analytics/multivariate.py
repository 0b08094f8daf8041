"""The anomaly detector: scores all assets of one type, and runs the versions of their model.

Theory. Up to three versions score the same rows: the one in force, a candidate in shadow, and the
former one during probation. Each keeps its own average over time, so a swap between two rows goes
on with an average that has already settled: no row is missed, and no score jumps because of the
swap itself. Only the version in force makes scores that leave the detector; the others are only
counted, in a `Comparison`.

The versions are held in one frozen value that is replaced as a whole. A row is scored with the
value it found, so loading and swapping may happen in another thread.

A score is Bad, never a number that looks fine, when an input is Bad, when the asset is in a state
that the model was not trained for, while there is no model, and when the model gives no number.
"""

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from analytics.canary import try_bundle
from analytics.drift_watch import DriftWatch
from analytics.instants import AHEAD_NS_MAX
from analytics.scoring import ALARM_SCORE, Scores, Scoring, open_bundle
from gateway.core.arrays import IndexArray, frozen, index_column, time_column
from gateway.core.errors import ModelError
from gateway.core.events import Event, Evidence
from gateway.core.frame import Frame, Origin
from gateway.core.models import CanaryReport, Comparison
from gateway.core.ports import Detected
from gateway.core.quality import Status
from gateway.core.rows import AssetId, Rows
from gateway.core.tags import Tag, TagId, TagTable
from gateway.core.twin_state import Signal, TwinState

SCORE_COLUMN: Final = "anomaly_score"

_LATENCIES_MAX: Final = 1000
_EVIDENCE_MAX: Final = 5
_EVIDENCE_SHARE_MIN: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class _Versions:
    """The versions that score now."""

    active: Scoring | None = None
    candidate: Scoring | None = None
    former: Scoring | None = None


class AnomalyDetector:
    """Implements the ports `Detector` and `ModelHost` for the assets of one type."""

    def __init__(
        self,
        *,
        model_name: str,
        asset_type: str,
        assets: Sequence[AssetId],
        columns: Sequence[str],
        monotonic_ns: Callable[[], int],
    ) -> None:
        """Begin without a model.

        Args:
            model_name: Name of the model whose versions it runs, such as `pump-anomaly`.
            asset_type: Type of the assets; a model for another one is refused.
            assets: In the order of the rows, n.
            columns: Of the rows, m; a model may read some of them.
            monotonic_ns: Tells the time for measuring latency, and for nothing else.
        """
        self._model_name = model_name
        self._asset_type = asset_type
        self._assets = tuple(assets)
        self._columns = tuple(columns)
        self._positions = {_score_tag(asset): k for k, asset in enumerate(self._assets)}
        self._monotonic_ns = monotonic_ns
        self._versions = _Versions()
        self._newest: Rows | None = None
        self._newest_scores: Scores | None = None
        self._newest_ns: int | None = None
        self._restored: dict[str, str] = {}
        self._tag_index: IndexArray = index_column([])
        self._units: Mapping[str, str] = {}
        self._drift = DriftWatch(self._assets)
        self._comparison = Comparison()
        self._latencies_ms: deque[float] = deque(maxlen=_LATENCIES_MAX)

    @property
    def model_name(self) -> str:
        """Name of the model whose versions it runs."""
        return self._model_name

    @property
    def derived_tags(self) -> tuple[Tag, ...]:
        """One score for each asset; above 1 is anomalous."""
        return tuple(Tag(id=_score_tag(asset), is_derived=True) for asset in self._assets)

    def bind(self, table: TagTable) -> None:
        """Resolve tag ids to positions."""
        self._tag_index = table.indices([tag.id for tag in self.derived_tags])
        self._units = {tag.id: tag.unit for tag in table.tags}

    def update(self, rows: Rows) -> Detected:
        """Score the rows of all assets at one instant; rows not newer than the last are ignored."""
        assert rows.assets == self._assets, rows.assets
        assert rows.columns == self._columns, rows.columns
        time_ns = min(rows.time_ns, rows.received_ns + AHEAD_NS_MAX)
        if self._newest_ns is not None and time_ns <= self._newest_ns:
            return Detected(frame=None)
        if time_ns != rows.time_ns:
            rows = replace(rows, time_ns=time_ns)
        versions = self._versions
        active = _score(versions.active, rows)
        former = _score(versions.former, rows)
        candidate = _score(versions.candidate, rows)
        if rows.origin is not Origin.REPLAYED:
            # Replayed rows were counted before the restart.
            if candidate is not None:
                self._compare(candidate, active)
            elif active is not None and former is not None:
                self._compare(active, former)
        self._newest, self._newest_scores, self._newest_ns = rows, active, time_ns
        return Detected(frame=self._frame(rows, active), events=self._drifted(rows, active))

    def explain(self, state: TwinState) -> TwinState:
        """Return the state with score, shares and worst sign filled in, as far as they are known.

        A share belongs to the signal whose column it is, or whose residual it is.
        """
        position = self._position(state.asset)
        if position is None:
            return state
        score, share_by_column = self._reasons(position)
        if score is None:
            return replace(state, score=None)
        names = [signal.name for signal in state.signals]
        share_by_signal: dict[str, float] = {}
        for column, share in share_by_column.items():
            name = signal_of(column, names)
            if name is not None:
                share_by_signal[name] = share_by_signal.get(name, 0.0) + share
        signals = tuple(_with_share(signal, share_by_signal) for signal in state.signals)
        worst = max(share_by_column, key=lambda column: share_by_column[column])
        is_sign = score > ALARM_SCORE and not state.worst_sign
        sign = f"{worst} is unusual ({share_by_column[worst]:.0%} of it)"
        return replace(
            state, score=score, signals=signals, worst_sign=sign if is_sign else state.worst_sign
        )

    def evidence(self, tag: TagId) -> tuple[Evidence, ...]:
        """Return why an asset has its score, for an alarm on the tag of that score."""
        position = self._positions.get(tag, -1)
        if position < 0 or self._newest is None:
            return ()
        active, scores = self._versions.active, self._newest_scores
        if active is None or scores is None or np.isnan(scores.value[position]):
            return ()
        shares = active.shares()[position]
        # The stable order gives the first of equal columns first.
        largest = np.argsort(-shares, kind="stable")[:_EVIDENCE_MAX]
        value = self._newest.value[position, active.column_places[largest]]
        return tuple(
            Evidence(
                name=(name := f"{self._assets[position]}.{active.manifest.columns[column]}"),
                value=float(value[place]),
                share=float(shares[column]),
                unit=self._units.get(name, ""),
            )
            for place, column in enumerate(largest)
            if shares[column] >= _EVIDENCE_SHARE_MIN
        )

    def try_out(self, bundle: bytes) -> CanaryReport:
        """Run a bundle's canary cases; touches nothing that runs.

        Raises:
            ModelError: the bundle is damaged, or not for this host.
        """
        self._load(bundle)
        return try_bundle(bundle, asset_count=len(self._assets), monotonic_ns=self._monotonic_ns)

    def activate(self, bundle: bytes) -> None:
        """Put a version in force at the next row, with no version beside it.

        Raises:
            ModelError: the bundle is damaged, or not for this host.
        """
        self._swap(_Versions(active=self._load(bundle)))

    def set_candidate(self, bundle: bytes | None) -> None:
        """Let a version score in shadow from the next row on, or end the shadow.

        Raises:
            ModelError: the bundle is damaged, or not for this host.
        """
        candidate = None if bundle is None else self._load(bundle)
        self._swap(replace(self._versions, candidate=candidate))

    def promote(self) -> None:
        """Swap candidate and active between two rows; the old one becomes the former version."""
        versions = self._versions
        assert versions.candidate is not None, "there is no candidate to promote"
        self._swap(_Versions(active=versions.candidate, former=versions.active))

    def roll_back(self) -> None:
        """Put the former version in force again between two rows."""
        versions = self._versions
        assert versions.former is not None, "there is no former version to go back to"
        self._swap(_Versions(active=versions.former, candidate=versions.candidate))

    def end_probation(self) -> None:
        """Let the former version go."""
        self._swap(replace(self._versions, former=None))

    def take_comparison(self) -> Comparison:
        """Return what was counted since the last call, and begin anew."""
        taken = replace(self._comparison, latencies_ms=tuple(self._latencies_ms))
        self._comparison = Comparison()
        self._latencies_ms.clear()
        return taken

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set."""
        if self._newest_ns is not None:
            self._newest_ns += shift_ns
        self._drift.rebase(shift_ns)
        versions = self._versions
        for scoring in (versions.active, versions.candidate, versions.former):
            if scoring is not None:
                scoring.rebase(shift_ns)

    def checkpoint(self) -> bytes:
        """Return the averages of all versions; what was compared is not part of it."""
        versions = (self._versions.active, self._versions.candidate, self._versions.former)
        content = {
            "configuration": self._configuration(),
            "newest_ns": self._newest_ns,
            "drift": self._drift.checkpoint(),
            "versions": {each.digest: each.checkpoint() for each in versions if each is not None},
        }
        return json.dumps(content).encode()

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint; a version that is loaded only later finds its average then.

        Raises:
            ValueError: it was made under another configuration; the state is unchanged.
        """
        content = json.loads(checkpoint)
        if content["configuration"] != self._configuration():
            raise ValueError("the checkpoint of the detector belongs to another configuration")
        self._newest_ns = content["newest_ns"]
        self._newest, self._newest_scores = None, None
        self._restored = content["versions"]
        self._drift.restore(content.get("drift", ""))
        versions = (self._versions.active, self._versions.candidate, self._versions.former)
        for version in versions:
            self._resume(version)

    def _load(self, data: bytes) -> Scoring:
        _, manifest = open_bundle(data)
        if manifest.name != self._model_name or manifest.asset_type != self._asset_type:
            raise ModelError(
                f"{manifest.name} {manifest.version} is for {manifest.asset_type}; here "
                f"{self._model_name} for {self._asset_type} is run"
            )
        return Scoring(
            data,
            columns=self._columns,
            asset_count=len(self._assets),
            monotonic_ns=self._monotonic_ns,
        )

    def _swap(self, versions: _Versions) -> None:
        for version in (versions.active, versions.candidate, versions.former):
            self._resume(version)
        self._versions = versions
        self._comparison = Comparison()
        self._latencies_ms.clear()

    def _resume(self, version: Scoring | None) -> None:
        if version is not None and version.digest in self._restored:
            version.restore(self._restored.pop(version.digest))

    def _compare(self, trial: Scores, reference: Scores | None) -> None:
        """Count what the newer version says beside the older; no older one never alarms.

        A first row can never alarm, so it would look as if the trial were silent on it.
        """
        both = trial.is_covered & ~trial.not_finite & trial.is_begun
        reference_alarms = np.zeros(len(both), dtype=np.bool_)
        if reference is not None:
            both = both & reference.is_covered & ~reference.not_finite
            reference_alarms = reference.alarms & both
        trial_alarms = trial.alarms & both
        counted = self._comparison
        self._comparison = Comparison(
            rows=counted.rows + int(both.sum()),
            trial_only_alarms=counted.trial_only_alarms
            + int((trial_alarms & ~reference_alarms).sum()),
            reference_alarms=counted.reference_alarms + int(reference_alarms.sum()),
            missed_alarms=counted.missed_alarms + int((reference_alarms & ~trial_alarms).sum()),
            not_finite=counted.not_finite + int(trial.not_finite.sum()),
        )
        self._latencies_ms.append(trial.latency_ns / 1e6)

    def _drifted(self, rows: Rows, scores: Scores | None) -> tuple[Event, ...]:
        """Return what is to be told of the drift of the assets, by the version in force."""
        active = self._versions.active
        if active is None or scores is None:
            return ()
        return self._drift.update(
            active.manifest,
            active.digest,
            time_ns=rows.time_ns,
            value=rows.value[:, active.column_places],
            score=scores.value,
            counts=scores.is_covered,
        )

    def _frame(self, rows: Rows, scores: Scores | None) -> Frame:
        count = len(self._assets)
        if scores is None:
            value = np.full(count, np.nan)
            status = np.full(count, Status.BAD_WAITING_FOR_INITIAL_DATA, dtype=np.uint32)
        else:
            value, status = scores.value, scores.status
        return Frame(
            tag_index=self._tag_index,
            time_ns=time_column(np.full(count, rows.time_ns)),
            value=value,
            status=frozen(status),
            received_ns=rows.received_ns,
            arrival_ns=rows.arrival_ns,
            origin=rows.origin,
            is_received=False,
            clock=rows.clock,
        )

    def _reasons(self, position: int) -> tuple[float | None, dict[str, float]]:
        """Return an asset's score and the share of each column; None and nothing when Bad."""
        active, scores = self._versions.active, self._newest_scores
        if active is None or scores is None or np.isnan(scores.value[position]):
            return None, {}
        shares = active.shares()[position]
        columns = active.manifest.columns
        return float(scores.value[position]), {
            column: float(share) for column, share in zip(columns, shares, strict=True)
        }

    def _position(self, asset: AssetId) -> int | None:
        return self._assets.index(asset) if asset in self._assets else None

    def _configuration(self) -> list[object]:
        return [self._model_name, self._asset_type, list(self._assets), list(self._columns)]


def signal_of(column: str, signals: Sequence[str]) -> str | None:
    """Return the signal that a column speaks of: itself, or the one it is the residual of.

    `flow_residual_m3h` speaks of `flow_m3h`, and `oil_temperature_residual_k` of
    `oil_temperature_degc`. None for a column that speaks of no single signal.
    """
    if column in signals:
        return column
    stem, mark, _ = column.partition("_residual")
    fitting = [name for name in signals if mark and name.startswith(f"{stem}_")]
    return min(fitting, key=len, default=None)


def _score(version: Scoring | None, rows: Rows) -> Scores | None:
    return None if version is None else version.score(rows)


def _score_tag(asset: AssetId) -> TagId:
    return TagId(f"{asset}.{SCORE_COLUMN}")


def _with_share(signal: Signal, share_by_signal: Mapping[str, float]) -> Signal:
    return replace(signal, share=share_by_signal.get(signal.name))

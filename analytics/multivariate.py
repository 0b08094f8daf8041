"""The anomaly detector: scores all assets of one type, and runs the versions of their model.

A score is Bad, never a number that looks fine, when an input is Bad, when the asset is in a state
that the model was not trained for, while there is no model, and when the model gives no number.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from analytics.canary import try_bundle
from analytics.drift_watch import DriftWatch
from analytics.scoring import ALARM_SCORE, Scores, Scoring, open_bundle
from analytics.version_host import Said, VersionHost
from gateway.core.arrays import IndexArray, frozen, index_column, time_column
from gateway.core.events import Event, Evidence
from gateway.core.frame import Frame
from gateway.core.models import CanaryReport, Comparison
from gateway.core.ports import Detected
from gateway.core.quality import Status
from gateway.core.rows import AssetId, Rows
from gateway.core.tags import Tag, TagId, TagTable
from gateway.core.twin_state import Signal, TwinState

SCORE_COLUMN: Final = "anomaly_score"

_EVIDENCE_MAX: Final = 5
_EVIDENCE_SHARE_MIN: Final = 0.05


class AnomalyDetector(VersionHost[Scoring]):
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
        """Begin without a model; the arguments are those of `VersionHost`."""
        super().__init__(
            Scoring,
            open_bundle,
            model_name=model_name,
            asset_type=asset_type,
            assets=assets,
            columns=columns,
            monotonic_ns=monotonic_ns,
        )
        self._positions = {_score_tag(asset): k for k, asset in enumerate(self._assets)}
        self._newest: Rows | None = None
        self._newest_scores: Scores | None = None
        self._tag_index: IndexArray = index_column([])
        self._units: Mapping[str, str] = {}
        self._drift = DriftWatch(self._assets)

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
        newer = self._newer(rows)
        if newer is None:
            return Detected(frame=None)
        said = Said.of(self._turns, lambda version: version.score(newer))
        on_trial = said.on_trial(newer.origin)
        if on_trial is not None:
            self._compare(*on_trial)
        self._newest, self._newest_scores = newer, said.active
        return Detected(
            frame=self._frame(newer, said.active), events=self._drifted(newer, said.active)
        )

    def explain(self, state: TwinState) -> TwinState:
        """Return the state with score, shares and worst sign filled in, as far as they are known.

        A share belongs to the signal whose column it is, or whose residual it is.
        """
        position = self._positions.get(_score_tag(state.asset))
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
        position = self._positions.get(tag)
        if position is None or self._newest is None:
            return ()
        active, scores = self._turns.active, self._newest_scores
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

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set."""
        super().rebase(shift_ns)
        self._drift.rebase(shift_ns)

    def checkpoint(self) -> bytes:
        """Return the averages of all versions; what was compared is not part of it."""
        return json.dumps(self._remembered() | {"drift": self._drift.checkpoint()}).encode()

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint; a version that is loaded only later finds its average then.

        Raises:
            ValueError: it was made under another configuration; the state is unchanged.
        """
        content = json.loads(checkpoint)
        self._recall(content["configuration"], content["newest_ns"], content["versions"])
        self._newest, self._newest_scores = None, None
        self._drift.restore(content.get("drift", ""))

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
        active = self._turns.active
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
        active, scores = self._turns.active, self._newest_scores
        if active is None or scores is None or np.isnan(scores.value[position]):
            return None, {}
        shares = active.shares()[position]
        columns = active.manifest.columns
        return float(scores.value[position]), {
            column: float(share) for column, share in zip(columns, shares, strict=True)
        }


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


def _score_tag(asset: AssetId) -> TagId:
    return TagId(f"{asset}.{SCORE_COLUMN}")


def _with_share(signal: Signal, share_by_signal: Mapping[str, float]) -> Signal:
    return replace(signal, share=share_by_signal.get(signal.name))

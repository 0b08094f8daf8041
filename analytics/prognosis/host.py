"""Remaining life on the gateway: the assets of one type, and the versions of their model.

Two versions are compared by what they would have a person do. Where the interval of the newer one
lies wholly apart from that of the older, one of the two is wrong: in a `Comparison` this counts as
an alarm of the newer alone. There are no alarms of the older one to be missed.
"""

import json
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from analytics.prognosis.promises import JudgedLife
from analytics.prognosis.version import Figures, LifeVersion, open_life_bundle, try_life
from analytics.version_host import Said, VersionHost
from gateway.core.arrays import BoolArray, FloatArray, IndexArray, StatusArray, index_column
from gateway.core.events import Event
from gateway.core.frame import Frame
from gateway.core.models import CanaryReport, Comparison, LifeCoverage
from gateway.core.prognosis import RUL_COLUMNS
from gateway.core.quality import Status
from gateway.core.rows import AssetId, OperatingState, Rows
from gateway.core.tags import Tag, TagId, TagTable

JUDGED: Final = "life_judged"
"""Condition of the event that tells how the intervals of a life did."""
JUDGED_SEVERITY: Final = 50
MISSED_SEVERITY: Final = 300
"""The end had not been seen coming, or came outside of the interval."""
BROKEN_SEVERITY: Final = 500
"""The intervals hold the truth so seldom that chance does not explain it."""

TELL_AGAIN_S: Final = 600.0
"""A figure that stands is told again after so long: after a restart nobody waits for the model's
next row, which may be hours away."""

_NEVER_TOLD: Final = np.uint32(0xFFFF_FFFF)


class LifeHost(VersionHost[LifeVersion]):
    """Implements the ports `Prognoser` and `ModelHost` for the assets of one type."""

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
            LifeVersion,
            open_life_bundle,
            model_name=model_name,
            asset_type=asset_type,
            assets=assets,
            columns=columns,
            monotonic_ns=monotonic_ns,
        )
        self._own: IndexArray = index_column([])
        self._is_running = np.zeros(len(assets), dtype=np.bool_)
        self._stopped_ns = np.zeros(len(assets), dtype=np.int64)
        self._told_status = np.full((len(assets), len(RUL_COLUMNS)), _NEVER_TOLD)
        self._told_ns = np.zeros(len(assets), dtype=np.int64)
        self._told_by = ""

    @property
    def derived_tags(self) -> tuple[Tag, ...]:
        """Remaining life and the ends of its interval for each asset."""
        return tuple(
            Tag(id=TagId(f"{asset}.{column}"), is_derived=True, unit="h")
            for asset in self._assets
            for column in RUL_COLUMNS
        )

    @property
    def coverage(self) -> LifeCoverage | None:
        """How often the intervals of the version in force held; None without a version."""
        active = self._turns.active
        if active is None:
            return None
        counted = active.coverage
        return LifeCoverage(told=counted.told, judged=counted.count, held=counted.held)

    def bind(self, table: TagTable) -> None:
        """Resolve tag ids to positions."""
        own = table.indices([tag.id for tag in self.derived_tags])
        self._own = own.reshape(-1, len(RUL_COLUMNS))

    def update(self, rows: Rows) -> Frame | None:
        """Take in the rows of all assets at one instant; rows not newer than the last are ignored.

        Returns:
            New figures, and those that became Bad or good again; None when all stands as told.
        """
        newer = self._newer(rows)
        if newer is None:
            return None
        self._follow_states(newer)
        turns = self._turns
        said = Said.of(turns, lambda version: version.take(newer))
        on_trial = said.on_trial(newer.origin)
        if on_trial is not None:
            self._compare(*on_trial)
        told_by = "" if turns.active is None else turns.active.digest
        if said.active is None:
            return self._tell(newer, *self._nothing(), is_new=None, told_by=told_by)
        hours, status, is_new = said.active.hours, said.active.status, said.active.is_new
        return self._tell(newer, hours, status, is_new=is_new, told_by=told_by)

    def end_life(self, asset: AssetId, *, opened_ns: int, closed_ns: int) -> tuple[Event, ...]:
        """Judge what was told of an asset that failed and was put right, and begin anew with it.

        Its life ended when its last standstill within the case began: it was not started again
        before it was repaired. Without a standstill it ended with the case.
        """
        if asset not in self._assets:
            return ()
        position = self._assets.index(asset)
        stopped_ns = int(self._stopped_ns[position])
        end_ns = stopped_ns if opened_ns <= stopped_ns <= closed_ns else closed_ns
        events: list[Event] = []
        turns = self._turns
        for version in turns.loaded:
            judged = version.judge(position, end_ns=end_ns)
            version.forget(position)
            if version is turns.active:
                events.append(_judged(asset, version, judged, time_ns=closed_ns))
        return tuple(events)

    def try_out(self, bundle: bytes) -> CanaryReport:
        """Run a bundle on rows at the middle of its training; touches nothing that runs.

        Raises:
            ModelError: the bundle is damaged, or not for this host.
        """
        self._load(bundle)
        return try_life(bundle, asset_count=len(self._assets), monotonic_ns=self._monotonic_ns)

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set."""
        super().rebase(shift_ns)
        self._stopped_ns[self._stopped_ns > 0] += shift_ns
        self._told_ns[self._told_ns > 0] += shift_ns

    def checkpoint(self) -> bytes:
        """Return the state of all versions; what was compared is not part of it."""
        own = {
            "is_running": self._is_running.tolist(),
            "stopped_ns": self._stopped_ns.tolist(),
            "told_status": self._told_status.tolist(),
            "told_ns": self._told_ns.tolist(),
            "told_by": self._told_by,
        }
        return json.dumps(self._remembered() | own).encode()

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint; a version that is loaded only later finds its past then.

        Raises:
            ValueError: it was made under another configuration; the state is unchanged.
        """
        content = json.loads(checkpoint)
        self._recall(content["configuration"], content["newest_ns"], content["versions"])
        self._is_running[:] = content["is_running"]
        self._stopped_ns[:] = content["stopped_ns"]
        self._told_status[:] = content["told_status"]
        self._told_ns[:] = content["told_ns"]
        self._told_by = content["told_by"]

    def _follow_states(self, rows: Rows) -> None:
        """Note when assets stopped; while the state is not known, nothing is."""
        stops = self._is_running & (rows.state == OperatingState.OFF)
        self._stopped_ns[stops] = rows.time_ns
        is_told = (rows.state == OperatingState.RUNNING) | (rows.state == OperatingState.OFF)
        running = rows.state == OperatingState.RUNNING
        self._is_running = np.where(is_told, running, self._is_running)

    def _compare(self, trial: Figures, reference: Figures | None) -> None:
        """Count where the newer version's interval lies apart from the older one's."""
        both = trial.is_new & np.isfinite(trial.hours[:, 0])
        apart: BoolArray = np.zeros(len(both), dtype=np.bool_)
        if reference is not None:
            both = both & np.isfinite(reference.hours[:, 0])
            (_, low, high), (_, low_before, high_before) = trial.hours.T, reference.hours.T
            apart = both & ((low > high_before) | (high < low_before))
        counted = self._comparison
        self._comparison = Comparison(
            rows=counted.rows + int(both.sum()),
            trial_only_alarms=counted.trial_only_alarms + int(apart.sum()),
            not_finite=counted.not_finite + int(trial.not_finite.sum()),
        )
        if trial.is_new.any():
            self._latencies_ms.append(trial.latency_ns / 1e6)

    def _nothing(self) -> tuple[FloatArray, StatusArray]:
        """Return what is told without a model."""
        shape = (len(self._assets), len(RUL_COLUMNS))
        waiting = np.full(shape, Status.BAD_WAITING_FOR_INITIAL_DATA, dtype=np.uint32)
        return np.full(shape, np.nan), waiting

    def _tell(
        self,
        rows: Rows,
        hours: FloatArray,
        status: StatusArray,
        *,
        is_new: BoolArray | None,
        told_by: str,
    ) -> Frame | None:
        """Return the figures that are new, of another quality, or were told long ago."""
        is_told = (status != self._told_status).any(axis=1)
        is_again = rows.time_ns - self._told_ns >= round(TELL_AGAIN_S * 1e9)
        # A figure that stays Bad is told once.
        if is_new is not None:
            is_told |= (is_new | is_again) & np.isfinite(hours[:, 1])
        if told_by != self._told_by:
            is_told[:] = True
        if not is_told.any():
            return None
        self._told_status[is_told] = status[is_told]
        self._told_ns[is_told] = rows.time_ns
        self._told_by = told_by
        own = self._own[is_told].ravel()
        return Frame(
            tag_index=own,
            time_ns=np.full(own.size, rows.time_ns, dtype=np.int64),
            value=hours[is_told].ravel(),
            status=status[is_told].ravel(),
            received_ns=rows.received_ns,
            arrival_ns=rows.arrival_ns,
            origin=rows.origin,
            is_received=False,
            clock=rows.clock,
        )


def _judged(
    asset: AssetId, version: LifeVersion, judged: JudgedLife | None, *, time_ns: int
) -> Event:
    """Return the event that tells how a life was foreseen."""
    if judged is None:
        severity = MISSED_SEVERITY
        text = f"{version.label} had told no end of {asset} before it failed"
    else:
        counted = version.coverage
        severity = JUDGED_SEVERITY if judged.is_held else MISSED_SEVERITY
        text = (
            f"{version.label} had told {asset} {judged.low:.3g} to {judged.high:.3g} h when it had "
            f"{judged.truth:.3g} h left; {judged.held} of {judged.count} intervals held, and those "
            f"of {counted.held} of {counted.count} lives ({counted.told:.0%} promised)"
        )
        if counted.is_broken:
            severity = BROKEN_SEVERITY
            text += ": too few for chance, train it anew"
    return Event(time_ns=time_ns, source=asset, condition=JUDGED, severity=severity, text=text)

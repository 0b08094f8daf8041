"""The twins of all assets of one type: frames in, rows, derived samples and events out. Pure.

Each tick of the data's time goes through five steps, array operations over all assets:

    what is known (state) -> what it is doing (operating) -> what it should show (model, estimator)
                          -> how far it is off (residuals) -> how well it is (health)

The columns of a row are the model's inputs, its residuals (measured less expected, in the signal's
unit, and again in standard deviations of the healthy machine) and its extras. A residual is as bad
as its worst input; it is Bad (out of service) while the asset does not run, and Uncertain while its
parameters are still being learnt. The derived frame carries the columns again, with `state`,
`health`, `commissioning` and `frozen_signals`, as samples of `asset.column`.
"""

from collections.abc import Sequence

import numpy as np

from gateway.core.arrays import BoolArray, FloatArray, StatusArray, rebased
from gateway.core.cases import Diagnosis
from gateway.core.events import Event
from gateway.core.frame import Frame
from gateway.core.ports import TwinUpdate
from gateway.core.quality import Status, is_bad, is_good
from gateway.core.rows import AssetId, OperatingState, Rows
from gateway.core.tags import Tag, TagId, TagTable
from gateway.core.twin_state import Signal, TwinState
from twins.checkpoint import State, joined, pack, part, unpack
from twins.derived import DerivedTags, Samples, derived_frame
from twins.diagnosis import diagnosis, worst_sign
from twins.estimator import Estimator
from twins.health import NORMAL_SIGMAS, Health
from twins.layout import Layout, beliefs
from twins.member import Member
from twins.model import AssetModel, unit_of
from twins.operating import OperatingStates
from twins.state import NEVER_NS, SignalBoard, Snapshot
from twins.stillness import Stillness

OWN_COLUMNS = ("state", "health", "commissioning", "frozen_signals")
"""Derived tags of every asset, after the columns of its rows."""

STATE_SEVERITY = 50
"""Of the event that tells what an asset is doing now: to be read, not to be acted upon."""

STATE_TEXTS = {
    OperatingState.UNKNOWN: "It cannot be told whether {} runs: its signals are Bad or silent",
    OperatingState.OFF: "{} stands still",
    OperatingState.STARTING: "{} starts, stops or changes its load",
    OperatingState.RUNNING: "{} runs",
}

_RUNNING = np.uint8(OperatingState.RUNNING)
_NO_HEALTH_YET = np.uint32(Status.BAD_WAITING_FOR_INITIAL_DATA)
_HEALTH_STATUS_BY_STATE: StatusArray = np.array(
    [
        Status.BAD_NO_COMMUNICATION,  # unknown
        Status.UNCERTAIN_LAST_USABLE_VALUE,  # off: the health it stopped with
        Status.UNCERTAIN_LAST_USABLE_VALUE,  # starting
        Status.GOOD,
    ],
    dtype=np.uint32,
)


_Part = SignalBoard | OperatingStates | Estimator | Stillness | Health | DerivedTags


class AssetTwin:
    """The twins of n assets of one type; implements `Twin`."""

    def __init__(self, name: str, members: Sequence[Member], model: AssetModel) -> None:
        """Begin with nothing known.

        Args:
            name: Unique among the twins of a gateway; for its checkpoint.
            members: The assets, in the order of the rows; all with the same `period_s`.
            model: The physics of these assets, in the same order.
        """
        self.name = name
        self._members = tuple(members)
        self._assets = tuple(member.asset for member in members)
        self._model = model
        self._layout = Layout(model)
        self._is_mapped: BoolArray = np.array(
            [[role in member.tags for role in model.roles] for member in members]
        )
        self._build_parts()
        self._expected: FloatArray = np.full((len(members), len(model.relations)), np.nan)
        self._sigma: FloatArray = np.full_like(self._expected, np.nan)
        self._has_begun = False

    @property
    def asset_type(self) -> str:
        """The type that all the assets share."""
        return self._model.asset_type

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the rows' columns."""
        return self._layout.columns

    @property
    def comparable_columns(self) -> tuple[str, ...]:
        """Names of the columns that one model can read of every machine of the type.

        Residuals in standard deviations, whatever the machine's size and load; all columns where
        there is no physics.
        """
        return self._layout.comparable

    @property
    def assets(self) -> tuple[AssetId, ...]:
        """The assets, in the order of the rows."""
        return self._assets

    @property
    def measured_tags(self) -> tuple[TagId, ...]:
        """The tags it listens to, every one once."""
        return self._board.tags

    @property
    def derived_tags(self) -> tuple[Tag, ...]:
        """The tags of its derived frames, `asset.column`; those without inputs are left out."""
        return self._derived.tags

    def bind(self, table: TagTable) -> None:
        """Resolve tag ids to positions, once, before the first frame.

        Raises:
            KeyError: the table lacks one of the tags.
        """
        self._board.bind(table)
        self._derived.bind(table)

    def update(self, frame: Frame) -> TwinUpdate:
        """Take in a frame of any tags and return what became known by it."""
        rows: list[Rows] = []
        derived: list[Samples] = []
        events: list[Event] = []
        for snapshot in self._board.feed(frame):
            measured = np.where(self._is_mapped, snapshot.value, np.nan)
            load = self._model.load(measured, snapshot.status)
            changed = self._operating.update(load, time_ns=snapshot.time_ns)
            self._has_begun |= bool(changed.any())
            if not self._has_begun:
                continue  # as long as no asset's state was ever known there is nothing to say
            events += self._state_events(changed, time_ns=snapshot.time_ns)
            rows.append(self._row(snapshot, frame))
            derived.append(self._samples(rows[-1]))
        return TwinUpdate(
            rows=tuple(rows),
            frame=derived_frame(derived, frame) if derived else None,
            events=tuple(events),
        )

    def state(self, asset: AssetId) -> TwinState:
        """Return one asset as known now.

        Raises:
            KeyError: there is no such asset here.
        """
        if asset not in self._assets:
            raise KeyError(asset)
        i = self._assets.index(asset)
        now = self._board.now()
        state = OperatingState(int(self._operating.state[i]))
        health = float(self._health.value[i])
        is_known = np.isfinite(health) and state is not OperatingState.UNKNOWN
        relations, sigmas = self._model.relations, self._health.sigmas[i]
        heard_ns = int(now.source_ns[i].max())
        return TwinState(
            asset=asset,
            asset_type=self.asset_type,
            state=state,
            health=health if is_known else None,
            score=None,
            as_of_ns=0 if heard_ns == NEVER_NS else heard_ns,
            worst_sign=worst_sign(relations, sigmas, self._frozen(i))
            or self._commissioning_sign(i),
            advice=found.sentence if (found := self.diagnosis(asset)) else "",
            signals=self._signals(i, now),
        )

    def diagnosis(self, asset: AssetId) -> Diagnosis | None:
        """Return what is likely the matter with an asset now; None when everything is normal."""
        i = self._assets.index(asset)
        model, sigmas = self._model, self._health.sigmas[i]
        return diagnosis(model.relations, model.signatures, sigmas, self._frozen(i))

    def advice(self, tag: TagId) -> str:
        """Return what to check now, for an alarm on a computed tag; empty when nothing is known."""
        asset, _, _ = tag.rpartition(".")
        return self.state(AssetId(asset)).advice if asset in self._assets else ""

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set."""
        state = {
            name: rebased(np.asarray(array, dtype=np.int64), shift_ns)
            for name, array in self._save().items()
            if name.endswith("_ns")
        }
        self._load({**self._save(), **state})

    def checkpoint(self) -> bytes:
        """Return all that `restore` needs to go on exactly from here."""
        return pack(self._save(), configuration=self._configuration())

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint made under the same configuration.

        Raises:
            ValueError: it was made under another one, or is damaged; the state is unchanged.
        """
        self._load(unpack(checkpoint, configuration=self._configuration(), like=self._save()))

    def _load(self, state: State) -> None:
        for name, each in self._parts().items():
            each.load(part(state, name))
        own = part(state, "twin")
        self._expected = np.array(own["expected"], dtype=np.float64)
        self._sigma = np.array(own["sigma"], dtype=np.float64)
        self._has_begun = bool(own["has_begun"][0])

    def _build_parts(self) -> None:
        settings = [member.settings for member in self._members]
        model, layout = self._model, self._layout
        is_possible = layout.possible(self._is_mapped | np.isfinite(model.fallback))
        self._board = SignalBoard(
            [[member.tags.get(role) for role in model.roles] for member in self._members],
            fallback=model.fallback,
            period_s=settings[0].period_s,
            stale_after_s=np.array([each.stale_after_s for each in settings]),
        )
        self._operating = OperatingStates(
            len(settings), settling_s=np.array([each.settling_s for each in settings])
        )
        prior, spread = beliefs(model)
        rows = np.array([[each.commissioning_rows] for each in settings])
        self._estimator = Estimator(
            prior=prior,
            spread=spread,
            noise=model.noise,
            rows=np.where(is_possible[:, layout.residuals], rows, 0),
        )
        self._stillness = Stillness(count=len(settings), roles=len(model.roles))
        self._health = Health(
            count=len(settings),
            relations=len(model.relations),
            smoothing_s=np.array([each.health_smoothing_s for each in settings]),
        )
        own = np.ones((len(settings), len(OWN_COLUMNS)), dtype=np.bool_)
        self._derived = DerivedTags(
            self._assets, (*layout.columns, *OWN_COLUMNS), np.concatenate((is_possible, own), 1)
        )

    def _row(self, snapshot: Snapshot, frame: Frame) -> Rows:
        """Take the inputs of one tick through the model, the estimator and the health."""
        layout, state = self._layout, self._operating.state
        is_running = (state == _RUNNING)[:, None]
        status = layout.status(snapshot.status)
        with np.errstate(all="ignore"):  # what is no number becomes Bad below
            explanation = self._model.explain(snapshot.value)
        target = snapshot.value[:, layout.targets]
        expectation = self._estimator.update(
            terms=explanation.terms,
            lag_s=explanation.lag_s,
            target=target,
            is_healthy=is_running & is_good(status[:, layout.residuals]),
            time_ns=snapshot.time_ns,
        )
        residual = target - expectation.value
        is_commissioned = self._estimator.is_commissioned
        sigmas = residual / expectation.sigma
        self._stillness.update(snapshot.value, is_running=is_running[:, 0])
        self._health.judge(
            sigmas,
            is_running & expectation.is_usable & is_commissioned,
            has_frozen=self._stillness.has_frozen,
            time_ns=snapshot.time_ns,
        )
        self._expected = expectation.value
        self._sigma = expectation.sigma

        inputs = snapshot.value[:, layout.inputs]
        value = np.concatenate((inputs, residual, sigmas, explanation.extras), axis=1)
        if not is_commissioned.all():
            is_learning = np.concatenate((~is_commissioned, ~is_commissioned), axis=1)
            _lower(status[:, layout.judged], is_learning, Status.UNCERTAIN)
        if not is_running.all():
            _lower(status[:, layout.computed], ~is_running, Status.BAD_OUT_OF_SERVICE)
        bad = is_bad(status)
        no_number = ~np.isfinite(value)
        status[no_number & ~bad] = Status.BAD_OUT_OF_RANGE
        value[no_number | bad] = np.nan
        return Rows(
            asset_type=self.asset_type,
            assets=self._assets,
            columns=layout.columns,
            time_ns=snapshot.time_ns,
            value=value,
            status=status,
            state=state,
            received_ns=frame.received_ns,
            arrival_ns=frame.arrival_ns,
            origin=frame.origin,
            clock=frame.clock,
        )

    def _samples(self, row: Rows) -> Samples:
        """Return what the derived tags have to tell about a row."""
        health, m = self._health.value, len(row.columns)
        value = np.empty((len(health), m + len(OWN_COLUMNS)))
        status = np.zeros(value.shape, dtype=np.uint32)
        value[:, :m], status[:, :m] = row.value, row.status
        value[:, m] = row.state
        value[:, m + 1] = health
        status[:, m + 1] = np.where(
            np.isnan(health), _NO_HEALTH_YET, _HEALTH_STATUS_BY_STATE[row.state]
        )
        value[is_bad(status)] = np.nan
        value[:, m + 2] = self._estimator.asset_progress
        value[:, m + 3] = self._stillness.is_frozen.sum(axis=1)
        return self._derived.tell(value, status, time_ns=row.time_ns)

    def _state_events(self, changed: BoolArray, *, time_ns: int) -> list[Event]:
        states = self._operating.state
        return [
            Event(
                time_ns=time_ns,
                source=self._assets[i],
                condition="operating_state",
                severity=STATE_SEVERITY,
                text=STATE_TEXTS[OperatingState(int(states[i]))].format(self._assets[i]),
            )
            for i in changed.nonzero()[0]
        ]

    def _signals(self, i: int, now: Snapshot) -> tuple[Signal, ...]:
        relation_of = {relation.signal: r for r, relation in enumerate(self._model.relations)}
        is_running = self._operating.state[i] == _RUNNING
        signals = []
        for k, role in enumerate(self._model.roles):
            if not self._is_mapped[i, k]:
                continue
            r = relation_of.get(role)
            is_expected = is_running and r is not None and bool(np.isfinite(self._expected[i, r]))
            source_ns = int(now.source_ns[i, k])
            signals.append(
                Signal(
                    name=role,
                    tag=self._members[i].tags[role],
                    unit=unit_of(role),
                    value=float(now.value[i, k]),
                    status=int(now.status[i, k]),
                    time_ns=0 if source_ns == NEVER_NS else source_ns,
                    expected=float(self._expected[i, r]) if is_expected else None,
                    tolerance=float(NORMAL_SIGMAS * self._sigma[i, r]) if is_expected else None,
                )
            )
        return tuple(signals)

    def _frozen(self, i: int) -> list[str]:
        return [self._model.roles[k] for k in np.flatnonzero(self._stillness.is_frozen[i])]

    def _commissioning_sign(self, i: int) -> str:
        progress = float(self._estimator.asset_progress[i])
        return "" if progress >= 1.0 else f"commissioning, {progress:.0%}"

    def _configuration(self) -> str:
        """Return all that the numbers of a checkpoint depend on."""
        tables = [f"{each.asset}={each.configuration}" for each in self._members]
        return "\n".join((self.name, self.asset_type, *self.columns, *tables))

    def _parts(self) -> dict[str, _Part]:
        return {
            "board": self._board,
            "operating": self._operating,
            "estimator": self._estimator,
            "stillness": self._stillness,
            "health": self._health,
            "derived": self._derived,
        }

    def _save(self) -> State:
        own = {
            "expected": self._expected,
            "sigma": self._sigma,
            "has_begun": np.array([self._has_begun]),
        }
        return joined({name: each.save() for name, each in self._parts().items()} | {"twin": own})


def _lower(status: StatusArray, where: BoolArray, at_least: Status) -> None:
    """Make the status at least as bad as given where the mask holds."""
    np.maximum(status, np.uint32(at_least), out=status, where=where)

"""One model on this gateway: its stages, carried out on the host that runs it.

Every method that changes something returns the events to tell; the caller puts the state on disk.
At most one version is on trial: a candidate in shadow, or the version in force on probation.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, TypeAlias

from cloud_sync.edge.lifecycle import (
    ALARMS_ALONE,
    Decision,
    Verdict,
    joined,
    judge_canary,
    judge_probation,
    judge_shadow,
    version_order,
)
from cloud_sync.edge.stages import ModelState
from gateway.core.errors import CommandError, GatewayError, ModelError
from gateway.core.events import Event
from gateway.core.manifest import AnomalyManifest, RolloutRules
from gateway.core.models import Comparison, ModelStage, ModelStatus
from gateway.core.ports import Clock, ModelHost
from gateway.core.rul_manifest import RulManifest
from gateway.wire.bundle import read_bundle

REFUSED_SEVERITY: Final = 700
ROLLED_BACK_SEVERITY: Final = 600
REJECTED_SEVERITY: Final = 400
PROMOTED_SEVERITY: Final = 200
NEWS_SEVERITY: Final = 50
TELLS_OTHERWISE: Final = "tells another life"
"""What speaks against a version of a model of remaining life."""

Load: TypeAlias = Callable[[str, str], Awaitable[bytes]]
"""Returns the verified bundle of a name and a version."""
Events: TypeAlias = tuple[Event, ...]


class KeptModel:
    """The versions of one model and the host that runs them."""

    def __init__(self, host: ModelHost, state: ModelState, *, clock: Clock) -> None:
        """Know where the versions stand; nothing runs before `restore` or the first release."""
        self.state = state
        self.is_running = False
        """Whether a version is in force on the host."""
        self._host = host
        self._clock = clock
        self._rules = RolloutRules()
        self._alone = ALARMS_ALONE

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._host.model_name

    @property
    def is_on_probation(self) -> bool:
        """Whether the former version stands ready."""
        return self.state.former is not None

    def wants(self, version: str) -> bool:
        """Return whether a released version is to be tried now."""
        state = self.state
        if self.is_on_probation or version in state.versions:
            return False
        newest = max(filter(None, (state.active, state.candidate)), key=version_order, default=None)
        return newest is None or version_order(version) > version_order(newest)

    async def restore(self, load: Load) -> Events:
        """Put in force what was in force before the restart, as far as it is vouched for.

        A shadow starts anew, a probation goes on. A version that must not be loaded is taken back
        for good when another one can take its place; without one, the next look may repair it.
        """
        state = self.state
        if state.active is None:
            return ()
        try:
            data = await load(self.name, state.active)
            await self._put_in_force(data)
        except GatewayError as error:
            return await self._fall_back(load, error)
        if state.former is not None:
            return await self._resume_probation(load, data, state.former)
        if state.candidate is not None:
            return await self._resume_shadow(load, state.candidate)
        return ()

    async def repair(self, data: bytes) -> Events:
        """Put the version in force that could not be loaded at the start.

        Raises:
            ModelError: the host refuses it.
        """
        assert self.state.active is not None
        await self._put_in_force(data)
        return (
            self._event("model_restored", PROMOTED_SEVERITY, self.state.active, "is here again"),
        )

    async def try_release(self, version: str, data: bytes) -> Events:
        """Let a verified bundle score its canary cases, and go as far as they allow."""
        state = self.state
        released = self._event("model_released", NEWS_SEVERITY, version, "is here, verified")
        try:
            rules = self._rules_of(data, version)
            report = await asyncio.to_thread(self._host.try_out, data)
            decision = judge_canary(report, rules, has_incumbent=self.is_running)
            if decision.verdict is Verdict.PROMOTE:
                await self._put_in_force(data)
            elif decision.verdict is Verdict.STAY:
                await asyncio.to_thread(self._host.set_candidate, data)
        except ModelError as error:
            decision = Decision(verdict=Verdict.REJECT, reason=str(error))
        if decision.verdict is Verdict.REJECT:
            return released, self._rejected(version, decision.reason, rows=0)
        superseded = self._supersede(version)
        self._rules, state.seen = rules, Comparison()
        if decision.verdict is Verdict.PROMOTE:
            return released, *superseded, self._first(version, decision.reason)
        state.candidate = version
        self._enter(version, ModelStage.SHADOW, decision.reason)
        shadow = self._event("model_shadow", NEWS_SEVERITY, version, decision.reason)
        return released, *superseded, shadow

    def count(self) -> Events:
        """Take what was counted of the running trial, and decide it if it can be decided."""
        state = self.state
        if state.candidate is None and state.former is None:
            return ()
        state.seen = joined(state.seen, self._host.take_comparison())
        if state.candidate is not None:
            decision = judge_shadow(state.seen, self._rules, alone=self._alone)
            if decision.verdict is Verdict.PROMOTE:
                return self._promote(state.candidate, decision.reason)
            if decision.verdict is Verdict.REJECT:
                self._host.set_candidate(None)
                candidate, state.candidate = state.candidate, None
                return (self._rejected(candidate, decision.reason, rows=state.seen.rows),)
            return ()
        decision = judge_probation(state.seen, self._rules, alone=self._alone)
        if decision.verdict is Verdict.ROLL_BACK:
            return self._roll_back(decision.reason)
        if decision.verdict is Verdict.END_PROBATION:
            return self._end_probation(decision.reason)
        return ()

    def promote_now(self, operator: str) -> Events:
        """Put the candidate in force because a person says so.

        Raises:
            CommandError: there is none.
        """
        if self.state.candidate is None:
            raise CommandError(f"{self.name} has no version in shadow that could be put in force")
        seen = f"{self.state.seen.rows} of {self._rules.shadow_rows} rows in shadow"
        return self._promote(
            self.state.candidate, f"put in force by {operator} after {seen}", operator=operator
        )

    async def roll_back_now(self, operator: str, load: Load) -> Events:
        """Take the version in force back because a person says so.

        Raises:
            CommandError: there is none to go back to.
            ModelError: that one must not be loaded any more.
        """
        state = self.state
        reason = f"taken back by {operator}"
        if state.former is not None:
            return self._roll_back(reason, operator=operator)
        if state.active is None or state.previous is None:
            raise CommandError(f"{self.name} has no former version to go back to")
        await self._put_in_force(await load(self.name, state.previous))
        if state.candidate is not None:
            # Its shadow was beside the version that is gone: the next look begins it anew.
            del state.versions[state.candidate]
            state.candidate = None
        return self._went_back(state.previous, reason, operator=operator)

    def statuses(self) -> Iterator[ModelStatus]:
        """Yield every version known, the newest first."""
        state = self.state
        for version in sorted(state.versions, key=version_order, reverse=True):
            entry = state.versions[version]
            rows, rows_needed = entry.rows, 0
            if version == state.candidate:
                rows, rows_needed = state.seen.rows, self._rules.shadow_rows
            elif version == state.active and self.is_on_probation:
                rows, rows_needed = state.seen.rows, self._rules.probation_rows
            yield ModelStatus(
                name=self.name,
                version=version,
                stage=entry.stage,
                since_ns=entry.since_ns,
                reason=entry.reason,
                rows=rows,
                rows_needed=rows_needed,
            )

    async def _put_in_force(self, data: bytes) -> None:
        """Load a version in a worker thread; rows go on being scored meanwhile.

        Raises:
            ModelError: it is damaged, or not for this host.
        """
        await asyncio.to_thread(self._host.activate, data)
        self.is_running = True

    async def _resume_probation(self, load: Load, data: bytes, former: str) -> Events:
        """Bring the former version beside the one in force again; without it, the trial is over."""
        assert self.state.active is not None
        try:
            self._rules = self._rules_of(data, self.state.active)
            await self._put_in_force(await load(self.name, former))
            await asyncio.to_thread(self._host.set_candidate, data)
            self._host.promote()
        except GatewayError as error:
            await self._put_in_force(data)
            return self._end_probation(f"ended early: {former} cannot be loaded ({error})")
        return ()

    async def _resume_shadow(self, load: Load, candidate: str) -> Events:
        """Begin the shadow anew; a candidate that cannot be loaded is tried as a new release."""
        self.state.seen = Comparison()
        try:
            data = await load(self.name, candidate)
            self._rules = self._rules_of(data, candidate)
            await asyncio.to_thread(self._host.set_candidate, data)
        except GatewayError as error:
            del self.state.versions[candidate]
            self.state.candidate = None
            return (self._refused(candidate, error),)
        return ()

    async def _fall_back(self, load: Load, error: GatewayError) -> Events:
        """Go back from a version that must not be loaded to one that may."""
        state = self.state
        assert state.active is not None
        refused = self._refused(state.active, error)
        for version in filter(None, (state.former, state.previous)):
            try:
                await self._put_in_force(await load(self.name, version))
            except GatewayError:
                continue  # the event below tells that none was left
            return refused, *self._went_back(version, f"cannot be loaded: {error}")
        return (refused,)

    def _rules_of(self, data: bytes, version: str) -> RolloutRules:
        """Return the limits in a bundle that is what its name says.

        Raises:
            ModelError: it is another model, or none that can be compared.
        """
        manifest = read_bundle(data).manifest
        if (manifest.name, manifest.version) != (self.name, version):
            raise ModelError(f"holds {manifest.name} {manifest.version} under this name")
        if not isinstance(manifest, AnomalyManifest | RulManifest):
            raise ModelError(f"is a {manifest.kind} model, which has no shadow")
        self._alone = TELLS_OTHERWISE if isinstance(manifest, RulManifest) else ALARMS_ALONE
        return manifest.rollout

    def _first(self, version: str, reason: str) -> Event:
        """Note a version that is in force without a trial."""
        state = self.state
        if state.active is not None:
            self._enter(state.active, ModelStage.RETIRED, f"{version} took its place")
        state.active, state.former = version, None
        self._enter(version, ModelStage.ACTIVE, reason)
        return self._event("model_promoted", PROMOTED_SEVERITY, version, reason)

    def _promote(self, version: str, reason: str, *, operator: str = "") -> Events:
        state = self.state
        self._host.promote()
        former = state.active
        if former is not None:
            self._enter(former, ModelStage.RETIRED, f"{version} took its place")
        state.active, state.former, state.candidate = version, former, None
        self._enter(version, ModelStage.ACTIVE, reason, rows=state.seen.rows)
        state.seen = Comparison()
        event = self._event("model_promoted", PROMOTED_SEVERITY, version, reason, operator=operator)
        if self._rules.probation_rows == 0:
            return event, *self._end_probation("its rules ask for no probation")
        return (event,)

    def _end_probation(self, reason: str) -> Events:
        state = self.state
        assert state.active is not None
        self._host.end_probation()
        state.former = None
        rows, state.seen = state.seen.rows, Comparison()
        self._enter(state.active, ModelStage.ACTIVE, reason, rows=rows)
        return (self._event("model_confirmed", NEWS_SEVERITY, state.active, reason),)

    def _roll_back(self, reason: str, *, operator: str = "") -> Events:
        state = self.state
        assert state.former is not None
        self._host.roll_back()
        return self._went_back(state.former, reason, operator=operator)

    def _went_back(self, version: str, reason: str, *, operator: str = "") -> Events:
        """Note that an older version is in force again in place of the active one."""
        state = self.state
        assert state.active is not None
        bad, state.active, state.former = state.active, version, None
        rows, state.seen = state.seen.rows, Comparison()
        self._enter(bad, ModelStage.ROLLED_BACK, reason, rows=rows)
        self._enter(version, ModelStage.ACTIVE, f"in force again: {bad} {reason}")
        return (
            self._event(
                "model_rolled_back",
                ROLLED_BACK_SEVERITY,
                bad,
                f"{reason}; {version} is in force again",
                operator=operator,
            ),
        )

    def _supersede(self, version: str) -> Events:
        """End the shadow of a candidate that a newer release overtook."""
        candidate = self.state.candidate
        if candidate is None:
            return ()
        self.state.candidate = None
        rows = self.state.seen.rows
        return (self._rejected(candidate, f"{version} came before it was decided", rows=rows),)

    def _rejected(self, version: str, reason: str, *, rows: int) -> Event:
        self._enter(version, ModelStage.REJECTED, reason, rows=rows)
        return self._event("model_rejected", REJECTED_SEVERITY, version, reason)

    def _refused(self, version: str, error: GatewayError) -> Event:
        return self._event("model_refused", REFUSED_SEVERITY, version, f"is not loaded: {error}")

    def _enter(self, version: str, stage: ModelStage, reason: str, *, rows: int = 0) -> None:
        self.state.enter(version, stage, reason, now_ns=self._clock.now_ns(), rows=rows)

    def _event(
        self, condition: str, severity: int, version: str, reason: str, *, operator: str = ""
    ) -> Event:
        return Event(
            time_ns=self._clock.now_ns(),
            source=self.name,
            condition=condition,
            severity=severity,
            text=f"{self.name} {version} {reason}",
            operator=operator,
        )

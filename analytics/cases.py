"""The book of cases: one open case for each asset that has something wrong with it.

Theory. The first alarm of an asset opens its case; all that follow belong to it, until it is
closed: an anomaly, a low health and a high temperature of one pump are one matter and not three.
A case is closed when none of its alarms holds any more and a technician has given a verdict, or
nobody has for a while. Everything here follows from the events of the alarms and from what
technicians do, in their order, so a replay gives the same book.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Final

from pydantic import Field, TypeAdapter

from gateway.core.cases import CLOSED, OPENED, Case, CaseId, Diagnosis, Verdict
from gateway.core.errors import CommandError
from gateway.core.events import Event, Evidence, Transition
from gateway.core.rows import AssetId
from gateway.core.settings import Settings

CLOSED_MAX: Final = 100
"""Closed cases that are remembered, the newest of all assets together."""
EVIDENCE_MAX: Final = 12
"""Reasons that a case keeps."""
NOTE_LENGTH_MAX: Final = 500

_CASES: Final = TypeAdapter(list[Case])
_ENDS: Final = frozenset(
    (
        Transition.RETURNED,
        Transition.SHELVED,
        Transition.SUPPRESSED,
        Transition.OUT_OF_SERVICE,
    )
)
"""After these an alarm no longer asks for anything."""


class CaseSettings(Settings):
    """When cases are opened and closed."""

    severity_min: Annotated[int, Field(ge=1, le=1000)] = 400
    """Alarms below it open no case."""
    close_after_h: Annotated[float, Field(gt=0, le=8760)] = 24.0
    """Hours without an active alarm after which a case is closed without a verdict."""


class CaseBook:
    """All cases of a gateway; implements the port `CaseKeeper`."""

    def __init__(
        self,
        assets: Iterable[AssetId],
        *,
        settings: CaseSettings,
        diagnose: Callable[[AssetId], Diagnosis | None],
    ) -> None:
        """Begin with no case.

        Args:
            assets: Only their alarms open cases; a device's do not.
            settings: When cases are opened and closed.
            diagnose: Says what is likely the matter with an asset now.
        """
        self._assets = frozenset(assets)
        self._settings = settings
        self._diagnose = diagnose
        self._open: dict[AssetId, Case] = {}
        self._closed: list[Case] = []

    def update(self, events: Sequence[Event], *, now_ns: int) -> tuple[Event, ...]:
        """Take in events of alarms and return what became of the cases.

        Args:
            events: In their order; those that are none of an asset's alarm count for nothing.
            now_ns: Time of receipt of the frame that led to them, UTC.
        """
        told: list[Event] = []
        for event in events:
            asset = AssetId(event.source)
            if asset not in self._assets:
                continue
            case = self._open.get(asset)
            if event.transition is Transition.RAISED:
                if case is not None:
                    self._open[asset] = self._extended(case, event)
                elif event.severity >= self._settings.severity_min:
                    self._open[asset] = opened = self._opened(asset, event)
                    told.append(_opening(opened, event))
            elif event.transition in _ENDS and case is not None:
                left = tuple(name for name in case.active if name != event.condition)
                if left != case.active:
                    ended_ns = max(event.time_ns, case.updated_ns)
                    self._open[asset] = replace(case, active=left, updated_ns=ended_ns)
        if self._open:
            told += self._closings(now_ns)
        return tuple(told)

    def cases(self) -> tuple[Case, ...]:
        """Return the open cases, the most severe first, then the closed ones, the newest first."""
        urgent = sorted(self._open.values(), key=lambda case: (-case.severity, case.opened_ns))
        return (*urgent, *reversed(self._closed))

    def decide(
        self, case: CaseId, verdict: Verdict, *, note: str, time_ns: int, operator: str
    ) -> Event:
        """Note what a technician found; a later verdict replaces an earlier one.

        Raises:
            CommandError: there is no such case, or it is forgotten.
        """
        found = next((each for each in self.cases() if each.id == case), None)
        if found is None:
            raise CommandError(f"there is no case {case}")
        # Neighbouring verdicts of one case must not look like one and the same event.
        updated_ns = max(time_ns, found.updated_ns + 1)
        decided = replace(
            found,
            verdict=verdict,
            note=note[:NOTE_LENGTH_MAX],
            operator=operator,
            updated_ns=updated_ns if found.is_open else found.updated_ns,
        )
        if found.is_open:
            self._open[found.asset] = decided
        else:
            self._closed[self._closed.index(found)] = decided
        words = verdict.replace("_", " ")
        return Event(
            time_ns=time_ns,
            source=found.asset,
            condition=verdict.condition,
            severity=found.severity,
            text=f"case {found.id}: {words}" + (f": {decided.note}" if decided.note else ""),
            onset_ns=found.opened_ns,
            operator=operator,
        )

    def repeat(self, event: Event) -> None:
        """Do again what a technician did, as its event tells; of a replay.

        Raises:
            CommandError: the case is forgotten.
        """
        verdict = Verdict(event.condition.removeprefix("case_"))
        _, _, note = event.text.partition(": ")[2].partition(": ")
        for case in self.cases():
            if (case.asset, case.opened_ns) == (event.source, event.onset_ns):
                self.decide(
                    case.id, verdict, note=note, time_ns=event.time_ns, operator=event.operator
                )
                return
        raise CommandError(f"there is no case of {event.source} at {event.onset_ns}")

    def rebase(self, shift_ns: int) -> None:
        """Do nothing: what was told stays, and times of cases are what was told."""

    def checkpoint(self) -> bytes:
        """Return all that `restore` needs to go on exactly from here."""
        content = {
            "open": _CASES.dump_python(list(self._open.values()), mode="json"),
            "closed": _CASES.dump_python(self._closed, mode="json"),
        }
        return json.dumps(content).encode()

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint; cases of assets that are gone are forgotten.

        Raises:
            ValueError: it is damaged; the state is unchanged.
        """
        content = json.loads(checkpoint)
        standing = _CASES.validate_python(content["open"])
        closed = _CASES.validate_python(content["closed"])
        self._open = {case.asset: case for case in standing if case.asset in self._assets}
        self._closed = [case for case in closed if case.asset in self._assets]

    def _opened(self, asset: AssetId, event: Event) -> Case:
        onset_ns = event.time_ns if event.onset_ns is None else event.onset_ns
        return Case(
            asset=asset,
            opened_ns=event.time_ns,
            onset_ns=min(onset_ns, event.time_ns),
            updated_ns=event.time_ns,
            severity=event.severity,
            conditions=(event.condition,),
            active=(event.condition,),
            evidence=_merged((), event.evidence),
            diagnosis=self._diagnose(asset),
        )

    def _extended(self, case: Case, event: Event) -> Case:
        return replace(
            case,
            updated_ns=max(event.time_ns, case.updated_ns),
            severity=max(event.severity, case.severity),
            conditions=_with(case.conditions, event.condition),
            active=_with(case.active, event.condition),
            evidence=_merged(case.evidence, event.evidence),
            diagnosis=self._diagnose(case.asset) or case.diagnosis,
        )

    def _closings(self, now_ns: int) -> list[Event]:
        """Close what is over, and return the events that tell it."""
        told: list[Event] = []
        wait_ns = round(self._settings.close_after_h * 3600e9)
        for asset, case in list(self._open.items()):
            is_left = now_ns - case.updated_ns >= wait_ns
            if case.active or not (case.verdict or is_left):
                continue
            closed_ns = case.updated_ns if case.verdict else case.updated_ns + wait_ns
            over = replace(case, closed_ns=closed_ns)
            del self._open[asset]
            self._closed = [*self._closed, over][-CLOSED_MAX:]
            told.append(_closing(over))
        return told


def _opening(case: Case, event: Event) -> Event:
    likely = f"; {case.diagnosis.sentence}" if case.diagnosis else ""
    return Event(
        time_ns=case.opened_ns,
        source=case.asset,
        condition=OPENED,
        severity=case.severity,
        text=f"case {case.id} opened for {event.condition.replace('_', ' ')}{likely}",
        onset_ns=case.opened_ns,
        evidence=case.evidence,
    )


def _closing(case: Case) -> Event:
    assert case.closed_ns is not None
    why = case.verdict.replace("_", " ") if case.verdict else "over, and nobody gave a verdict"
    return Event(
        time_ns=case.closed_ns,
        source=case.asset,
        condition=CLOSED,
        severity=1,
        text=f"case {case.id} closed: {why}",
        onset_ns=case.opened_ns,
    )


def _with(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return names if name in names else (*names, name)


def _merged(known: tuple[Evidence, ...], more: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    """Return all reasons, the newest of each name, the weightiest first.

    Those without a share are what an alarm watches, and stand at the top.
    """
    by_name: Mapping[str, Evidence] = {each.name: each for each in (*known, *more)}
    ordered = sorted(
        by_name.values(), key=lambda each: -(2.0 if each.share is None else each.share)
    )
    return tuple(ordered[:EVIDENCE_MAX])

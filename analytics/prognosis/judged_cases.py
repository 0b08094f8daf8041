"""Cases whose end is the truth about a prognosis: a confirmed one was a life that ended."""

from collections.abc import Sequence

from gateway.core.cases import CLOSED, Case, CaseId, CaseKeeper, Verdict
from gateway.core.events import Event
from gateway.core.prognosis import Prognoser


class JudgedCases:
    """Implements the port `CaseKeeper`: the cases of another keeper, and what follows from them.

    When a case is closed whose verdict is `confirmed`, the asset had failed and is as new: what was
    told of its remaining life is judged. A verdict that comes after the closing judges nothing, for
    the asset has a new past by then.
    """

    def __init__(self, cases: CaseKeeper, prognosers: Sequence[Prognoser]) -> None:
        """Watch the cases of a keeper on behalf of all that tell remaining lives."""
        self._cases = cases
        self._prognosers = tuple(prognosers)

    def update(self, events: Sequence[Event], *, now_ns: int) -> tuple[Event, ...]:
        """Take in events and return what became of the cases, and of what had been told."""
        told = self._cases.update(events, now_ns=now_ns)
        if not self._prognosers or not any(event.condition == CLOSED for event in told):
            return told
        closed = {(event.source, event.onset_ns) for event in told if event.condition == CLOSED}
        judged: list[Event] = []
        for case in self._cases.cases():
            if (case.asset, case.opened_ns) not in closed or case.closed_ns is None:
                continue
            if case.verdict is not Verdict.CONFIRMED:
                continue
            for prognoser in self._prognosers:
                judged += prognoser.end_life(
                    case.asset, opened_ns=case.opened_ns, closed_ns=case.closed_ns
                )
        return (*told, *judged)

    def cases(self) -> tuple[Case, ...]:
        """Return the cases, open ones first."""
        return self._cases.cases()

    def decide(
        self, case: CaseId, verdict: Verdict, *, note: str, time_ns: int, operator: str
    ) -> Event:
        """Note what a technician found; see `CaseKeeper`."""
        return self._cases.decide(case, verdict, note=note, time_ns=time_ns, operator=operator)

    def repeat(self, event: Event) -> None:
        """Do again what a technician did, as its event tells; see `CaseKeeper`."""
        self._cases.repeat(event)

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set."""
        self._cases.rebase(shift_ns)

    def checkpoint(self) -> bytes:
        """Return all that `restore` needs to go on exactly from here."""
        return self._cases.checkpoint()

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint; see `CaseKeeper`."""
        self._cases.restore(checkpoint)

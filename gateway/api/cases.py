"""What the API does with cases: list them, take a technician's verdict."""

from gateway.api.case_answers import CaseAnswer, CaseList
from gateway.api.errors import NotFoundError
from gateway.api.requests import Request, VerdictRequest
from gateway.api.translate import evidence_answer, moment, moment_or_none
from gateway.api.view import GatewayView
from gateway.core.cases import Case, CaseId


def read_cases(view: GatewayView, _request: Request) -> CaseList:
    """List the cases, open ones first."""
    return CaseList(cases=tuple(case_answer(case) for case in view.cases()))


async def decide(view: GatewayView, request: VerdictRequest, operator: str) -> CaseAnswer:
    """Note what a technician found: the machine was at fault, nothing was wrong, planned work."""
    wanted = CaseId(request.case)
    if not any(case.id == wanted for case in view.cases()):
        raise NotFoundError(f"there is no case {request.case!r}")
    await view.decide(wanted, request.verdict, note=request.note, operator=operator)
    return next(case_answer(case) for case in view.cases() if case.id == wanted)


def case_answer(case: Case) -> CaseAnswer:
    """Return one case."""
    return CaseAnswer(
        id=case.id,
        asset=case.asset,
        is_open=case.is_open,
        opened=moment(case.opened_ns),
        onset=moment(case.onset_ns),
        updated=moment(case.updated_ns),
        closed=moment_or_none(case.closed_ns),
        severity=case.severity,
        conditions=case.conditions,
        active=case.active,
        cause=case.diagnosis.cause if case.diagnosis else "",
        check=case.diagnosis.check if case.diagnosis else "",
        evidence=tuple(evidence_answer(reason) for reason in case.evidence),
        verdict=case.verdict,
        note=case.note,
        operator=case.operator,
    )

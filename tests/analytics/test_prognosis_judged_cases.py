"""A confirmed case is a life that ended: what was told of it is judged, once, and in a replay."""

import pytest

from analytics.cases import CaseBook, CaseSettings
from analytics.prognosis.host import LifeHost
from analytics.prognosis.judged_cases import JudgedCases
from gateway.core.cases import CaseKeeper, Verdict
from gateway.core.events import Event, Transition
from gateway.core.frame import Origin
from tests.analytics.life_hosts import ASSETS, HOUR_NS, life_bundle, life_host, life_rows

ASSET = ASSETS[0]
ROWS = life_rows(seeds=(100, 101))
END_NS = ROWS[-1].time_ns


def books(host: LifeHost) -> JudgedCases:
    inner = CaseBook(ASSETS, settings=CaseSettings(), diagnose=lambda _: None)
    return JudgedCases(inner, [host])


def alarm(transition: Transition, time_ns: int) -> Event:
    return Event(
        time_ns=time_ns,
        source=ASSET,
        condition="burnt",
        severity=800,
        transition=transition,
        text="",
    )


def conditions(events: tuple[Event, ...]) -> list[str]:
    return [event.condition for event in events]


def lived() -> LifeHost:
    host = life_host(life_bundle())
    for rows in ROWS:
        host.update(rows)
    return host


def decide(cases: JudgedCases, verdict: Verdict) -> Event:
    return cases.decide(
        cases.cases()[0].id, verdict, note="", time_ns=END_NS + 2 * HOUR_NS, operator="kim"
    )


def test_it_is_what_the_port_asks_for() -> None:
    keeper: CaseKeeper = books(life_host())
    assert keeper.cases() == ()


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (Verdict.CONFIRMED, ["case_closed", "life_judged"]),
        (Verdict.FALSE, ["case_closed"]),
        (Verdict.PLANNED_WORK, ["case_closed"]),
    ],
)
def test_only_a_confirmed_case_is_the_end_of_a_life(verdict: Verdict, told: list[str]) -> None:
    host = lived()
    cases = books(host)
    raised = cases.update([alarm(Transition.RAISED, END_NS)], now_ns=END_NS)
    assert conditions(raised) == ["case_opened"]
    decide(cases, verdict)
    gone_ns = END_NS + 3 * HOUR_NS
    closed = cases.update([alarm(Transition.RETURNED, gone_ns)], now_ns=gone_ns)
    assert conditions(closed) == told
    assert host.coverage is not None
    assert cases.update([], now_ns=gone_ns + HOUR_NS) == ()


def test_a_case_without_a_verdict_judges_nothing_and_a_late_one_does_not_either() -> None:
    host = lived()
    cases = books(host)
    cases.update([alarm(Transition.RAISED, END_NS)], now_ns=END_NS)
    cases.update([alarm(Transition.RETURNED, END_NS + 1)], now_ns=END_NS + 1)
    assert conditions(cases.update([], now_ns=END_NS + 25 * HOUR_NS)) == ["case_closed"]
    decide(cases, Verdict.CONFIRMED)
    assert cases.update([], now_ns=END_NS + 26 * HOUR_NS) == ()
    assert host.coverage is not None
    assert host.coverage.judged == 0


@pytest.mark.parametrize("cut", [20, 60, len(ROWS) - 1])
def test_a_replay_judges_the_same(cut: int) -> None:
    """From a checkpoint anywhere in the life: the same event, and the same count."""
    whole = life_host(life_bundle())
    cases = books(whole)
    for rows in ROWS[:cut]:
        whole.update(rows)
    kept, kept_cases = whole.checkpoint(), cases.checkpoint()
    for rows in ROWS[cut:]:
        whole.update(rows)
    cases.update([alarm(Transition.RAISED, END_NS)], now_ns=END_NS)
    verdict = decide(cases, Verdict.CONFIRMED)
    gone = [alarm(Transition.RETURNED, END_NS + 3 * HOUR_NS)]
    expected = cases.update(gone, now_ns=END_NS + 3 * HOUR_NS)

    again = life_host()
    again.restore(kept)
    again.activate(life_bundle())
    repeated = books(again)
    repeated.restore(kept_cases)
    for rows in life_rows(begin=cut, origin=Origin.REPLAYED):
        again.update(rows)
    repeated.update([alarm(Transition.RAISED, END_NS)], now_ns=END_NS)
    repeated.repeat(verdict)
    assert repeated.update(gone, now_ns=END_NS + 3 * HOUR_NS) == expected
    assert conditions(expected) == ["case_closed", "life_judged"]
    assert again.coverage == whole.coverage
    assert again.checkpoint() == whole.checkpoint()

"""Cases: one open case an asset, its verdict kept, a replay the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.cases import CLOSED_MAX, EVIDENCE_MAX, CaseBook, CaseSettings
from gateway.core.cases import CLOSED, OPENED, CaseId, Diagnosis, Verdict
from gateway.core.errors import CommandError
from gateway.core.events import Event, Evidence, Transition
from gateway.core.rows import AssetId

PUMP, OTHER = AssetId("P-101"), AssetId("P-102")
S = 10**9
HOUR = 3600 * S
T0 = 1_767_225_600 * S
CLOGGED = Diagnosis(cause="likely: filter clogged", check="look at the gauge")


def book(diagnosis: Diagnosis | None = CLOGGED) -> CaseBook:
    return CaseBook([PUMP, OTHER], settings=CaseSettings(), diagnose=lambda _: diagnosis)


def alarm(
    condition: str,
    transition: Transition,
    at_s: int,
    *,
    source: str = PUMP,
    severity: int = 500,
    evidence: tuple[Evidence, ...] = (),
) -> Event:
    return Event(
        time_ns=T0 + at_s * S,
        source=source,
        condition=condition,
        severity=severity,
        transition=transition,
        text="",
        onset_ns=T0 + (at_s - 30) * S if transition is Transition.RAISED else None,
        evidence=evidence,
    )


def raised(
    condition: str,
    at_s: int,
    *,
    source: str = PUMP,
    severity: int = 500,
    evidence: tuple[Evidence, ...] = (),
) -> Event:
    return alarm(
        condition,
        Transition.RAISED,
        at_s,
        source=source,
        severity=severity,
        evidence=evidence,
    )


def returned(condition: str, at_s: int) -> Event:
    return alarm(condition, Transition.RETURNED, at_s)


def test_all_alarms_of_an_asset_are_one_case() -> None:
    """The first opens it and tells; the others join it, with their reasons and severity."""
    cases = book()
    reasons = (Evidence(name="flow", value=1.0, share=0.2), Evidence(name="dp", value=2.0))
    (told,) = cases.update([raised("anomaly", 100, evidence=reasons)], now_ns=T0)
    assert (told.condition, told.source, told.onset_ns) == (OPENED, PUMP, told.time_ns)
    assert "likely: filter clogged: look at the gauge" in told.text
    more = (Evidence(name="flow", value=3.0, share=0.7),)
    assert not cases.update(
        [raised("health_low", 130, severity=700, evidence=more), raised("anomaly", 140)], now_ns=T0
    )
    (case,) = cases.cases()
    assert case.onset_ns == T0 + 70 * S
    assert case.opened_ns == T0 + 100 * S
    assert case.severity == 700
    assert case.conditions == ("anomaly", "health_low")
    assert [each.name for each in case.evidence] == ["dp", "flow"]
    assert case.evidence[1].value == 3.0
    assert case.diagnosis == CLOGGED


def test_assets_have_cases_of_their_own_and_devices_none() -> None:
    cases = book()
    events = [
        raised("anomaly", 1),
        raised("anomaly", 2, source=OTHER, severity=900),
        raised("device_lost", 3, source="pumps"),
        raised("note", 4, severity=399, source=OTHER),
    ]
    assert len(cases.update(events, now_ns=T0)) == 2
    assert [case.asset for case in cases.cases()] == [OTHER, PUMP]


def test_what_is_not_urgent_opens_no_case() -> None:
    cases = book()
    assert not cases.update([raised("note", 1, severity=399)], now_ns=T0)
    assert cases.cases() == ()


def test_a_case_with_a_verdict_closes_when_its_alarms_are_gone() -> None:
    cases = book()
    cases.update([raised("anomaly", 1), raised("hot", 2)], now_ns=T0)
    (case,) = cases.cases()
    told = cases.decide(
        case.id, Verdict.CONFIRMED, note="bearing", time_ns=T0 + 60 * S, operator="kim"
    )
    assert (told.condition, told.operator, told.onset_ns) == (
        "case_confirmed",
        "kim",
        case.opened_ns,
    )
    assert told.text == f"case {case.id}: confirmed: bearing"
    assert not cases.update([returned("hot", 70)], now_ns=T0 + 70 * S)
    (closed,) = cases.update([returned("anomaly", 80)], now_ns=T0 + 80 * S)
    assert (closed.condition, closed.time_ns) == (CLOSED, T0 + 80 * S)
    (over,) = cases.cases()
    assert not over.is_open
    assert (over.verdict, over.note, over.operator) == (Verdict.CONFIRMED, "bearing", "kim")
    cases.update([raised("anomaly", 90)], now_ns=T0 + 90 * S)
    assert [case.is_open for case in cases.cases()] == [True, False]


def test_a_case_that_nobody_judges_closes_after_a_day_without_alarm() -> None:
    cases = book()
    cases.update([raised("anomaly", 1)], now_ns=T0 + S)
    assert not cases.update([], now_ns=T0 + 100 * HOUR)
    cases.update([returned("anomaly", 10)], now_ns=T0 + 10 * S)
    assert not cases.update([], now_ns=T0 + 24 * HOUR)
    (closed,) = cases.update([], now_ns=T0 + 24 * HOUR + 10 * S)
    assert "nobody gave a verdict" in closed.text
    (case,) = cases.cases()
    assert case.closed_ns == T0 + 24 * HOUR + 10 * S


def test_a_closed_case_still_takes_a_verdict_and_a_later_one_counts() -> None:
    cases = book()
    cases.update([raised("anomaly", 1), returned("anomaly", 2)], now_ns=T0)
    cases.update([], now_ns=T0 + 25 * HOUR)
    (case,) = cases.cases()
    for verdict in (Verdict.FALSE, Verdict.PLANNED_WORK):
        cases.decide(case.id, verdict, note="", time_ns=T0 + 30 * HOUR, operator="kim")
    (case,) = cases.cases()
    assert case.verdict is Verdict.PLANNED_WORK
    assert case.closed_ns == T0 + 24 * HOUR + 2 * S


@pytest.mark.parametrize(
    "silence", [Transition.SHELVED, Transition.SUPPRESSED, Transition.OUT_OF_SERVICE]
)
def test_a_silenced_alarm_asks_for_nothing_any_more(silence: Transition) -> None:
    cases = book()
    cases.update([raised("anomaly", 1), alarm("anomaly", silence, 5)], now_ns=T0)
    (case,) = cases.cases()
    assert case.active == ()


def test_an_unknown_case_is_told() -> None:
    with pytest.raises(CommandError, match="there is no case 0123"):
        book().decide(CaseId("0123"), Verdict.FALSE, note="", time_ns=T0, operator="kim")


def test_what_is_kept_is_bounded() -> None:
    cases = book()
    many = tuple(Evidence(name=f"n{k}", value=0.0, share=k / 100) for k in range(30))
    for k in range(CLOSED_MAX + 5):
        at = 100 * k
        cases.update([raised("anomaly", at, evidence=many)], now_ns=T0 + at * S)
        case = cases.cases()[0]
        assert len(case.evidence) == EVIDENCE_MAX
        assert case.evidence[0].name == "n29"
        cases.decide(case.id, Verdict.FALSE, note="", time_ns=T0 + at * S + 1, operator="kim")
        cases.update([returned("anomaly", at + 5)], now_ns=T0 + (at + 5) * S)
    assert len(cases.cases()) == CLOSED_MAX


def test_a_checkpoint_of_other_content_changes_nothing() -> None:
    cases = book()
    cases.update([raised("anomaly", 1)], now_ns=T0)
    with pytest.raises(ValueError, match="asset"):
        cases.restore(b'{"open": [{"asset": 3}], "closed": []}')
    assert len(cases.cases()) == 1


def test_cases_of_assets_that_are_gone_are_forgotten() -> None:
    cases = book()
    cases.update([raised("anomaly", 1)], now_ns=T0)
    smaller = CaseBook([OTHER], settings=CaseSettings(), diagnose=lambda _: None)
    smaller.restore(cases.checkpoint())
    assert smaller.cases() == ()


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from([PUMP, OTHER]),
            st.sampled_from(["hot", "anomaly"]),
            st.sampled_from([Transition.RAISED, Transition.RETURNED, Transition.SHELVED, None]),
            st.integers(1, 20 * 3600),
        ),
        max_size=30,
    ),
    cut=st.integers(0, 30),
)
def test_a_replay_from_a_checkpoint_gives_the_same_book(
    steps: list[tuple[AssetId, str, Transition | None, int]], cut: int
) -> None:
    """Alarms, verdicts (a None) and restarts anywhere: one open case an asset, equal books."""
    whole, resumed = book(), book()
    at_s = 0
    for number, (asset, condition, transition, pause_s) in enumerate(steps):
        at_s += pause_s
        if number == cut:
            before, resumed = resumed, book()
            resumed.restore(before.checkpoint())
        if transition is None:
            for case in whole.cases()[:1]:
                event = whole.decide(
                    case.id,
                    Verdict.FALSE,
                    note="cable: loose",
                    time_ns=T0 + at_s * S,
                    operator="kim",
                )
                resumed.repeat(event)
        else:
            events = [alarm(condition, transition, at_s, source=asset)]
            now_ns = T0 + at_s * S
            assert whole.update(events, now_ns=now_ns) == resumed.update(events, now_ns=now_ns)
        standing = [case.asset for case in whole.cases() if case.is_open]
        assert len(standing) == len(set(standing))
    assert whole.cases() == resumed.cases()

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.edge.lifecycle import (
    LATENCIES_MAX,
    Verdict,
    joined,
    judge_canary,
    judge_probation,
    judge_shadow,
    version_order,
)
from gateway.core.manifest import RolloutRules
from gateway.core.models import CanaryReport, Comparison

RULES = RolloutRules(
    shadow_rows=600,
    alarm_share_max=0.01,
    missed_share_max=0.05,
    latency_ms_max=5.0,
    probation_rows=400,
    probation_alarm_share_max=0.05,
)
FAST = (1.0,) * 200
SLOW = (1.0,) * 197 + (9.0,) * 3


def report(**fields: object) -> CanaryReport:
    given = {"fault_count": 3, "missed": (), "latency_ms_p99": 1.0, "is_finite": True}
    return CanaryReport(**{**given, **fields})  # type: ignore[arg-type]  # the table is checked


@pytest.mark.parametrize(
    ("seen", "has_incumbent", "verdict", "words"),
    [
        (report(), True, Verdict.STAY, "raises all 3 known faults; now 600 rows"),
        (report(), False, Verdict.PROMOTE, "raises all 3 known faults; there is no other"),
        (report(fault_count=0), True, Verdict.STAY, "gives numbers, in 1.0 ms; now 600 rows"),
        (report(missed=("bearing wear",)), True, Verdict.REJECT, "2 of 3 known faults; it misses"),
        (report(missed=("a", "b")), False, Verdict.REJECT, "1 of 3 known faults; it misses a, b"),
        (report(is_finite=False), False, Verdict.REJECT, "gives no number"),
        (report(latency_ms_p99=5.0), True, Verdict.STAY, "known faults"),
        (report(latency_ms_p99=5.1), True, Verdict.REJECT, "takes 5.1 ms"),
    ],
)
def test_the_canary_cases_decide_who_may_go_on(
    seen: CanaryReport, has_incumbent: bool, verdict: Verdict, words: str
) -> None:
    decision = judge_canary(seen, RULES, has_incumbent=has_incumbent)
    assert decision.verdict is verdict
    assert words in decision.reason


@pytest.mark.parametrize(
    ("seen", "verdict", "words"),
    [
        (Comparison(), Verdict.STAY, "0 of 600 rows"),
        (Comparison(rows=599), Verdict.STAY, "599 of 600 rows"),
        (Comparison(rows=600), Verdict.PROMOTE, "alone on 0 of 600 rows"),
        (Comparison(rows=600, trial_only_alarms=6), Verdict.PROMOTE, "alone on 6 of 600"),
        (Comparison(rows=600, trial_only_alarms=7), Verdict.REJECT, "alone on 7 of 600 rows; 1 %"),
        (Comparison(rows=20, trial_only_alarms=7), Verdict.REJECT, "alone on 7 of 20 rows"),
        (Comparison(rows=20, trial_only_alarms=6), Verdict.STAY, "20 of 600"),
        (
            Comparison(rows=600, reference_alarms=100, missed_alarms=5),
            Verdict.PROMOTE,
            "shares 95 of 100 alarm rows",
        ),
        (
            Comparison(rows=600, reference_alarms=100, missed_alarms=6),
            Verdict.REJECT,
            "silent on 6 of 100 rows",
        ),
        # A share of what is still to come cannot be judged before the end.
        (Comparison(rows=599, reference_alarms=100, missed_alarms=100), Verdict.STAY, "599"),
        (Comparison(rows=1, not_finite=1), Verdict.REJECT, "no number on 1 rows"),
        (Comparison(rows=600, latencies_ms=FAST), Verdict.PROMOTE, "600 rows"),
        (Comparison(rows=600, latencies_ms=SLOW), Verdict.REJECT, "takes 9.0 ms for 1 of 100"),
        (Comparison(rows=600, latencies_ms=(1.0,) * 198 + (9.0,) * 2), Verdict.PROMOTE, "600"),
        (Comparison(rows=600, latencies_ms=(9.0,) * 99), Verdict.PROMOTE, "600 rows"),
    ],
)
def test_the_shadow_is_decided_by_its_rows(seen: Comparison, verdict: Verdict, words: str) -> None:
    decision = judge_shadow(seen, RULES)
    assert decision.verdict is verdict
    assert words in decision.reason


@pytest.mark.parametrize(
    ("seen", "verdict", "words"),
    [
        (Comparison(rows=399), Verdict.STAY, "399 of 400 rows on probation"),
        (Comparison(rows=400), Verdict.END_PROBATION, "alone on 0 of 400"),
        (Comparison(rows=400, trial_only_alarms=20), Verdict.END_PROBATION, "alone on 20 of 400"),
        (Comparison(rows=400, trial_only_alarms=21), Verdict.ROLL_BACK, "21 of 400 rows; 5 %"),
        (Comparison(rows=30, trial_only_alarms=21), Verdict.ROLL_BACK, "21 of 30 rows"),
        (Comparison(rows=3, not_finite=2), Verdict.ROLL_BACK, "no number on 2 rows"),
        (Comparison(rows=200, latencies_ms=SLOW), Verdict.ROLL_BACK, "takes 9.0 ms"),
        (Comparison(rows=200, latencies_ms=FAST), Verdict.STAY, "200 of 400"),
        # Probation asks whether it alarms too much; what it misses was judged in shadow.
        (Comparison(rows=400, reference_alarms=9, missed_alarms=9), Verdict.END_PROBATION, "400"),
    ],
)
def test_probation_is_decided_by_its_rows(seen: Comparison, verdict: Verdict, words: str) -> None:
    decision = judge_probation(seen, RULES)
    assert decision.verdict is verdict
    assert words in decision.reason


counts = st.integers(0, 2000)
comparisons = st.builds(
    Comparison,
    rows=counts,
    trial_only_alarms=counts,
    reference_alarms=counts,
    missed_alarms=counts,
    not_finite=st.integers(0, 2),
    latencies_ms=st.lists(st.floats(0, 10), max_size=20).map(tuple),
)


@given(parts=st.lists(comparisons, min_size=1, max_size=5))
def test_an_early_decision_is_never_undone_by_more_rows(parts: list[Comparison]) -> None:
    """Deciding before the end is allowed only where the end could not differ."""
    seen = Comparison()
    decided = None
    for part in parts:
        seen = joined(seen, part)
        early = judge_shadow(seen, RULES)
        if early.verdict is Verdict.REJECT and seen.rows < RULES.shadow_rows:
            decided = early.verdict
        if decided is not None:
            assert judge_shadow(seen, RULES).verdict is decided


def test_only_the_newest_latencies_are_kept() -> None:
    seen = joined(
        Comparison(latencies_ms=(1.0,) * LATENCIES_MAX), Comparison(latencies_ms=(2.0, 3.0))
    )
    assert len(seen.latencies_ms) == LATENCIES_MAX
    assert seen.latencies_ms[-2:] == (2.0, 3.0)


def test_versions_are_numbers_and_not_text() -> None:
    versions = ["1.10", "2.0", "1.9", "0.99"]
    assert sorted(versions, key=version_order) == ["0.99", "1.9", "1.10", "2.0"]

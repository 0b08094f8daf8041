"""When a version of a model is put in force, refused, or taken back. Pure.

    released --canary--> shadow --rows--> active (probation) --rows--> active
                 |          |                    |
              rejected   rejected           rolled back

The limits come from the bundle's own manifest. A limit is a share of the rows that a stage needs;
once so many rows speak against a version that the rest cannot make up for them, it is decided at
once instead of at the end. With no version in force there is nothing to compare with: the canary
cases alone decide, and there is no probation, for there is nothing to go back to.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Final

from gateway.core.manifest import RolloutRules
from gateway.core.models import CanaryReport, Comparison

LATENCIES_MAX: Final = 1000
"""The newest scoring calls that are judged."""
LATENCIES_MIN: Final = 100
"""Of fewer calls a 99th percentile is merely the slowest one, and says nothing."""

ALARMS_ALONE: Final = "alarms alone"
"""What speaks against a version of an anomaly model."""


class Verdict(StrEnum):
    """What is to be done with a version."""

    STAY = "stay"
    """Nothing yet; after the canary cases: go into shadow."""
    REJECT = "reject"
    PROMOTE = "promote"
    ROLL_BACK = "roll_back"
    END_PROBATION = "end_probation"


MISSED_NAMED_MAX: Final = 2
"""Missed faults that a reason names; the others are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A verdict and its reason, in a sentence with the figures."""

    verdict: Verdict
    reason: str


def judge_canary(report: CanaryReport, rules: RolloutRules, *, has_incumbent: bool) -> Decision:
    """Return whether a version that scored its canary cases may go on, and how far."""
    found = report.fault_count - len(report.missed)
    if not report.is_finite:
        return _reject("gives no number on its canary cases")
    if report.missed:
        names = ", ".join(report.missed[:MISSED_NAMED_MAX])
        if len(report.missed) > MISSED_NAMED_MAX:
            names += f" and {len(report.missed) - MISSED_NAMED_MAX} more"
        return _reject(f"raises {found} of {report.fault_count} known faults; it misses {names}")
    if report.latency_ms_p99 > rules.latency_ms_max:
        return _reject(
            f"takes {report.latency_ms_p99:.1f} ms on its canary cases; {rules.latency_ms_max:g} ms"
            " is the most"
        )
    known = f"raises all {report.fault_count} known faults"
    if report.fault_count == 0:
        known = f"gives numbers, in {report.latency_ms_p99:.1f} ms"
    if has_incumbent:
        return Decision(verdict=Verdict.STAY, reason=f"{known}; now {rules.shadow_rows} rows")
    return Decision(
        verdict=Verdict.PROMOTE, reason=f"{known}; there is no other version to compare with"
    )


def judge_shadow(seen: Comparison, rules: RolloutRules, *, alone: str = ALARMS_ALONE) -> Decision:
    """Return what to do with a candidate, after what was counted beside the version in force.

    Args:
        seen: What was counted.
        rules: Of the candidate.
        alone: What the candidate does on the rows that speak against it, for the reason.
    """
    if seen.not_finite:
        return _reject(f"gives no number on {seen.not_finite} rows")
    if seen.trial_only_alarms > rules.alarm_share_max * rules.shadow_rows:
        return _reject(
            f"{alone} on {seen.trial_only_alarms} of {seen.rows} rows;"
            f" {_percent(rules.alarm_share_max)} of {rules.shadow_rows} is the most"
        )
    if seen.rows < rules.shadow_rows:
        return Decision(
            verdict=Verdict.STAY, reason=f"{seen.rows} of {rules.shadow_rows} rows in shadow"
        )
    if seen.missed_alarms > rules.missed_share_max * seen.reference_alarms:
        return _reject(
            f"is silent on {seen.missed_alarms} of {seen.reference_alarms} rows on which the"
            f" version in force alarms; {_percent(rules.missed_share_max)} is the most"
        )
    slow = _slowness(seen, rules)
    if slow:
        return _reject(slow)
    shared = (
        f", shares {seen.reference_alarms - seen.missed_alarms} of {seen.reference_alarms} alarm"
        " rows"
    )
    return Decision(
        verdict=Verdict.PROMOTE,
        reason=f"{alone} on {seen.trial_only_alarms} of {seen.rows} rows in shadow"
        + (shared if alone == ALARMS_ALONE else ""),
    )


def judge_probation(
    seen: Comparison, rules: RolloutRules, *, alone: str = ALARMS_ALONE
) -> Decision:
    """Return what to do with the version in force, after what was counted beside the former one.

    Args:
        seen: What was counted.
        rules: Of the version in force.
        alone: What it does on the rows that speak against it, for the reason.
    """
    if seen.not_finite:
        return _roll_back(f"gives no number on {seen.not_finite} rows")
    if seen.trial_only_alarms > rules.probation_alarm_share_max * rules.probation_rows:
        return _roll_back(
            f"{alone} on {seen.trial_only_alarms} of {seen.rows} rows;"
            f" {_percent(rules.probation_alarm_share_max)} of {rules.probation_rows} is the most"
        )
    slow = _slowness(seen, rules)
    if slow:
        return _roll_back(slow)
    if seen.rows < rules.probation_rows:
        return Decision(
            verdict=Verdict.STAY, reason=f"{seen.rows} of {rules.probation_rows} rows on probation"
        )
    return Decision(
        verdict=Verdict.END_PROBATION,
        reason=f"{alone} on {seen.trial_only_alarms} of {seen.rows} rows on probation",
    )


def joined(seen: Comparison, more: Comparison) -> Comparison:
    """Return two counts of the same trial as one."""
    return Comparison(
        rows=seen.rows + more.rows,
        trial_only_alarms=seen.trial_only_alarms + more.trial_only_alarms,
        reference_alarms=seen.reference_alarms + more.reference_alarms,
        missed_alarms=seen.missed_alarms + more.missed_alarms,
        not_finite=seen.not_finite + more.not_finite,
        latencies_ms=(*seen.latencies_ms, *more.latencies_ms)[-LATENCIES_MAX:],
    )


def version_order(version: str) -> tuple[int, int]:
    """Return what `major.minor` versions compare by."""
    major, minor = version.split(".")
    return int(major), int(minor)


def _slowness(seen: Comparison, rules: RolloutRules) -> str:
    """Return why a version is too slow; empty when it is not."""
    latencies_ms = sorted(seen.latencies_ms)
    if len(latencies_ms) < LATENCIES_MIN:
        return ""
    # Nearest rank: the smallest value that at least 99 % of the calls do not exceed.
    latency_ms = latencies_ms[ceil(0.99 * len(latencies_ms)) - 1]
    if latency_ms <= rules.latency_ms_max:
        return ""
    return f"takes {latency_ms:.1f} ms for 1 of 100 calls; {rules.latency_ms_max:g} ms is the most"


def _reject(reason: str) -> Decision:
    return Decision(verdict=Verdict.REJECT, reason=reason)


def _roll_back(reason: str) -> Decision:
    return Decision(verdict=Verdict.ROLL_BACK, reason=reason)


def _percent(share: float) -> str:
    return f"{100 * share:g} %"

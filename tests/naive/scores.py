"""The scorers, row by row and pair by pair, as their definitions read."""

from collections.abc import Sequence
from math import exp, sqrt


def runs_of(mask: Sequence[bool]) -> list[tuple[int, int]]:
    """First and last row of each run of true rows."""
    found: list[tuple[int, int]] = []
    for k, is_true in enumerate(mask):
        if not is_true:
            continue
        if found and found[-1][1] == k - 1:
            found[-1] = (found[-1][0], k)
        else:
            found.append((k, k))
    return found


def edges(truth: Sequence[bool], alarm: Sequence[bool]) -> tuple[int, int, list[int | None]]:
    """Hits, false edges, and for each segment the row of its first edge."""
    on = [k for k in range(len(alarm)) if alarm[k] and (k == 0 or not alarm[k - 1])]
    firsts = [next((k for k in on if first <= k <= last), None) for first, last in runs_of(truth)]
    false = sum(not truth[k] for k in on)
    return sum(first is not None for first in firsts), false, firsts


def vus_pr(
    truth: Sequence[bool], score: Sequence[float], *, window_rows: int, threshold_count: int
) -> float:
    """Every width, every threshold, every row."""
    n = len(truth)
    spans = runs_of(truth)
    falling = sorted(score, reverse=True)
    limits = [falling[k * (n - 1) // (threshold_count - 1)] for k in range(threshold_count)]
    areas = []
    for w in range(window_rows + 1):
        weight = [float(is_true) for is_true in truth]
        for first, last in spans:
            for distance in range(1, w // 2 + 1):
                for k in (first - distance, last + distance):
                    if 0 <= k < n:
                        weight[k] += sqrt(1 - distance / w)
        weight = [min(each, 1.0) for each in weight]
        wide: list[tuple[int, int]] = []
        for first, last in spans:
            left, right = max(first - w // 2, 0), min(last + w // 2, n - 1)
            if wide and left <= wide[-1][1]:
                wide[-1] = (wide[-1][0], right)
            else:
                wide.append((left, right))
        area, recall_before = 0.0, 0.0
        for limit in limits:
            alarms = [k for k in range(n) if score[k] >= limit]
            found = sum(weight[k] for k in alarms)
            ramp = sum(weight[k] for k in alarms if not truth[k])
            touched = sum(
                any(score[k] >= limit for k in range(left, right + 1)) for left, right in wide
            )
            recall = min(found / (sum(truth) + ramp / 2), 1.0) * touched / len(wide)
            area += (recall - recall_before) * found / len(alarms)
            recall_before = recall
        areas.append(area)
    return sum(areas) / len(areas)


def nab_score(
    windows: Sequence[tuple[int, int]],
    alarm: Sequence[bool],
    *,
    probation: int,
    false_alarm: float,
    miss: float,
) -> float:
    """One file, its windows as first and last row; raw, before it is scaled."""

    def fall(position: float) -> float:
        return -1.0 if position > 3 else 2 / (1 + exp(5 * position)) - 1

    total = 0.0
    best: list[float | None] = [None] * len(windows)
    for k, is_on in enumerate(alarm):
        if not is_on or k < probation:
            continue
        inside = next((i for i, (left, right) in enumerate(windows) if left <= k <= right), None)
        if inside is not None:
            left, right = windows[inside]
            worth = fall(-(right - k + 1) / (right - left + 1)) / fall(-1.0)
            before = best[inside]
            best[inside] = worth if before is None else max(before, worth)
            continue
        passed = [(left, right) for left, right in windows if right < k]
        if passed:
            left, right = passed[-1]
            total += false_alarm * fall((k - right) / max(right - left, 1))
        else:
            total -= false_alarm
    return total + sum(-miss if each is None else each for each in best)


def auroc(is_of_class: Sequence[bool], score: Sequence[float]) -> float:
    """Share of pairs in the right order."""
    own = [s for s, is_own in zip(score, is_of_class, strict=True) if is_own]
    rest = [s for s, is_own in zip(score, is_of_class, strict=True) if not is_own]
    right = sum((a > b) + (a == b) / 2 for a in own for b in rest)
    return right / (len(own) * len(rest))

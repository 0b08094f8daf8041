"""SKAB: 34 runs of a water circuit, trained on the first 400 rows of each, judged on the rest."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from analytics.scorers.alarms import AlarmRun, edge_score
from analytics.scorers.skab import change_score, row_score
from gateway.core.arrays import BoolArray, FloatArray
from gateway.proof.costs import largest, median
from gateway.proof.plain import averaged, fit_components, with_hysteresis
from gateway.proof.reading import recording, table
from gateway.proof.rows import Row
from gateway.proof.subject import Subject, Watched
from gateway.proof.targets import target
from gateway.proof.workers import Workers

NAME: Final = "skab"
FOLDERS: Final = ("valve1", "valve2", "other")
HEALTHY_ROWS: Final = 400
COLUMN_COUNT: Final = 8
BASELINE: Final = "PCA with hysteresis"
BLIND: Final = ("always on", "on from 20 % to 80 %", "at random")
RANDOM_SEED: Final = 1
RANDOM_ROWS: Final = 30
"""The blind random alarm is drawn anew after so many rows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """One run: what the model said, and what is to be compared with it."""

    watched: Watched
    truth: BoolArray
    change: BoolArray
    time_s: FloatArray
    plain: BoolArray

    def with_alarm(self, alarm: BoolArray) -> AlarmRun:
        """Return the run with someone's alarm."""
        return AlarmRun(truth=self.truth, alarm=alarm, time_s=self.time_s)


def paths(folder: Path) -> list[Path]:
    """Return the runs; none where the set is not there."""
    return [path for name in FOLDERS for path in sorted((folder / NAME / name).glob("*.csv.gz"))]


def judge(subject: Subject, path: Path) -> Judged:
    """Train and score one run."""
    names, lines = table(path, ";")
    cells = np.array([line[1:] for line in lines], dtype=np.float64)
    time_ns = np.array([line[0] for line in lines], dtype="datetime64[ns]").astype(np.int64)
    value = cells[:, :COLUMN_COUNT]
    columns = names[1 : COLUMN_COUNT + 1]
    healthy, test = slice(None, HEALTHY_ROWS), slice(HEALTHY_ROWS, None)
    ratios = fit_components(value[healthy]).ratios(value[test])
    return Judged(
        watched=subject.watch(
            recording(time_ns[healthy], columns, value[healthy]),
            recording(time_ns[test], columns, value[test]),
        ),
        truth=cells[test, COLUMN_COUNT] > 0,
        change=cells[test, COLUMN_COUNT + 1] > 0,
        time_s=(time_ns[test] - time_ns[HEALTHY_ROWS]) / 1e9,
        plain=with_hysteresis(averaged(ratios)),
    )


def measure(
    folder: Path, subject: Subject, workers: Workers, tell: Callable[[str], None]
) -> list[Row]:
    """Return all figures of the set."""
    judged = workers.each(partial(judge, subject), paths(folder), tell)
    changes = [each.change for each in judged]
    ours = figures([each.with_alarm(each.watched.alarm) for each in judged], changes)
    plain = figures([each.with_alarm(each.plain) for each in judged], changes)
    blind = {
        name: figures([each.with_alarm(alarm) for each, alarm in _blind(judged, name)], changes)
        for name in BLIND
    }
    edges = edge_score([each.with_alarm(each.watched.alarm) for each in judged])
    refused = sum(bool(each.watched.refusal) for each in judged)
    note = f"{edges.hit_count} of {edges.segment_count} faults found, {edges.false_count} false"
    return [
        Row(
            set_name=NAME,
            metric=metric,
            value=value,
            target=target(NAME, metric),
            baseline=plain[metric],
            baseline_name=BASELINE,
            beside=tuple((name, found[metric]) for name, found in blind.items()),
            latency_ms=median(each.watched.latency_ms for each in judged),
            size_kb=largest(each.watched.size_kb for each in judged),
            note=note + (f", {refused} runs refused" if refused else ""),
        )
        for metric, value in ours.items()
    ]


def figures(runs: list[AlarmRun], changes: list[BoolArray]) -> dict[str, float]:
    """Return the figures of someone's alarms by metric."""
    edges, rows = edge_score(runs), row_score(runs)
    return {
        "edge-F1": edges.f1,
        "false edges": float(edges.false_count),
        "false alarms per hour": edges.false_per_h,
        "F1 of rows": rows.f1,
        "FAR %": rows.false_percent,
        "MAR %": rows.missed_percent,
        "NAB of changes": change_score(runs, changes),
        "delay s, median": edges.delay_s(0.5),
        "delay s, p90": edges.delay_s(0.9),
    }


def _blind(judged: list[Judged], name: str) -> list[tuple[Judged, BoolArray]]:
    """Return the alarms of a rule that never looks at the data."""
    rng = np.random.default_rng(RANDOM_SEED)
    pairs = []
    for each in judged:
        count = len(each.truth)
        share = np.arange(count) / count
        drawn = np.repeat(rng.random(-(-count // RANDOM_ROWS)) < 0.5, RANDOM_ROWS)[:count]
        alarm_by_rule = {
            BLIND[0]: np.ones(count, dtype=np.bool_),
            BLIND[1]: (share >= 0.2) & (share < 0.8),
            BLIND[2]: drawn,
        }
        pairs.append((each, alarm_by_rule[name]))
    return pairs

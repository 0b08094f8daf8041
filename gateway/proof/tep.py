"""Tennessee Eastman: one normal run to learn from, and runs with a fault after eight hours."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from analytics.scorers.process import DetectionScore, detection_score
from gateway.core.arrays import BoolArray, FloatArray
from gateway.proof.costs import largest, median
from gateway.proof.plain import fit_components
from gateway.proof.reading import arrays, recording, steady_times
from gateway.proof.rows import Row
from gateway.proof.subject import Subject, Watched
from gateway.proof.targets import target
from gateway.proof.workers import Workers

NAME: Final = "tep"
FILE: Final = "tep_dev.npz"
NORMAL: Final = "d00"
TEST_SUFFIX: Final = "_te"
FAULT_ROW: Final = 160
RUN_ROWS: Final = 960
PERIOD_S: Final = 180.0
MINUTES_A_ROW: Final = PERIOD_S / 60
COMPONENTS: Final = 9
"""As in the text books; its residual alone then has their figures."""
BASELINE: Final = "PCA, 9 components"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """One run."""

    name: str
    watched: Watched
    plain: BoolArray

    def score(self, alarm: BoolArray) -> DetectionScore:
        """Return the score of an alarm; the normal run is one without a fault."""
        is_normal = self.name == NORMAL + TEST_SUFFIX
        return detection_score(alarm, fault_row=len(alarm) if is_normal else FAULT_ROW)


def paths(folder: Path) -> list[Path]:
    """Return the file; none where the set is not there."""
    path = folder / NAME / FILE
    return [path] if path.is_file() else []


def judge(subject: Subject, path: Path, name: str) -> Judged:
    """Train on the normal run and score another one."""
    stored = arrays(path, NORMAL, name)
    healthy, test = (stored[run].astype(np.float64) for run in (NORMAL, name))
    columns = [f"xmeas_{k}" for k in range(1, 42)] + [f"xmv_{k}" for k in range(1, 12)]
    watched = subject.watch(
        recording(steady_times(len(healthy), PERIOD_S), columns, healthy),
        recording(steady_times(len(test), PERIOD_S), columns, test),
    )
    ratios = fit_components(healthy, count=COMPONENTS).ratios(test)
    return Judged(name=name, watched=watched, plain=ratios > 1)


def measure(
    folder: Path, subject: Subject, workers: Workers, tell: Callable[[str], None]
) -> list[Row]:
    """Return all figures of the set."""
    (path,) = paths(folder)
    names = sorted(name for name in arrays(path) if name.endswith(TEST_SUFFIX))
    judged = workers.each(partial(judge, subject, path), names, tell)
    ours = [(each.name, each.score(each.watched.alarm)) for each in judged]
    plain = _figures([(each.name, each.score(each.plain)) for each in judged])
    above = [(each.name, each.score(each.watched.ranking > 1)) for each in judged]
    beside = _figures(above)
    note_by_metric = {
        "FDR %": ", ".join(
            f"{name.removesuffix(TEST_SUFFIX)} {score.detected_percent:.0f}"
            for name, score in ours
            if np.isfinite(score.detected_percent)
        ),
        "FAR %": "normal rows before the faults, and the normal run",
        "delay min, median": f"{_missed(ours)} faults not detected",
    }
    refusals = sorted({f"refused: {each.watched.refusal}" for each in judged} - {"refused: "})
    return [
        Row(
            set_name=NAME,
            metric=metric,
            value=value,
            target=target(NAME, metric),
            baseline=plain[metric],
            baseline_name=BASELINE,
            beside=(("score above 1, without the alarm's delays", beside[metric]),),
            latency_ms=median(each.watched.latency_ms for each in judged),
            size_kb=largest(each.watched.size_kb for each in judged),
            note="; ".join([note_by_metric[metric], *refusals]),
        )
        for metric, value in _figures(ours).items()
    ]


def _figures(scores: list[tuple[str, DetectionScore]]) -> dict[str, float]:
    """Return the figures by metric; a fault that is not detected has the run's whole length."""
    faults = [score for _, score in scores if np.isfinite(score.detected_percent)]
    rows = [FAULT_ROW if np.isfinite(score.detected_percent) else RUN_ROWS for _, score in scores]
    false: FloatArray = np.array([score.false_percent for _, score in scores])
    delays = [
        RUN_ROWS - FAULT_ROW if score.delay_rows is None else score.delay_rows for score in faults
    ]
    return {
        "FDR %": float(np.mean([score.detected_percent for score in faults])),
        "FAR %": float(np.average(false, weights=rows)),
        "delay min, median": float(np.median(delays)) * MINUTES_A_ROW,
    }


def _missed(scores: list[tuple[str, DetectionScore]]) -> int:
    return sum(
        score.delay_rows is None for _, score in scores if np.isfinite(score.detected_percent)
    )

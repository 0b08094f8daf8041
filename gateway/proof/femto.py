"""FEMTO: six bearings run to failure; each is left out once and judged by the other five."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from analytics.scorers.life import OnsetScore, onset_score, phm_score
from gateway.core.arrays import FloatArray
from gateway.proof.costs import largest, median
from gateway.proof.reading import arrays
from gateway.proof.rows import Row
from gateway.proof.subject import Foreseen, Lives, Subject
from gateway.proof.targets import target
from gateway.proof.workers import Workers

NAME: Final = "femto"
SNAPSHOT_S: Final = 10.0
LAST_SHARE: Final = 0.8
ASKED_SHARES: Final = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Where the PHM score asks, in shares of the life: the challenge's truncations are not public."""
AGE_SHARE: Final = 0.2
BASELINE: Final = "a fifth of the age"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """One bearing left out; arrays of one value a snapshot."""

    name: str
    time_s: FloatArray
    foreseen: Foreseen | None

    @property
    def actual_s(self) -> FloatArray:
        """Remaining life."""
        return np.asarray(self.time_s[-1] - self.time_s)

    @property
    def life_share(self) -> FloatArray:
        """From 0 to 1."""
        return np.asarray((self.time_s - self.time_s[0]) / (self.time_s[-1] - self.time_s[0]))

    def onset(self) -> OnsetScore:
        """Return when wear was noticed: when there first is a figure."""
        assert self.foreseen is not None
        return onset_score(self.foreseen.known, self.life_share)

    def error_percent(self, predicted_s: FloatArray) -> float:
        """Return the median error in the last fifth; a figure that is missing is wholly wrong."""
        is_last = (self.life_share >= LAST_SHARE) & (self.actual_s > 0)
        actual = self.actual_s[is_last]
        error = np.abs(predicted_s[is_last] - actual) / actual
        return 100 * float(np.median(np.where(np.isfinite(error), error, 1.0)))

    def phm(self, predicted_s: FloatArray) -> float:
        """Return the PHM score at the asked moments; a figure that is missing scores nothing."""
        at = np.searchsorted(self.life_share, ASKED_SHARES)
        known = np.isfinite(predicted_s[at])
        if not known.any():
            return 0.0
        return phm_score(predicted_s[at][known], self.actual_s[at][known]) * float(known.mean())


def is_there(folder: Path) -> bool:
    """Whether there is a bearing to judge and another one to learn from."""
    return len(paths(folder)) > 1


def paths(folder: Path) -> list[Path]:
    """Return the bearings; none where the set is not there."""
    return sorted((folder / NAME).glob("Bearing*.npz"))


def judge(subject: Subject, everyone: tuple[Path, ...], path: Path) -> Judged:
    """Learn from the other bearings and foresee this one's end at every snapshot."""
    test = _lives([path])
    others = _lives([other for other in everyone if other != path])
    return Judged(
        name=path.stem,
        time_s=test.time,
        foreseen=subject.foresee(others, test, cap=None) if subject.has_life else None,
    )


def measure(
    folder: Path, subject: Subject, workers: Workers, tell: Callable[[str], None]
) -> list[Row]:
    """Return all figures of the set."""
    everyone = paths(folder)
    judged = workers.each(partial(judge, subject, tuple(everyone)), everyone, tell)
    told = [each.foreseen for each in judged if each.foreseen is not None]
    by_age = [AGE_SHARE * each.time_s for each in judged]
    plain = {
        "PHM score": float(np.mean([j.phm(age) for j, age in zip(judged, by_age, strict=True)])),
        "RUL error %, last fifth": float(
            np.median([j.error_percent(age) for j, age in zip(judged, by_age, strict=True)])
        ),
    }
    value_by_metric: dict[str, float] = {}
    note_by_metric: dict[str, str] = {}
    if told:
        value_by_metric, note_by_metric = _figures(judged, told)
    return [
        Row(
            set_name=NAME,
            metric=metric,
            value=value_by_metric.get(metric),
            target=target(NAME, metric),
            baseline=plain.get(metric),
            baseline_name=BASELINE if metric in plain else "",
            latency_ms=median(each.latency_ms for each in told),
            size_kb=largest(each.size_kb for each in told),
            note=note_by_metric.get(metric, "") if told else "not built",
        )
        for metric in (
            "PHM score",
            "onsets in good time, of 6",
            "false onsets, most in a life",
            "RUL error %, last fifth",
        )
    ]


def _figures(judged: list[Judged], told: list[Foreseen]) -> tuple[dict[str, float], dict[str, str]]:
    """Return figures and notes by metric."""
    onsets = [each.onset() for each in judged]
    pairs = list(zip(judged, told, strict=True))
    errors = [each.error_percent(foreseen.rul) for each, foreseen in pairs]
    values = {
        "PHM score": float(np.mean([each.phm(foreseen.rul) for each, foreseen in pairs])),
        "onsets in good time, of 6": float(sum(each.noticed_at is not None for each in onsets)),
        "false onsets, most in a life": float(max(each.false_count for each in onsets)),
        "RUL error %, last fifth": float(np.median(errors)),
    }
    noticed = [
        f"{each.name} " + ("never" if onset.noticed_at is None else f"{onset.noticed_at:.0%}")
        for each, onset in zip(judged, onsets, strict=True)
    ]
    notes = {
        "onsets in good time, of 6": ", ".join(noticed),
        "RUL error %, last fifth": ", ".join(
            f"{each.name} {error:.0f}" for each, error in zip(judged, errors, strict=True)
        ),
    }
    return values, notes


def _lives(some: list[Path]) -> Lives:
    """Return the features of every snapshot of some bearings as one table."""
    units: list[str] = []
    times, values = [], []
    columns: tuple[str, ...] = ()
    for path in some:
        stored = arrays(path, "features", "feature_names", "snapshot")
        columns = tuple(str(name) for name in stored["feature_names"])
        value = stored["features"].astype(np.float64)
        units += [path.stem] * len(value)
        times.append(stored["snapshot"].astype(np.float64) * SNAPSHOT_S)
        values.append(value)
    return Lives(
        unit=tuple(units),
        time=np.concatenate(times),
        columns=columns,
        value=np.concatenate(values),
    )

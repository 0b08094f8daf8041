"""NAB: 58 series of one value each; the first rows of a file are there to learn from."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from analytics.scorers.alarms import rising_edges
from analytics.scorers.nab import PROFILES, Corpus, FileTruth, file_truth, probation_rows
from gateway.core.arrays import BoolArray, FloatArray, TimeArray
from gateway.core.errors import ConfigError
from gateway.proof.costs import largest, median
from gateway.proof.plain import windowed_gaussian
from gateway.proof.reading import recording, table
from gateway.proof.rows import Row
from gateway.proof.subject import Subject, Watched
from gateway.proof.targets import target
from gateway.proof.workers import Workers

NAME: Final = "nab"
LABELS: Final = "labels/combined_windows.json"
THRESHOLD: Final = 1.0
"""Above it a score is anomalous; fixed before any recording was seen."""
PLAIN_THRESHOLD: Final = 5.0
"""Of the baseline: one in a hundred thousand values of a normal distribution."""
BASELINE: Final = "windowed Gaussian"
RANDOM_SEED: Final = 1
TITLES: Final = {
    "standard": "standard",
    "reward_low_FP_rate": "low FP rate",
    "reward_low_FN_rate": "low FN rate",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class File:
    """One series and its labelled windows."""

    path: Path
    windows: tuple[tuple[int, int], ...]
    """First and last time, in microseconds."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """One series."""

    watched: Watched
    plain: FloatArray
    truth: FileTruth


def files(folder: Path) -> list[File]:
    """Return the labelled series that are there; none where the set is not there."""
    path = folder / NAME / LABELS
    if not path.is_file():
        return []
    try:
        labels = json.loads(path.read_text(encoding="utf-8"))
        found = [
            File(
                path=folder / NAME / f"{name}.gz",
                windows=tuple((_time_us(first), _time_us(last)) for first, last in labels[name]),
            )
            for name in sorted(labels)
        ]
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    return [file for file in found if file.path.is_file()]


def judge(subject: Subject, file: File) -> Judged:
    """Train on the first rows of a file, and score the whole of it."""
    time_us, value = _rows(file)
    whole = recording(time_us * 1_000, ["value"], value)
    healthy = slice(None, probation_rows(len(value)))
    return Judged(
        watched=subject.watch(recording(whole.time_ns[healthy], ["value"], value[healthy]), whole),
        plain=windowed_gaussian(value[:, 0]),
        truth=file_truth(time_us, file.windows),
    )


def measure(
    folder: Path, subject: Subject, workers: Workers, tell: Callable[[str], None]
) -> list[Row]:
    """Return all figures of the set."""
    judged = workers.each(partial(judge, subject), files(folder), tell)
    corpus = Corpus([each.truth for each in judged])
    scores = [each.watched.ranking for each in judged]
    plain = [each.plain for each in judged]
    regular = [_regular(len(each.plain)) for each in judged]
    rng = np.random.default_rng(RANDOM_SEED)
    random = [rng.random(len(each.plain)) for each in judged]
    latency_ms = median(each.watched.latency_ms for each in judged)
    size_kb = largest(each.watched.size_kb for each in judged)
    refused = sum(bool(each.watched.refusal) for each in judged)
    note = f"{len(judged)} files" + (f", {refused} refused" if refused else "")
    rows = []
    for profile in PROFILES:
        best, best_plain, best_random = (
            corpus.best_threshold(some, profile) for some in (scores, plain, random)
        )
        metric = f"{TITLES[profile.name]}, corpus threshold"
        rows.append(
            Row(
                set_name=NAME,
                metric=metric,
                value=corpus.score(_above(scores, best), profile),
                target=target(NAME, metric),
                baseline=corpus.score(_above(plain, best_plain), profile),
                baseline_name=BASELINE,
                beside=(
                    ("at random", corpus.score(_above(random, best_random), profile)),
                    ("now and again", corpus.score(regular, profile)),
                ),
                latency_ms=latency_ms,
                size_kb=size_kb,
                note=f"{note}; threshold {best:.3g}",
            )
        )
        metric = f"{TITLES[profile.name]}, threshold fixed"
        edges = [rising_edges(each.watched.alarm) for each in judged]
        rows.append(
            Row(
                set_name=NAME,
                metric=metric,
                value=corpus.score(_above(scores, THRESHOLD), profile),
                target=target(NAME, metric),
                baseline=corpus.score(_above(plain, PLAIN_THRESHOLD), profile),
                baseline_name=BASELINE,
                beside=(("edges of the alarm", corpus.score(edges, profile)),),
                latency_ms=latency_ms,
                size_kb=size_kb,
                note=note,
            )
        )
    return [*rows, *_cost_rows(judged)]


def truth_of(file: File) -> FileTruth:
    """Return what alarms are worth in a file."""
    return file_truth(_rows(file)[0], file.windows)


def _rows(file: File) -> tuple[TimeArray, FloatArray]:
    """Return the times in microseconds, shape (n,), and the values, shape (n, 1)."""
    _, lines = table(file.path)
    time_us = np.array([line[0] for line in lines], dtype="datetime64[us]").astype(np.int64)
    return time_us, np.array([line[1:2] for line in lines], dtype=np.float64)


def _cost_rows(judged: list[Judged]) -> list[Row]:
    latency_ms = median(each.watched.latency_ms for each in judged)
    state_kb = largest(each.watched.state_kb for each in judged)
    return [
        Row(
            set_name=NAME,
            metric="µs a point",
            value=None if latency_ms is None else 1_000 * latency_ms,
            target=target(NAME, "µs a point"),
            latency_ms=latency_ms,
            note="the detector with one asset of one tag",
        ),
        Row(
            set_name=NAME,
            metric="kB a tag",
            value=state_kb,
            target=target(NAME, "kB a tag"),
            size_kb=largest(each.watched.size_kb for each in judged),
            note="what the running model remembers, the largest of all files",
        ),
    ]


def _regular(count: int) -> BoolArray:
    """Return a blind alarm that comes twice in the time of what is learnt from."""
    return np.asarray(np.arange(count) % max(probation_rows(count) // 2, 1) == 0)


def _above(scores: list[FloatArray], threshold: float) -> list[BoolArray]:
    return [score >= threshold for score in scores]


def _time_us(text: str) -> int:
    return int(np.datetime64(text, "us").astype(np.int64))

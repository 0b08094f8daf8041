"""The 58 recordings of NAB, one tag each, not part of the project: what the event finds there.

Each file is trained on its first rows (15 %, at most 750) and scored whole, with one configuration
and the threshold 1. A window is found when an event lies in it.
"""

import csv
import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from analytics.anomaly.trackers import TagTracker, tracker_arrays, tracker_of
from analytics.training.trackers import fit_trackers
from gateway.core.arrays import BoolArray, FloatArray

NAB = Path(__file__).parent.parent.parent.parent / "shared" / "data" / "nab"
WINDOWS = 116
FOUND_MIN = 95
FALSE_PER_ROW_MAX = 0.0015

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not NAB.is_dir(), reason="the recordings are not part of the project"),
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """One recording and its labelled windows."""

    value: FloatArray
    windows: tuple[BoolArray, ...]

    @property
    def trained_rows(self) -> int:
        """Rows that it is trained on and not judged by."""
        return min(int(0.15 * len(self.value)), 750)


def read_run(path: Path, labels: list[list[str]]) -> Run:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    time = np.array([row[0] for row in rows], dtype="datetime64[us]")
    spans = [(np.datetime64(begin, "us"), np.datetime64(end, "us")) for begin, end in labels]
    return Run(
        value=np.array([float(row[1]) for row in rows]),
        windows=tuple((time >= begin) & (time <= end) for begin, end in spans),
    )


def events(runs: list[Run]) -> list[BoolArray]:
    """Where each recording has an event: all of them as the columns of one asset, in one go."""
    models = []
    for run in runs:
        begin = run.value[: run.trained_rows, np.newaxis]
        models.append(tracker_arrays(fit_trackers(begin, np.ones(begin.shape, dtype=np.bool_))))
    together = {
        name: np.concatenate([model[name] for model in models])
        for name in ("level", "spread", "points", "last_met", "log_limit")
    }
    tracker = TagTracker(
        tracker_of(together | {name: models[0][name] for name in ("rate", "tag_margin")}),
        asset_count=1,
    )
    length = max(len(run.value) for run in runs)
    value = np.full((length, len(runs)), np.nan)
    for k, run in enumerate(runs):
        value[: len(run.value), k] = run.value
    told = [tracker.update(row[np.newaxis], np.isfinite(row)[np.newaxis]).event for row in value]
    alarm = np.concatenate(told) > 1
    return [alarm[: len(run.value), k] for k, run in enumerate(runs)]


def found(run: Run, alarm: BoolArray) -> int:
    """How many windows of a recording hold an alarm."""
    return sum(bool((alarm & window)[run.trained_rows :].any()) for window in run.windows)


@pytest.mark.slow
def test_events_find_what_is_labelled_and_little_else() -> None:
    """Far more than as many events at even distances find: it is not their number."""
    labels = json.loads((NAB / "labels" / "combined_windows.json").read_text(encoding="utf-8"))
    runs = [read_run(NAB / f"{name}.gz", spans) for name, spans in sorted(labels.items())]
    assert sum(len(run.windows) for run in runs) == WINDOWS
    hits = blind_hits = false_events = judged = 0
    for run, alarm in zip(runs, events(runs), strict=True):
        outside = ~np.any([np.zeros(len(alarm), dtype=np.bool_), *run.windows], axis=0)
        hits += found(run, alarm)
        false_events += int((alarm & outside)[run.trained_rows :].sum())
        judged += int(outside[run.trained_rows :].sum())
        count = int(alarm[run.trained_rows :].sum())
        blind = np.zeros(len(alarm), dtype=np.bool_)
        blind[np.linspace(run.trained_rows, len(alarm) - 1, count + 2)[1:-1].astype(int)] = True
        blind_hits += found(run, blind)
    assert hits >= FOUND_MIN
    assert false_events / judged <= FALSE_PER_ROW_MAX
    assert blind_hits <= 0.75 * hits

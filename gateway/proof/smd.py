"""SMD: server machines with 38 metrics a minute, a train part and a test part each."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from analytics.scorers.diagnosis import attribution_hit
from gateway.core.arrays import FloatArray
from gateway.proof.costs import largest, median
from gateway.proof.ranked import Ranked, Series, rank, volume_row
from gateway.proof.reading import arrays
from gateway.proof.rows import Row
from gateway.proof.subject import Subject, Watched
from gateway.proof.targets import target
from gateway.proof.workers import Workers

NAME: Final = "smd"
MACHINES: Final = ("machine-1-7", "machine-2-1", "machine-2-7")
PERIOD_S: Final = 60.0
TOP: Final = 3
SEGMENT: Final = re.compile(r"(\d+)-(\d+):([\d,]+)")
SPREAD_MIN: Final = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One machine."""

    ranked: Ranked
    hits: tuple[bool, ...]
    """For each labelled segment, whether one of its columns is among the top ones."""
    plain_hits: tuple[bool, ...]


def paths(folder: Path) -> list[Path]:
    """Return the machines; none where the set is not there."""
    found = [folder / NAME / f"{machine}.npz" for machine in MACHINES]
    return [path for path in found if path.is_file()]


def judge(subject: Subject, path: Path) -> Judged:
    """Train and score one machine."""
    stored = arrays(path, "train_u6", "test_u6", "label", "interpretation")
    healthy = stored["train_u6"].astype(np.float64) / 1e6
    test = stored["test_u6"].astype(np.float64) / 1e6
    series = Series(
        name=path.stem,
        columns=tuple(f"metric_{k + 1}" for k in range(healthy.shape[1])),
        healthy=healthy,
        test=test,
        truth=stored["label"].astype(np.bool_),
        period_s=PERIOD_S,
    )
    ranked, watched = rank(subject, series)
    spread = healthy.std(axis=0) + SPREAD_MIN
    distance = np.abs(test - healthy.mean(axis=0)) / spread
    segments = [
        # Columns are counted from 1, and both ends belong to the segment.
        (int(first), int(last) + 1, [f"metric_{name}" for name in names.strip(",").split(",")])
        for first, last, names in SEGMENT.findall(str(stored["interpretation"]))
    ]
    return Judged(
        ranked=ranked,
        hits=tuple(
            attribution_hit(_shares(watched, first, stop), wanted, TOP)
            for first, stop, wanted in segments
        ),
        plain_hits=tuple(
            attribution_hit(_sums(distance[first:stop], series.columns), wanted, TOP)
            for first, stop, wanted in segments
        ),
    )


def measure(
    folder: Path, subject: Subject, workers: Workers, tell: Callable[[str], None]
) -> list[Row]:
    """Return all figures of the set."""
    judged = workers.each(partial(judge, subject), paths(folder), tell)
    ranked = [each.ranked for each in judged]
    hits = [hit for each in judged for hit in each.hits]
    return [
        volume_row(
            ranked,
            set_name=NAME,
            metric="VUS-PR",
            limits=target(NAME, "VUS-PR"),
            note=", ".join(f"{each.name} {each.volume:.3f}" for each in ranked),
        ),
        Row(
            set_name=NAME,
            metric="top-3 attribution",
            value=float(np.mean(hits)),
            target=target(NAME, "top-3 attribution"),
            baseline=float(np.mean([hit for each in judged for hit in each.plain_hits])),
            baseline_name="summed |z|",
            latency_ms=median(each.latency_ms for each in ranked),
            size_kb=largest(each.size_kb for each in ranked),
            note=f"{sum(hits)} of {len(hits)} segments",
        ),
    ]


def _shares(watched: Watched, first: int, stop: int) -> dict[str, float]:
    """Return the shares of each column, summed over the rows of a segment."""
    total: dict[str, float] = {}
    for shares in watched.shares[first:stop]:
        for name, share in shares:
            total[name] = total.get(name, 0.0) + share
    return total


def _sums(distance: FloatArray, columns: tuple[str, ...]) -> dict[str, float]:
    return dict(zip(columns, distance.sum(axis=0).tolist(), strict=True))

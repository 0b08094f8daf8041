"""SMAP: 54 channels of a satellite, one telemetry value and 24 commands each."""

import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from gateway.core.errors import ConfigError
from gateway.proof.ranked import Ranked, Series, rank, volume_row
from gateway.proof.reading import arrays
from gateway.proof.rows import Row
from gateway.proof.subject import Subject
from gateway.proof.targets import target
from gateway.proof.workers import Workers

NAME: Final = "smap"
PERIOD_S: Final = 60.0
"""The recordings have no times; a minute is what the telemetry was thinned to."""
PUBLISHED: Final = "published_vus_pr.csv"
"""Lists the channels for which there are published figures."""


def paths(folder: Path) -> list[Path]:
    """Return the channels; none where the set is not there."""
    return sorted((folder / NAME).glob("*.npz"))


def judge(subject: Subject, path: Path) -> Ranked:
    """Train and score one channel."""
    stored = arrays(path, "train", "test", "label")
    healthy = stored["train"].astype(np.float64)
    series = Series(
        name=path.stem,
        columns=("telemetry", *(f"command_{k}" for k in range(1, healthy.shape[1]))),
        healthy=healthy,
        test=stored["test"].astype(np.float64),
        truth=stored["label"].astype(np.bool_),
        period_s=PERIOD_S,
    )
    return rank(subject, series)[0]


def measure(
    folder: Path, subject: Subject, workers: Workers, tell: Callable[[str], None]
) -> list[Row]:
    """Return the figures of all channels, and of those with published figures."""
    judged = workers.each(partial(judge, subject), paths(folder), tell)
    names = _published(folder / NAME / PUBLISHED)
    chosen = [each for each in judged if each.name in names]
    return [
        volume_row(some, set_name=NAME, metric=metric, limits=target(NAME, metric))
        for metric, some in (("VUS-PR, all channels", judged), ("VUS-PR, published ones", chosen))
        if some
    ]


def _published(path: Path) -> frozenset[str]:
    """Return the names of the channels with published figures; none where the list is missing."""
    if not path.is_file():
        return frozenset()
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return frozenset(line["entity"] for line in csv.DictReader(file))
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error

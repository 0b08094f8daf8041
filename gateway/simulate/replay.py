"""A recording as an OPC UA server: the columns of a file become variables.

Rows come in the file's own timing divided by the speed; source times are the present, as a live
machine's are. An empty cell becomes a Bad value.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from gateway.core.errors import ConfigError
from gateway.core.tags import TagId
from gateway.recordings import read_recording
from gateway.simulate.server import ServedNode

CONNECTOR: Final = "replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """The rows of a recording in the order of time."""

    columns: tuple[str, ...]
    """Names of the value columns as in the file."""
    time_s: tuple[float, ...]
    """Time of each row since the first one; never falls."""
    rows: tuple[tuple[float, ...], ...]
    """Values of each row in the order of `columns`; NaN where empty."""

    def nodes(self) -> tuple[ServedNode, ...]:
        """Return one variable for each column: `Volume Flow RateRMS` is `Volume_Flow_RateRMS`."""
        return tuple(
            ServedNode(identifier=name, tag=TagId(f"{CONNECTOR}.{name}"))
            for name in identifiers_of(self.columns)
        )


def identifiers_of(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return what the columns are called as nodes and tags: letters, digits, `_`, `-`, `.`."""
    return tuple(re.sub(r"[^\w.-]+", "_", name.strip()) for name in columns)


def read_play(path: Path, *, time_column: str | None = None) -> Play:
    """Return what a file, CSV or Parquet, has to play.

    Raises:
        ConfigError: with file, place and remedy.
    """
    recording = read_recording(path, time_column=time_column)
    names = identifiers_of(recording.columns)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not all(names):
        raise ConfigError(f"{path}:1: names a column twice or not at all {twice}: rename it")
    back = np.flatnonzero(np.diff(recording.time_ns) < 0)
    if len(back):
        raise ConfigError(
            f"{path}:{back[0] + 3}: this time is before the one above: sort it by time"
        )
    since_ns = recording.time_ns - recording.time_ns[0]
    return Play(
        columns=recording.columns,
        time_s=tuple((since_ns / 1e9).tolist()),
        rows=tuple(tuple(row) for row in recording.value.tolist()),
    )

"""Reads public recordings in the form in which they are published."""

import csv
import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gateway.core.arrays import FloatArray, TimeArray, frozen
from gateway.core.errors import ConfigError
from gateway.recordings import Recording

NS_PER_S = 1_000_000_000
BEGIN_NS = 1_600_000_000 * NS_PER_S
"""Where recordings without times begin."""


def table(path: Path, separator: str = ",") -> tuple[list[str], list[list[str]]]:
    """Return the names and the lines of a packed CSV file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            names, *lines = list(csv.reader(file, delimiter=separator))
    except (OSError, EOFError, ValueError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    return names, lines


def numbers(path: Path) -> FloatArray:
    """Return the numbers of a packed text file with spaces between, shape (n, m).

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            return np.atleast_2d(np.loadtxt(file, dtype=np.float64))
    except (OSError, EOFError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def arrays(path: Path, *names: str) -> Mapping[str, NDArray[np.generic]]:
    """Return arrays of a NumPy file by name; without names, all of them.

    Raises:
        ConfigError: it cannot be read, or lacks one.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names or file.files}
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def recording(time_ns: TimeArray, columns: Sequence[str], value: FloatArray) -> Recording:
    """Return a recording of n rows, the values copied."""
    return Recording(
        time_ns=frozen(time_ns.copy()),
        columns=tuple(columns),
        value=frozen(np.array(value, dtype=np.float64)),
    )


def steady_times(count: int, period_s: float) -> TimeArray:
    """Return the times of rows that come evenly, shape (count,)."""
    return BEGIN_NS + np.arange(count, dtype=np.int64) * int(period_s * NS_PER_S)

"""Rows of several machines in one file: which machine and which time each row is of."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from analytics.training.rul import Life
from gateway.core.arrays import FloatArray
from gateway.core.errors import ConfigError
from gateway.recordings import Recording, read_recording

NS_PER_COUNT: Final = 1e9
"""A recording reads a small number as seconds; what it counts is its own affair here."""
NS_PER_HOUR: Final = 3.6e12
COUNT_NS_MAX: Final = 10**17
"""Larger is a date: in 1973 or later."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LivesFile:
    """The rows of a file, in its order."""

    recording: Recording
    unit: tuple[str, ...]
    """Name of the machine of each row, shape (n,)."""
    time_text: tuple[str, ...]
    """Time of each row as it stands in the file."""
    time: FloatArray
    """In the time unit, shape (n,)."""
    time_unit: Literal["count", "hour"]
    """Hours when the file has dates, else what its times count."""

    def units(self) -> tuple[tuple[str, ...], NDArray[np.intp]]:
        """Return the machines, in the order in which they come, and which one each row is of."""
        position = {name: k for k, name in enumerate(dict.fromkeys(self.unit))}
        return tuple(position), np.array([position[name] for name in self.unit], dtype=np.intp)


def read_lives_file(
    path: Path, *, unit: str | None, time: str, columns: tuple[str, ...] | None
) -> LivesFile:
    """Return the rows of several machines.

    Args:
        path: CSV or Parquet.
        unit: Column with the name of the machine; None when all rows are of one.
        time: Column with the times: dates, or a count such as cycles or hours run.
        columns: What to read; None is all that hold numbers.
    Raises:
        ConfigError: the file cannot be understood; says where and what to do.
    """
    if unit == time:
        raise ConfigError(f"{path}: {unit!r} cannot tell both the machine and the time")
    text = [time] if unit is None else [unit, time]
    recording = read_recording(path, time_column=time, columns=columns, text=text)
    count = len(recording.time_ns)
    units = ("",) * count if unit is None else recording.text[unit]
    nameless = [k for k, name in enumerate(units) if unit is not None and not name.strip()]
    if nameless:
        raise ConfigError(
            f"{path}: row {nameless[0] + 1} has nothing under {unit!r}, and so have "
            f"{len(nameless) - 1} others: fill in the machine, or leave these rows out"
        )
    is_count = bool(recording.time_ns.max() < COUNT_NS_MAX)
    return LivesFile(
        recording=recording,
        unit=units,
        time_text=recording.text[time],
        time=recording.time_ns / (NS_PER_COUNT if is_count else NS_PER_HOUR),
        time_unit="count" if is_count else "hour",
    )


def whole_lives(file: LivesFile) -> tuple[list[Life], int]:
    """Return the life of each machine in the order of time, and how many rows were repeated.

    Of rows of one machine with the same time, the first one counts.
    """
    names, unit_of = file.units()
    lives = []
    for k, name in enumerate(names):
        own = np.flatnonzero(unit_of == k)
        time, first = np.unique(file.time[own], return_index=True)
        lives.append(Life(unit=name, time=time, value=file.recording.value[own[first]]))
    return lives, len(file.time) - sum(len(life.time) for life in lives)

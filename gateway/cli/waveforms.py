"""Waveforms in files: a column of a CSV or Parquet file, or an array of numpy's."""

from pathlib import Path
from typing import Final, Literal, get_args
from zipfile import BadZipFile

import numpy as np

from analytics.vibration.spectrum import G_M_S2, SAMPLES_MIN, acceleration_of
from gateway.core.arrays import FloatArray
from gateway.core.errors import ConfigError
from gateway.recordings import read_recording

Unit = Literal["g", "m/s2", "mm/s"]
"""Of a waveform: an acceleration, or a velocity."""
UNITS: Final[tuple[Unit, ...]] = get_args(Unit)


def read_waveform(path: Path, column: str | None, *, rate_hz: float, unit: Unit) -> FloatArray:
    """Return a waveform as acceleration in g, shape (n,).

    Args:
        path: CSV, Parquet, `.npy` with one array, or `.npz` with named ones.
        column: Name of the column or array, or the number of a column of a `.npy`; None where
            there is only one.
        rate_hz: Samples in a second.
        unit: Of the file.
    Raises:
        ConfigError: the file cannot be read, has no such column, or a value is no number; says
            which and what to do.
    """
    match path.suffix.lower():
        case ".npy" | ".npz":
            values, place = _array(path, column), "sample"
        case _:
            values, place = _column(path, column, rate_hz), "row"
    if len(values) < SAMPLES_MIN:
        raise ConfigError(f"{path}: {len(values)} samples; at least {SAMPLES_MIN}")
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ConfigError(
            f"{path}: {place} {bad[0] + 1} of the waveform is no number ({len(bad)} in all): a "
            "waveform has no gaps; cut the file before it or behind it"
        )
    match unit:
        case "g":
            return values
        case "m/s2":
            return values / G_M_S2
        case "mm/s":
            return acceleration_of(values, rate_hz=rate_hz)


def _column(path: Path, column: str | None, rate_hz: float) -> FloatArray:
    chosen = None if column is None else [column]
    recording = read_recording(path, columns=chosen, period_s=1 / rate_hz)
    if len(recording.columns) != 1:
        raise ConfigError(
            f"{path}: has the columns {', '.join(recording.columns)}: say with --column which "
            "one is the waveform"
        )
    values = recording.value[:, 0]
    try:
        first = float(recording.columns[0])
    except ValueError:
        return values
    # There is no line of names: what stands in its place is the first sample.
    return np.concatenate(([first], values))


def _array(path: Path, name: str | None) -> FloatArray:
    try:
        # numpy would leave a damaged file open.
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                array = loaded
            else:
                array = loaded[_chosen(path, loaded.files, name)]
                name = None
        if array.ndim == 2 and 1 in array.shape:
            array = array.ravel()
        if array.ndim == 2 and name is not None and name.isdecimal():
            if int(name) >= array.shape[1]:
                raise ConfigError(f"{path}: has {array.shape[1]} columns, counted from 0")
            array = array[:, int(name)]
        if array.ndim != 1:
            raise ConfigError(
                f"{path}: an array of shape {array.shape}: give the number of a column, from 0"
            )
        return array.astype(np.float64)
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise ConfigError(f"{path}: cannot be read as an array of numbers: {error}") from error


def _chosen(path: Path, names: list[str], name: str | None) -> str:
    if name is None and len(names) == 1:
        return names[0]
    if name is None or name not in names:
        raise ConfigError(
            f"{path}: has the arrays {', '.join(names)}: say which one is the waveform"
            + ("" if name is None else f"; there is no {name!r}")
        )
    return name

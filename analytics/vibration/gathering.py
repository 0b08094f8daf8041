"""Gathers the samples of one tag until they are a whole waveform.

A waveform is so many samples, evenly spaced, all usable, without a gap. Anything else begins a new
one: what stands before a gap or a Bad sample and what stands behind it are no one waveform.
"""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypedDict

import numpy as np

from gateway.core.arrays import BoolArray, FloatArray, TimeArray

UNEVEN_SHARE_MAX: Final = 0.05
"""Of the usual step: so far may a step differ from it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Waveform:
    """As many samples as were asked for."""

    value: FloatArray
    """Scaled, shape (k,)."""
    rate_hz: float
    """Samples in a second."""
    end_ns: int
    """Time of the last one, UTC."""


class SavedGathering(TypedDict):
    """What a checkpoint keeps."""

    newest_ns: int
    time_ns: str
    value: str


class Gathering:
    """The samples of one tag that are no whole waveform yet."""

    def __init__(self, *, samples: int, scale: float) -> None:
        """Begin with none.

        Args:
            samples: Of a waveform, at least 3.
            scale: What values are multiplied with.
        """
        self._samples = samples
        self._scale = scale
        self._newest_ns = 0
        self._time_ns: TimeArray = np.zeros(0, dtype=np.int64)
        self._value: FloatArray = np.zeros(0)

    def take(self, time_ns: TimeArray, value: FloatArray, usable: BoolArray) -> list[Waveform]:
        """Take in samples and return the waveforms that are whole with them.

        Args:
            time_ns: UTC, shape (n,); what is not newer than before counts for nothing.
            value: Shape (n,).
            usable: Which are Good numbers, shape (n,).
        """
        is_new = time_ns > np.maximum.accumulate(np.append(self._newest_ns, time_ns[:-1]))
        if is_new.any():
            self._newest_ns = int(time_ns[is_new].max())
        times = np.concatenate([self._time_ns, time_ns[is_new]])
        values = np.concatenate([self._value, np.where(usable, value, np.nan)[is_new]])
        found: list[Waveform] = []
        self._time_ns, self._value = times[:0], values[:0]
        for first, end in _even_stretches(times, values):
            count = (end - first) // self._samples
            for start in range(first, first + count * self._samples, self._samples):
                part = slice(start, start + self._samples)
                found.append(self._waveform(times[part], values[part]))
            if end == len(times):
                rest = slice(first + count * self._samples, end)
                self._time_ns, self._value = times[rest], values[rest]
        return found

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set."""
        self._time_ns = self._time_ns + shift_ns
        if self._newest_ns:
            self._newest_ns += shift_ns

    def save(self) -> SavedGathering:
        """Return all that `load` needs to go on exactly from here."""
        return {
            "newest_ns": self._newest_ns,
            "time_ns": b64encode(self._time_ns.tobytes()).decode("ascii"),
            "value": b64encode(self._value.tobytes()).decode("ascii"),
        }

    def load(self, saved: SavedGathering) -> None:
        """Go on from what `save` returned."""
        self._newest_ns = saved["newest_ns"]
        self._time_ns = np.frombuffer(b64decode(saved["time_ns"]), dtype=np.int64)
        self._value = np.frombuffer(b64decode(saved["value"]), dtype=np.float64)

    def _waveform(self, time_ns: TimeArray, value: FloatArray) -> Waveform:
        span_s = float(time_ns[-1] - time_ns[0]) / 1e9
        return Waveform(
            value=value * self._scale,
            rate_hz=(len(time_ns) - 1) / span_s,
            end_ns=int(time_ns[-1]),
        )


def _even_stretches(time_ns: TimeArray, value: FloatArray) -> list[tuple[int, int]]:
    """Return where stretches of evenly spaced numbers begin and end."""
    if not len(time_ns):
        return []
    steps = np.diff(time_ns)
    usual = float(np.median(steps)) if len(steps) else 0.0
    is_number = np.isfinite(value)
    is_joint = np.abs(steps - usual) <= UNEVEN_SHARE_MAX * usual
    is_joint &= is_number[1:] & is_number[:-1]
    borders = [0, *(np.flatnonzero(~is_joint) + 1).tolist(), len(time_ns)]
    return [(first, end) for first, end in pairwise(borders) if is_number[first]]

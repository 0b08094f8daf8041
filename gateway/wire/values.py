"""Values (float64) as bytes: integers first, because a measured value is nearly always one.

It is a short decimal number (21.5), a register times its scale (215 · 0.1, which is another number
than 215 / 10), a count of a converter's steps, or a float32 that came over a field bus. So one
*mode* is chosen for each group of values, a group being one tag in a block:

    e          n / 10^e
    16 + e     the same, rounded to float32
    32, 33     the bits of a float32; the bits as they are
    34         n · the group's own unit, which is kept with the modes
    48 + e     n · 10^-e

The guard is the decoder itself: a value whose integer does not decode to exactly its bits is an
*exception* and stored apart. So -0.0, NaN payloads, infinities, subnormals and numbers above 2^53
all come back bit by bit, whichever mode was chosen. A reader that does not know a mode refuses it.

Idea: Afroozeh, Kuffo, Boncz (2023), ALP: Adaptive Lossless floating-Point Compression, section 3;
here without its vectors and bit packing, which byte shuffling and zstd replace.
"""

from dataclasses import dataclass

import numpy as np

from gateway.core.arrays import BoolArray, FloatArray
from gateway.core.errors import CorruptRecordError
from gateway.wire.columns import (
    ByteReader,
    IntArray,
    get_integers,
    get_steps,
    put_integers,
    put_steps,
    put_unsigned,
)
from gateway.wire.units import COUNT_MIN, unit_of

_SINGLE = 16
_SINGLE_BITS = 32
_DOUBLE_BITS = 33
_MULTIPLES = 34
_PRODUCT = 48

_POWERS = tuple(float(f"1e{exponent}") for exponent in range(11))
_PARTS = (1.0, 0.1, 0.01, 0.001)
"""As they stand in a configuration; 10.0 ** -e need not be the same on every machine."""

_ANY = 1 << 63
_SINGLE_MAX = 1 << 21
"""Nearly every float32 is n / 10^e of a larger n: its bits are shorter then."""
_LONG_MAX = 1 << 43
"""The same for a float64 and more than six decimals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """Modes that are worth a try together."""

    gate: int
    """Only where this mode keeps a quarter of some group, one of the others can keep more."""
    modes: tuple[int, ...]
    """The simplest first."""
    limit: int = _ANY
    """What counts as kept has a smaller integer."""


_FAMILIES = (
    _Family(gate=_DOUBLE_BITS, modes=tuple(range(7))),
    _Family(gate=6, modes=(_PRODUCT + 1, _PRODUCT + 2, _PRODUCT + 3)),
    _Family(gate=_SINGLE_BITS, modes=tuple(range(_SINGLE + 1, _SINGLE + 8)), limit=_SINGLE_MAX),
    _Family(gate=_SINGLE_BITS, modes=(_SINGLE_BITS,)),
    _Family(gate=10, modes=tuple(range(7, 11)), limit=_LONG_MAX),
)
_KNOWN_MODES = frozenset(
    (*(mode for family in _FAMILIES for mode in family.modes), _DOUBLE_BITS, _MULTIPLES)
)

_PLAIN = np.ones(1)
"""The unit of every mode but `_MULTIPLES`."""

_PROBE_COUNT = 64
"""So many values of a group, evenly spread over it, show which mode fits."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Modes:
    """How each group of values is stored."""

    mode: IntArray
    """Shape (g,)."""
    unit: FloatArray
    """Shape (g,); means nothing where the mode is not `_MULTIPLES`."""
    kept: FloatArray
    """Part of the probed values that are no exceptions, shape (g,)."""

    def places(
        self, starts: IntArray, count: int
    ) -> list[tuple[int, BoolArray | slice, FloatArray]]:
        """Return each mode in use, the positions of its values, and their unit."""
        first = int(self.mode[0])
        if (self.mode == first).all():
            units = _PLAIN
            if first == _MULTIPLES:
                units = np.repeat(self.unit, lengths_of(starts, count))
            return [(first, slice(None), units)]
        lengths = lengths_of(starts, count)
        mode_of_value = np.repeat(self.mode, lengths)
        units = np.repeat(self.unit, lengths)
        places: list[tuple[int, BoolArray | slice, FloatArray]] = []
        for mode in np.unique(self.mode).tolist():
            where = mode_of_value == mode
            places.append((mode, where, units[where] if mode == _MULTIPLES else _PLAIN))
        return places


def put_values(values: FloatArray, starts: IntArray) -> bytes:
    """Return a column of values as bytes, each group of them in the mode that fits it.

    Args:
        values: Any float64, shape (n,).
        starts: Where each group begins, ascending from 0, shape (g,); empty when n = 0.
    """
    if len(values) == 0:
        return b""
    with np.errstate(all="ignore"):  # what does not fit is found by decoding it again
        return _put(values, starts, _fitting_modes(values, starts))


def put_signals(values: FloatArray, starts: IntArray) -> bytes:
    """Return as `put_values` does, for groups that are one signal each: it may have a unit.

    Looking for units takes longer; `get_values` reads both.
    """
    if len(values) == 0:
        return b""
    with np.errstate(all="ignore"):  # see above
        return _put(values, starts, _with_units(values, starts, _fitting_modes(values, starts)))


def get_values(reader: ByteReader, count: int, starts: IntArray) -> FloatArray:
    """Return the next column of `count` values, grouped as when it was written.

    Raises:
        CorruptRecordError: it is cut short or contradicts itself.
    """
    if count == 0:
        return np.zeros(0, dtype=np.float64)
    modes = _get_modes(reader, len(starts))
    exception_count = reader.at_most(count, what="exceptions")
    exceptions = get_integers(reader, exception_count)
    if ((exceptions < 0) | (exceptions >= count)).any():
        raise CorruptRecordError(f"an exception lies outside of its {count} values")
    bits = get_integers(reader, exception_count)
    firsts = get_integers(reader, len(starts))
    steps = get_steps(reader, count)
    total = steps * np.arange(count) if isinstance(steps, np.int64) else steps.cumsum()
    integers = total + np.repeat(firsts - total[starts], lengths_of(starts, count))
    values = np.empty(count, dtype=np.float64)
    with np.errstate(all="ignore"):  # a signalling NaN of float32 becomes quiet
        for mode, where, unit in modes.places(starts, count):
            values[where] = _to_values(integers[where], mode, unit)
    values[exceptions] = bits.view(np.float64)
    return values


def lengths_of(starts: IntArray, count: int) -> IntArray:
    """Return how long each group is that begins at `starts` in a column of `count`."""
    lengths = np.empty_like(starts)
    lengths[:-1] = starts[1:]
    lengths[-1:] = count
    lengths -= starts
    return lengths


def _put(values: FloatArray, starts: IntArray, modes: _Modes) -> bytes:
    integers = np.empty(len(values), dtype=np.int64)
    is_exact = np.empty(len(values), dtype=np.bool_)
    for mode, where, unit in modes.places(starts, len(values)):
        integers[where] = _to_integers(values[where], mode, unit)
        is_exact[where] = _is_same(_to_values(integers[where], mode, unit), values[where])
    exceptions = np.flatnonzero(~is_exact)
    if len(exceptions) > 0:
        # Repeating the integer before an exception makes the differences around it small.
        integers[exceptions] = 0
        source = np.maximum.accumulate(np.where(is_exact, np.arange(len(values)), 0))
        integers = integers[source]
    steps = np.zeros_like(integers)
    steps[1:] = integers[1:] - integers[:-1]
    steps[starts] = 0
    return b"".join(
        (
            put_integers(modes.mode),
            put_integers(modes.unit[modes.mode == _MULTIPLES].view(np.int64)),
            put_unsigned(len(exceptions)),
            put_integers(exceptions.astype(np.int64)),
            put_integers(values[exceptions].view(np.int64)),
            put_integers(integers[starts]),
            put_steps(steps),
        )
    )


def _get_modes(reader: ByteReader, group_count: int) -> _Modes:
    mode = get_integers(reader, group_count)
    if not _KNOWN_MODES.issuperset(mode.tolist()):
        raise CorruptRecordError("a column of values has an unknown mode")
    unit = np.ones(group_count)
    has_unit = mode == _MULTIPLES
    unit[has_unit] = get_integers(reader, int(has_unit.sum())).view(np.float64)
    return _Modes(mode=mode, unit=unit, kept=np.ones(group_count))


def _fitting_modes(values: FloatArray, starts: IntArray) -> _Modes:
    """Return the mode that keeps most values of each group; of several the simplest."""
    probes, probe_starts = _probes(values, starts)
    sizes = lengths_of(probe_starts, len(probes))
    modes = np.full(len(starts), _DOUBLE_BITS, dtype=np.int64)
    # Below half of a group, exceptions would cost more than they save.
    best = sizes // 2
    for family in _FAMILIES:
        if (best == sizes).all():
            break
        if not (4 * _kept(probes, probe_starts, family.gate, _ANY) > sizes).any():
            continue
        for mode in family.modes:
            kept = _kept(probes, probe_starts, mode, family.limit)
            modes[kept > best] = mode
            best = np.maximum(best, kept)
            if (best == sizes).all():
                break
    return _Modes(mode=modes, unit=np.ones(len(starts)), kept=best / sizes)


def _kept(probes: FloatArray, starts: IntArray, mode: int, limit: int) -> IntArray:
    """Return how many probes of each group a mode gives back to the bit, shape (g,)."""
    integers = _to_integers(probes, mode, _PLAIN)
    is_kept = _is_same(_to_values(integers, mode, _PLAIN), probes)
    if limit != _ANY:
        is_kept &= np.abs(integers) < limit
    return np.add.reduceat(is_kept, starts, dtype=np.int64)


def _with_units(values: FloatArray, starts: IntArray, modes: _Modes) -> _Modes:
    """Return the modes with a unit for those groups that none fits as well."""
    lengths = lengths_of(starts, len(values))
    mode, unit = modes.mode.copy(), modes.unit.copy()
    for group in np.flatnonzero((modes.kept < 1.0) & (lengths >= COUNT_MIN)).tolist():
        signal = values[starts[group] : starts[group] + lengths[group]]
        found, kept = _unit_and_share(signal)
        if kept > modes.kept[group]:
            mode[group], unit[group] = _MULTIPLES, found
    return _Modes(mode=mode, unit=unit, kept=modes.kept)


def _unit_and_share(values: FloatArray) -> tuple[float, float]:
    """Return a unit of a signal, and the share of values that it gives back to the bit."""
    found = unit_of(values, probes=values[:: len(values) // _PROBE_COUNT])
    if found is None:
        return 1.0, 0.0
    unit = np.array([found])
    multiples = _to_values(_to_integers(values, _MULTIPLES, unit), _MULTIPLES, unit)
    return found, float(_is_same(multiples, values).mean())


def _probes(values: FloatArray, starts: IntArray) -> tuple[FloatArray, IntArray]:
    """Return some values of each group, spread over it, and where each group's begin."""
    if len(starts) == 1:
        return values[:: max(1, len(values) // _PROBE_COUNT)], starts
    lengths = lengths_of(starts, len(values))
    sizes = np.minimum(lengths, _PROBE_COUNT)
    ends = np.cumsum(sizes)
    probe_starts = ends - sizes
    rank = np.arange(ends[-1]) - np.repeat(probe_starts, sizes)
    place = rank * np.repeat(lengths, sizes) // np.repeat(sizes, sizes)
    return values[np.repeat(starts, sizes) + place], probe_starts


def _to_integers(values: FloatArray, mode: int, unit: FloatArray) -> IntArray:
    """Return an integer for each value; where none is exact, any."""
    if mode == _DOUBLE_BITS:
        return values.view(np.int64)
    if mode == _SINGLE_BITS:
        return values.astype(np.float32).view(np.int32).astype(np.int64)
    if mode == _MULTIPLES:
        return np.rint(values / unit).astype(np.int64)
    return np.rint(values * _POWERS[mode % _SINGLE]).astype(np.int64)


def _to_values(integers: IntArray, mode: int, unit: FloatArray) -> FloatArray:
    if mode == _DOUBLE_BITS:
        return integers.view(np.float64)
    if mode == _SINGLE_BITS:
        return integers.astype(np.int32).view(np.float32).astype(np.float64)
    if mode == _MULTIPLES or mode > _PRODUCT:
        part = unit if mode == _MULTIPLES else _PARTS[mode - _PRODUCT]
        multiples: FloatArray = integers.astype(np.float64) * part
        return multiples
    values = integers / _POWERS[mode % _SINGLE]
    return values.astype(np.float32).astype(np.float64) if mode >= _SINGLE else values


def _is_same(left: FloatArray, right: FloatArray) -> BoolArray:
    """Return where two columns agree bit by bit."""
    return np.equal(left.view(np.int64), right.view(np.int64))

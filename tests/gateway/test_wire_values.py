"""Values come back to the bit, whatever they are and whichever mode their group is stored in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.arrays import FloatArray, float_column
from gateway.core.errors import CorruptRecordError
from gateway.wire.columns import ByteReader, IntArray, get_integers, put_integers, put_unsigned
from gateway.wire.values import get_values, put_signals, put_values
from tests.gateway.drawn_frames import AWKWARD, any_bits
from tests.naive.columns import Columns

integers = st.integers(-(2**24), 2**24)
units = st.one_of(
    st.sampled_from([0.1, 0.01, 0.001, 10 / 4095, 16 / 65535, 0.25, 1 / 3]),
    st.floats(1e-9, 1e9),
)


@st.composite
def groups(draw: st.DrawFn) -> list[float]:
    """Draw the values of one signal: of one kind, with awkward ones among them or not."""
    exponent, unit = draw(st.integers(0, 12)), draw(units)
    kinds = [
        any_bits,
        integers.map(lambda n: n / 10.0**exponent),
        integers.map(lambda n: n * unit),
        integers.map(lambda n: float(np.float32(n / 10.0**exponent))),
        st.floats(width=32),
        st.just(draw(any_bits)),
        st.integers(-(2**63), 2**63).map(float),
    ]
    kind = draw(st.sampled_from(kinds))
    if draw(st.booleans()):
        kind = st.one_of(kind, kind, kind, st.sampled_from(AWKWARD), any_bits)
    values = draw(st.lists(kind, min_size=1, max_size=30))
    # A unit is looked for where there are many values: the same ones again make many.
    return values * draw(st.sampled_from([1, 1, 1, 140]))


def starts_of(some: list[list[float]]) -> IntArray:
    sizes = np.array([len(group) for group in some], dtype=np.int64)
    return np.cumsum(sizes) - sizes


def bits_of(values: list[float] | FloatArray) -> bytes:
    return np.asarray(values, dtype=np.float64).tobytes()


@given(st.lists(groups(), max_size=5))
@settings(max_examples=400, deadline=None)
def test_every_value_comes_back_to_the_bit(some: list[list[float]]) -> None:
    """By our decoder, and by a naive one that reads the same bytes one number at a time."""
    values = float_column([value for group in some for value in group])
    for put in (put_values, put_signals):
        packed = put(values, starts_of(some))
        reader = ByteReader(packed)
        found = get_values(reader, len(values), starts_of(some))
        reader.expect_end()
        assert bits_of(found) == bits_of(values)
        naive = Columns(packed)
        assert bits_of(naive.values([len(group) for group in some])) == bits_of(values)
        assert naive.left == b""


@given(
    st.lists(
        st.one_of(
            st.integers(-(2**63), 2**63 - 1),
            st.integers(0, 9_223_372_036).map(lambda seconds: seconds * 10**9),
            st.sampled_from([-(2**63), 2**63 - 1, 0, -1]),
        ),
        max_size=60,
    )
)
@settings(max_examples=300, deadline=None)
def test_every_integer_comes_back(column: list[int]) -> None:
    """Times from 1970 to 2262 and before, whole seconds and any nanosecond; differences wrap."""
    packed = put_integers(np.array(column, dtype=np.int64))
    reader = ByteReader(packed)
    assert get_integers(reader, len(column)).tolist() == column
    reader.expect_end()
    assert Columns(packed).integers(len(column)) == column


@pytest.mark.parametrize("awkward", AWKWARD, ids=lambda value: bits_of([value]).hex())
def test_a_column_of_one_awkward_value_comes_back(awkward: float) -> None:
    """Alone, in a long run, and once among values of each kind."""
    for column in (
        [awkward],
        [awkward] * 300,
        [*np.arange(150) / 10, awkward],
        [awkward, *(np.arange(150) * 0.1)],
        [*(np.arange(150) * (10 / 4095)), awkward, 0.5],
        [*(np.arange(150) / 7).astype(np.float32).astype(np.float64), awkward],
    ):
        start = np.zeros(1, dtype=np.int64)
        for put in (put_values, put_signals):
            packed = put(float_column(column), start)
            assert bits_of(get_values(ByteReader(packed), len(column), start)) == bits_of(column)


@pytest.mark.parametrize("unit", [0.1, 0.001, 10 / 4095, 20 / 65535, 1.0, 16 / 27648])
def test_counts_of_any_unit_take_the_bytes_of_their_differences(unit: float) -> None:
    """A walk of small steps is one byte a value before zstd, in whatever unit it is counted."""
    walk = np.random.default_rng(3).integers(-40, 41, 2_000).cumsum() + 3_000
    values = float_column(walk * unit)
    start = np.zeros(1, dtype=np.int64)
    packed = put_signals(values, start)
    assert len(packed) / len(values) < 1.1
    assert bits_of(get_values(ByteReader(packed), len(values), start)) == bits_of(values)


@pytest.mark.parametrize("scale", [0.1, 0.01, 0.001])
def test_registers_times_a_scale_are_short_in_frames_too(scale: float) -> None:
    """215 times 0.1 is 21.5; 3 times 0.1 is not 0.3."""
    registers = np.random.default_rng(4).integers(0, 200, 1_000)
    packed = put_values(float_column(registers * scale), np.zeros(1, dtype=np.int64))
    assert len(packed) / len(registers) < 2.1


@pytest.mark.parametrize("exponent", range(11))
def test_decimals_take_the_bytes_of_their_differences(exponent: int) -> None:
    walk = np.random.default_rng(3).integers(-40, 41, 2_000).cumsum() + 3_000
    packed = put_values(float_column(walk / 10.0**exponent), np.zeros(1, dtype=np.int64))
    assert len(packed) / len(walk) < 1.1


@given(st.binary(max_size=120), st.integers(1, 200), st.integers(1, 6))
@settings(max_examples=400, deadline=None)
def test_foreign_bytes_are_values_or_refused(foreign: bytes, count: int, group_count: int) -> None:
    starts = np.arange(min(group_count, count), dtype=np.int64)
    try:
        assert len(get_values(ByteReader(foreign), count, starts)) == count
    except CorruptRecordError:
        return


def test_an_unknown_mode_is_refused() -> None:
    start = np.zeros(1, dtype=np.int64)
    for mode in (11, 16, 24, 31, 35, 48, 52, -1):
        foreign = put_integers(np.array([mode])) + put_unsigned(0) + bytes(8)
        with pytest.raises(CorruptRecordError, match="unknown mode"):
            get_values(ByteReader(foreign), 1, start)

"""The step of a converter is found, or nothing is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.arrays import float_column
from gateway.wire.units import unit_of


@given(
    st.one_of(st.floats(1e-6, 1e6), st.sampled_from([0.1, 10 / 4095, 16 / 65535])),
    st.sampled_from([12, 16, 20]),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=200, deadline=None)
def test_the_step_of_a_converter_gives_back_its_values(unit: float, bits: int, seed: int) -> None:
    """To the bit, for nearly all: a float64 beside the true unit may fit what was seen."""
    counts = np.random.default_rng(seed).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), 500)
    values = float_column(counts * unit)
    found = unit_of(values, probes=values[::8])
    assert found is not None
    multiples = np.rint(values / found) * found
    assert np.mean(multiples == values) > 0.99


@pytest.mark.parametrize(
    "column",
    [[], [0.0, -0.0], [np.nan, np.inf, -np.inf], [5e-324, 1.7e308], [1.0, np.pi, np.e]],
    ids=["none", "zeros", "not finite", "far apart", "no common unit"],
)
def test_values_without_a_unit_have_none(column: list[float]) -> None:
    values = float_column(column)
    assert unit_of(values, probes=values) is None


def test_values_that_are_no_multiples_do_not_hide_the_unit_of_the_probes() -> None:
    values = float_column([*(np.arange(1, 200) * (10 / 4095)), 0.123456789, np.nan, 0.0])
    found = unit_of(values, probes=values[:64])
    assert found is not None
    assert found == pytest.approx(10 / 4095, rel=1e-12)

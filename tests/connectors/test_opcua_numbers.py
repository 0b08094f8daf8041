"""Numbers as types hold them, against what struct packs."""

import math
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.opcua.numbers import holds_numbers, number_for

FORMATS = {
    1: "?", 2: "b", 3: "B", 4: "h", 5: "H", 6: "i", 7: "I", 8: "q", 9: "Q", 10: "f", 11: "d",
}  # fmt: skip


def packed(type_id: int, value: float) -> bool:
    """Tell whether a value goes through its bytes unchanged, but for a float's precision."""
    kind = FORMATS[type_id]
    given = value if kind in "fd" else int(value)
    try:
        [back] = struct.unpack(kind, struct.pack(kind, given))
    except (struct.error, OverflowError):
        return False
    return math.isclose(back, value, rel_tol=1e-6, abs_tol=1e-37)


@given(
    st.sampled_from(sorted(FORMATS)),
    st.one_of(
        st.integers(-(2**65), 2**65).map(float),
        st.floats(allow_nan=False, allow_infinity=False),
        st.integers(-300, 300).map(float),
    ),
)
@example(9, 2.0**64)
@example(8, -(2.0**63))
@example(10, 3.4028235e38)
@example(10, 3.4028236e38)
def test_what_fits_is_given_and_the_rest_is_refused(type_id: int, value: float) -> None:
    """Like the naive way through the bytes: nothing is cut, wrapped or rounded."""
    near = round(value) if abs(value - round(value)) <= 1e-6 * max(1.0, abs(value)) else None
    if FORMATS[type_id] in "fd":
        fits = packed(type_id, value)
    elif FORMATS[type_id] == "?":
        fits = near in (0, 1)
    else:
        fits = near is not None and packed(type_id, near)
    if fits:
        assert number_for(type_id, value) == pytest.approx(value, rel=1e-6, abs=1e-6)
    else:
        with pytest.raises(ValueError):
            number_for(type_id, value)


@pytest.mark.parametrize("type_id", FORMATS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_never_written(type_id: int, value: float) -> None:
    with pytest.raises(ValueError, match="is no number"):
        number_for(type_id, value)


def test_scale_and_offset_may_leave_a_trace() -> None:
    """(17.3 - 5) / 0.1 is 123 to a person, and 123.00000000000001 to a computer."""
    assert number_for(4, (17.3 - 5) / 0.1) == 123
    with pytest.raises(ValueError, match="no whole number"):
        number_for(4, 123.4)


def test_truth_values_are_two() -> None:
    assert number_for(1, 1.0) is True
    assert number_for(1, 0.0) is False
    with pytest.raises(ValueError, match="neither 0 nor 1"):
        number_for(1, 2.0)


def test_text_and_structures_are_no_numbers() -> None:
    assert [type_id for type_id in range(30) if holds_numbers(type_id)] == sorted(FORMATS)

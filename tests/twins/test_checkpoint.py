"""Checkpoints: exact, bound to a configuration, and refused when anything does not fit."""

import numpy as np
import pytest

from twins.checkpoint import joined, pack, part, unpack

STATE = {"a": np.array([1.0, np.nan, 0.1]), "b": np.array([7], dtype=np.int64)}


def test_arrays_come_back_to_the_bit() -> None:
    found = unpack(pack(STATE, configuration="x"), configuration="x", like=STATE)
    assert found.keys() == STATE.keys()
    for name, array in STATE.items():
        assert array.tobytes() == found[name].tobytes()


@pytest.mark.parametrize(
    "damaged",
    [b"", b"\x00", b"\x02" + pack(STATE, configuration="x")[1:], b"\x01no archive", b"\x01PK\x03"],
)
def test_other_versions_and_damage_are_refused(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="checkpoint"):
        unpack(damaged, configuration="x", like=STATE)


def test_truncated_bytes_are_refused() -> None:
    whole = pack(STATE, configuration="x")
    for size in range(0, len(whole), 37):
        with pytest.raises(ValueError, match="checkpoint"):
            unpack(whole[:size], configuration="x", like=STATE)


def test_a_flipped_bit_anywhere_is_refused() -> None:
    whole = pack(STATE, configuration="x")
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 0x10
        with pytest.raises(ValueError, match="checkpoint"):
            unpack(bytes(flipped), configuration="x", like=STATE)


def test_another_configuration_is_refused() -> None:
    with pytest.raises(ValueError, match="another configuration"):
        unpack(pack(STATE, configuration="x"), configuration="y", like=STATE)


def test_other_shapes_are_refused() -> None:
    other = STATE | {"b": np.array([7, 8], dtype=np.int64)}
    with pytest.raises(ValueError, match="other arrays"):
        unpack(pack(other, configuration="x"), configuration="x", like=STATE)


def test_parts_keep_their_names_apart() -> None:
    both = joined({"one": STATE, "one_more": STATE})
    assert part(both, "one").keys() == STATE.keys()
    assert part(both, "one")["a"] is STATE["a"]

"""The bytes of a twin's state. No pickle, no code.

    version    1 byte     a change of what the arrays mean raises it
    made under 16 bytes   digest of all that the arrays depend on: type, assets, tags, parameters
    check sum  16 bytes   digest of the rest, checked before any of it is parsed
    arrays     an npz archive of named arrays

A checkpoint of another version or configuration is refused: its numbers would mean something else.
"""

from collections.abc import Mapping
from hashlib import blake2b
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

State = Mapping[str, NDArray[np.generic]]
"""Named arrays; what a part of a twin keeps between two frames."""

VERSION = 1
"""First byte of a checkpoint."""

_DIGEST_SIZE = 16
_HEADER_SIZE = 1 + 2 * _DIGEST_SIZE


def pack(state: State, *, configuration: str) -> bytes:
    """Return the state as bytes, bound to a configuration."""
    file = BytesIO()
    np.savez(file, allow_pickle=False, **state)
    arrays = file.getvalue()
    return bytes([VERSION]) + _digest(configuration.encode()) + _digest(arrays) + arrays


def unpack(checkpoint: bytes, *, configuration: str, like: State) -> State:
    """Return the state in a checkpoint.

    Args:
        checkpoint: What `pack` returned.
        configuration: The configuration that it must have been made under.
        like: Names, types and shapes that the state must have.
    Raises:
        ValueError: it was made by another version or under another configuration, or is damaged.
    """
    made_under = checkpoint[1 : 1 + _DIGEST_SIZE]
    check_sum, arrays = checkpoint[1 + _DIGEST_SIZE : _HEADER_SIZE], checkpoint[_HEADER_SIZE:]
    if checkpoint[:1] != bytes([VERSION]):
        raise ValueError(f"checkpoint has version {checkpoint[:1].hex() or 'none'}, not {VERSION}")
    if check_sum != _digest(arrays):
        raise ValueError("checkpoint is damaged: its check sum does not match")
    if made_under != _digest(configuration.encode()):
        raise ValueError("checkpoint was made under another configuration")
    with np.load(BytesIO(arrays), allow_pickle=False) as archive:
        state = {name: archive[name] for name in archive.files}
    if _shapes(state) != _shapes(like):
        raise ValueError("checkpoint holds other arrays than this version keeps")
    return state


def part(state: State, prefix: str) -> State:
    """Return the arrays whose names open with `prefix.`, without it."""
    opening = prefix + "."
    return {
        name.removeprefix(opening): array
        for name, array in state.items()
        if name.startswith(opening)
    }


def joined(parts: Mapping[str, State]) -> State:
    """Return the arrays of several parts as `prefix.name`; the other way round to `part`."""
    return {
        f"{prefix}.{name}": array
        for prefix, state in parts.items()
        for name, array in state.items()
    }


def _shapes(state: State) -> dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]]:
    return {name: (array.shape, array.dtype) for name, array in state.items()}


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=_DIGEST_SIZE).digest()

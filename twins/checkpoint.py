"""The bytes of a twin's state: one version byte, then an npz archive. No pickle, no code.

The archive holds named arrays and, as `configuration`, a digest of all that the arrays depend on:
types, assets, tags, parameters. A checkpoint made under another digest is refused, because its
numbers would mean something else.
"""

from collections.abc import Mapping
from hashlib import blake2b
from io import BytesIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

State = Mapping[str, NDArray[np.generic]]
"""Named arrays; what a part of a twin keeps between two frames."""

VERSION = 1
"""First byte of a checkpoint; a change of what the arrays mean raises it."""


def pack(state: State, *, configuration: str) -> bytes:
    """Return the state as bytes, bound to a configuration."""
    file = BytesIO()
    np.savez(file, allow_pickle=False, configuration=_digest(configuration), **state)
    return bytes([VERSION]) + file.getvalue()


def unpack(checkpoint: bytes, *, configuration: str, like: State) -> State:
    """Return the state in a checkpoint.

    Args:
        checkpoint: What `pack` returned.
        configuration: The configuration that it must have been made under.
        like: Names, types and shapes that the state must have.
    Raises:
        ValueError: it was made by another version or under another configuration, or is damaged.
    """
    if not checkpoint or checkpoint[0] != VERSION:
        raise ValueError(f"checkpoint has version {checkpoint[:1].hex() or 'none'}, not {VERSION}")
    try:
        with np.load(BytesIO(checkpoint[1:]), allow_pickle=False) as archive:
            state = {name: archive[name] for name in archive.files}
    except (BadZipFile, OSError, EOFError, KeyError) as error:
        raise ValueError(f"checkpoint is damaged: {error}") from error
    made_under = state.pop("configuration", np.empty(0))
    if not np.array_equal(made_under, _digest(configuration)):
        raise ValueError("checkpoint was made under another configuration")
    shapes = {name: (array.shape, array.dtype) for name, array in state.items()}
    if shapes != {name: (array.shape, array.dtype) for name, array in like.items()}:
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
    """Return the arrays of several parts under `prefix.name`; the other way round to `part`."""
    return {
        f"{prefix}.{name}": array
        for prefix, state in parts.items()
        for name, array in state.items()
    }


def _digest(configuration: str) -> NDArray[np.uint8]:
    return np.frombuffer(blake2b(configuration.encode(), digest_size=16).digest(), dtype=np.uint8)

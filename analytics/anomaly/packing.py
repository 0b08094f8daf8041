"""Arrays as text and back, for checkpoints: bit for bit, and small where much is equal."""

import binascii
import zlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from io import BytesIO
from typing import TypeVar

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

ScalarT = TypeVar("ScalarT", bound=np.generic)

Array = NDArray[np.float64] | NDArray[np.float32] | NDArray[np.int64] | NDArray[np.bool_]
"""What a checkpoint is made of."""
_LEVEL = 1
"""Of zlib: a checkpoint comes once a minute, and most of it is noise."""


def pack(arrays: Sequence[Array]) -> str:
    """Return arrays as one text."""
    buffer = BytesIO()
    for array in arrays:
        npy.write_array(buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return b64encode(zlib.compress(buffer.getvalue(), _LEVEL)).decode("ascii")


def unpack_into(text: str, arrays: Sequence[Array]) -> None:
    """Write what `pack` made into arrays of the same shapes and types.

    Raises:
        ValueError: the text is damaged, or was made of other shapes or types; nothing is written.
    """
    try:
        buffer = BytesIO(zlib.decompress(b64decode(text, validate=True)))
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"the arrays of the checkpoint are damaged: {error}") from error
    saved = [npy.read_array(buffer, allow_pickle=False) for _ in arrays]
    here = [(array.shape, array.dtype) for array in arrays]
    there = [(array.shape, array.dtype) for array in saved]
    if here != there:
        raise ValueError(f"the checkpoint holds arrays of {there}, here they are {here}")
    for array, content in zip(arrays, saved, strict=True):
        np.copyto(array, content)

"""Pictures as arrays: the one module that uses OpenCV."""

from typing import Protocol, cast

import numpy as np

from gateway.core.arrays import ByteArray, Float32Array
from gateway.core.errors import ModelError
from gateway.core.manifest import VisionManifest

PIXELS_MAX = 50_000_000
"""A picture with more is refused before it is unpacked into memory."""


class _OpenCv(Protocol):
    IMREAD_COLOR: int
    INTER_LINEAR: int

    def imdecode(self, buf: ByteArray, flags: int) -> ByteArray | None: ...

    def resize(self, src: ByteArray, dsize: tuple[int, int], interpolation: int) -> ByteArray: ...


def decode_image(encoded: bytes) -> ByteArray:
    """Return a JPEG or PNG as pixels, shape (height, width, 3), order BGR.

    Raises:
        ModelError: the bytes are no picture, or one of over 50 million pixels.
    """
    if not encoded:
        raise ModelError("the picture is empty: was the camera still writing the file?")
    try:
        pixels = _opencv().imdecode(np.frombuffer(encoded, dtype=np.uint8), 1)
    except _opencv_error() as error:
        raise ModelError(f"the picture cannot be decoded: {error}") from error
    if pixels is None:
        raise ModelError("the bytes are no JPEG or PNG picture")
    if pixels.shape[0] * pixels.shape[1] > PIXELS_MAX:
        raise ModelError(f"the picture has over {PIXELS_MAX:,} pixels: lower the resolution")
    return pixels


def model_input(pixels: ByteArray, manifest: VisionManifest) -> tuple[Float32Array, float, float]:
    """Return the picture as the graph wants it, and how boxes go back.

    Args:
        pixels: Shape (height, width, 3), order BGR.
        manifest: Size, resizing, colour order and scaling of the input.
    Returns:
        The input, shape (1, 3, height_px, width_px), and the factors by which x and y in the
        input are divided to be pixels of the picture.
    """
    height, width = pixels.shape[:2]
    x_factor, y_factor = manifest.width_px / width, manifest.height_px / height
    if manifest.resize == "letterbox":
        x_factor = y_factor = min(x_factor, y_factor)
    size = (max(1, int(width * x_factor)), max(1, int(height * y_factor)))
    resized = _opencv().resize(pixels, size, interpolation=_opencv().INTER_LINEAR)
    shape = (manifest.height_px, manifest.width_px, 3)
    canvas = np.full(shape, manifest.fill, dtype=np.float32)
    canvas[: size[1], : size[0]] = resized
    if manifest.colour_order == "rgb":
        canvas = canvas[:, :, ::-1]
    canvas = (canvas - np.float32(manifest.mean)) / np.float32(manifest.scale)
    planes = np.ascontiguousarray(canvas.transpose(2, 0, 1)[np.newaxis], dtype=np.float32)
    return planes, x_factor, y_factor


def _opencv() -> _OpenCv:
    import cv2  # heavy: 60 MB resident, and only gateways with a camera need it

    # One inference uses one core; polling has the other ones.
    cv2.setNumThreads(1)
    return cast(_OpenCv, cv2)


def _opencv_error() -> type[Exception]:
    import cv2  # heavy, see above

    return cast(type[Exception], cv2.error)

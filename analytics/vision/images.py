"""Pictures as arrays: the one module that uses Pillow."""

from io import BytesIO

import numpy as np

from gateway.core.arrays import ByteArray, Float32Array
from gateway.core.errors import ModelError
from gateway.core.manifest import VisionManifest

PIXELS_MAX = 50_000_000
"""A picture with more is refused before it is unpacked into memory."""


def decode_image(encoded: bytes) -> ByteArray:
    """Return a JPEG or PNG as pixels, shape (height, width, 3), order RGB.

    Raises:
        ModelError: the bytes are no picture, or one of over 50 million pixels.
    """
    from PIL import Image, UnidentifiedImageError  # only gateways with a camera need it

    if not encoded:
        raise ModelError("the picture is empty: was the camera still writing the file?")
    try:
        with Image.open(BytesIO(encoded), formats=("JPEG", "PNG")) as image:
            if image.width * image.height > PIXELS_MAX:
                raise ModelError(f"the picture has over {PIXELS_MAX:,} pixels: use a smaller one")
            return np.asarray(image.convert("RGB"), dtype=np.uint8)
    except UnidentifiedImageError as error:
        raise ModelError("the bytes are no JPEG or PNG picture") from error
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ModelError(f"the picture cannot be decoded: {error}") from error


def model_input(pixels: ByteArray, manifest: VisionManifest) -> tuple[Float32Array, float, float]:
    """Return the picture as the graph wants it, and how boxes go back.

    Shrinking averages over all the pixels that become one (a triangle filter): picking single
    ones, as plain bilinear interpolation does, makes small objects flicker.

    Args:
        pixels: Shape (height, width, 3), order RGB.
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
    canvas = np.full((manifest.height_px, manifest.width_px, 3), manifest.fill, dtype=np.float32)
    canvas[: size[1], : size[0]] = _resized(pixels, size)
    if manifest.colour_order == "bgr":
        canvas = canvas[:, :, ::-1]
    mean = np.array(manifest.mean, dtype=np.float32)
    scale = np.array(manifest.scale, dtype=np.float32)
    planes = ((canvas - mean) / scale).transpose(2, 0, 1)[np.newaxis]
    return np.ascontiguousarray(planes, dtype=np.float32), x_factor, y_factor


def _resized(pixels: ByteArray, size: tuple[int, int]) -> ByteArray:
    from PIL import Image  # see above

    resized = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.uint8)

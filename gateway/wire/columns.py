"""Columns as bytes: exact, small, and safe to read from a stranger.

Integers are stored as the first one and the differences: one number where these are all the
same, else zigzagged in the fewest bytes, shuffled so that equal bytes stand together for the
compressor that follows.
"""

import threading

import numpy as np
import zstandard
from numpy.typing import NDArray

from gateway.core.arrays import IndexArray
from gateway.core.errors import CorruptRecordError

IntArray = NDArray[np.int64]
"""Integers of any meaning, shape (n,)."""

_EVEN, _SHUFFLED = range(2)

_VARINT_SIZE_MAX = 10


class _Contexts(threading.local):
    """zstd's working memory, kept for each thread: making it takes longer than packing a frame."""

    def __init__(self) -> None:
        self.decompressor = zstandard.ZstdDecompressor()
        self._compressors: dict[int, zstandard.ZstdCompressor] = {}

    def compressor(self, level: int) -> zstandard.ZstdCompressor:
        """Return what packs at a level."""
        if level not in self._compressors:
            self._compressors[level] = zstandard.ZstdCompressor(
                level=level, write_content_size=True
            )
        return self._compressors[level]


_CONTEXTS = _Contexts()


class ByteReader:
    """Reads fields from bytes one after the other; never beyond their end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, size: int) -> bytes:
        """Return the next bytes.

        Raises:
            CorruptRecordError: there are not that many.
        """
        end = self._position + size
        if end > len(self._data):
            raise CorruptRecordError(f"{size} bytes announced, {self.left} there")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self._position

    def unsigned(self) -> int:
        """Return the next integer below 2^64, seven bits a byte, the lowest first.

        Raises:
            CorruptRecordError: it is longer, or cut short.
        """
        value = shift = 0
        for byte in self._data[self._position : self._position + _VARINT_SIZE_MAX]:
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80 and value < 1 << 64:
                self._position += shift // 7
                return value
        raise CorruptRecordError("an integer is cut short or longer than 64 bits")

    def signed(self) -> int:
        """Return the next integer of the int64 range.

        Raises:
            CorruptRecordError: see `unsigned`.
        """
        zigzag = self.unsigned()
        return (zigzag >> 1) ^ -(zigzag & 1)

    def at_most(self, limit: int, *, what: str) -> int:
        """Return the next unsigned integer, which must not be above a limit.

        Raises:
            CorruptRecordError: it is.
        """
        value = self.unsigned()
        if value > limit:
            raise CorruptRecordError(f"{value} {what}; at most {limit} are allowed")
        return value

    def expect_end(self) -> None:
        """Check that nothing is left.

        Raises:
            CorruptRecordError: there is.
        """
        if self.left:
            raise CorruptRecordError(f"{self.left} bytes too many at the end")


def put_unsigned(value: int) -> bytes:
    """Return an integer from 0 to 2^64 - 1 as `ByteReader.unsigned` reads it."""
    assert 0 <= value < 1 << 64, value
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def put_signed(value: int) -> bytes:
    """Return an integer of the int64 range as `ByteReader.signed` reads it."""
    return put_unsigned((value << 1) ^ (value >> 63))


def put_integers(values: IntArray) -> bytes:
    """Return a column of integers of any length as bytes; differences may wrap around."""
    if len(values) == 0:
        return b""
    return put_signed(int(values[0])) + put_steps(values[1:] - values[:-1])


def get_integers(reader: ByteReader, count: int) -> IntArray:
    """Return the next column of `count` integers.

    Raises:
        CorruptRecordError: it is cut short or of an unknown form.
    """
    if count == 0:
        return np.zeros(0, dtype=np.int64)
    first = np.int64(reader.signed())
    steps = get_steps(reader, count - 1)
    if isinstance(steps, np.int64):
        return first + steps * np.arange(count)
    values = np.empty(count, dtype=np.int64)
    values[0] = first
    values[1:] = steps
    return values.cumsum()


def get_positions(reader: ByteReader, count: int) -> IndexArray:
    """Return the next column of `count` positions in a table.

    Raises:
        CorruptRecordError: see `get_integers`; or one is negative or beyond int32.
    """
    positions = get_integers(reader, count)
    if ((positions < 0) | (positions > np.iinfo(np.int32).max)).any():
        raise CorruptRecordError("a position is negative or beyond int32")
    return positions.astype(np.int32)


def put_steps(steps: IntArray) -> bytes:
    """Return a column of differences as bytes; none at all where there are none."""
    if len(steps) == 0:
        return b""
    if (steps == steps[0]).all():
        return bytes((_EVEN,)) + put_signed(int(steps[0]))
    zigzag = _zigzag(steps)
    unit = 1
    if int(zigzag.max()) >> 16:
        # Times are often whole milliseconds: the unit they share need not be stored each time.
        unit = max(1, int(np.gcd.reduce(steps)))
        zigzag = _zigzag(steps // unit)
    width = (int(zigzag.max()).bit_length() + 7) // 8
    planes = zigzag.view(np.uint8).reshape(-1, 8)[:, :width].T.tobytes()
    return bytes((_SHUFFLED,)) + put_unsigned(unit) + bytes((width,)) + planes


def get_steps(reader: ByteReader, count: int) -> IntArray | np.int64:
    """Return the next `count` differences, or the one number that all of them are.

    Raises:
        CorruptRecordError: they are cut short or of an unknown form.
    """
    if count == 0:
        return np.int64(0)
    form = reader.take(1)[0]
    if form == _EVEN:
        return np.int64(reader.signed())
    if form != _SHUFFLED:
        raise CorruptRecordError(f"a column has the unknown form {form}")
    unit = reader.at_most(np.iinfo(np.int64).max, what="as the unit of a column")
    width = reader.at_most(8, what="bytes a difference")
    planes = np.frombuffer(reader.take(width * count), dtype=np.uint8).reshape(width, count)
    zigzag = np.zeros((count, 8), dtype=np.uint8)
    zigzag[:, :width] = planes.T
    return _unzigzag(zigzag.view("<u8").reshape(count)) * np.int64(unit)


def compress(raw: bytes, *, level: int) -> bytes:
    """Return bytes that `decompress` turns back, smaller where that is possible."""
    packed = _CONTEXTS.compressor(level).compress(raw)
    return b"\x01" + packed if len(packed) < len(raw) else b"\x00" + raw


def decompress(packed: bytes, *, size_bytes_max: int) -> bytes:
    """Return what `compress` was given.

    Raises:
        CorruptRecordError: damaged, or it would be larger than `size_bytes_max`; that is known
            before anything is unpacked.
    """
    form, content = packed[:1], packed[1:]
    if form == b"\x00" and len(content) <= size_bytes_max:
        return content
    if form != b"\x01":
        raise CorruptRecordError(f"{len(packed)} bytes of the form {form!r} cannot be unpacked")
    try:
        size = zstandard.frame_content_size(content)
        if not 0 <= size <= size_bytes_max:
            raise CorruptRecordError(f"{size} bytes unpacked; at most {size_bytes_max} are allowed")
        raw = _CONTEXTS.decompressor.decompress(content, max_output_size=size)
    except zstandard.ZstdError as error:
        raise CorruptRecordError(f"packed bytes are damaged: {error}") from error
    if len(raw) != size:
        raise CorruptRecordError(f"{len(raw)} bytes unpacked instead of {size}")
    return raw


def _zigzag(steps: IntArray) -> NDArray[np.uint64]:
    """Return 0, -1, 1, -2 ... as 0, 1, 2, 3 ...: small numbers for small differences."""
    return ((steps << 1) ^ (steps >> 63)).astype("<i8", copy=False).view("<u8")


def _unzigzag(zigzag: NDArray[np.uint64]) -> IntArray:
    half = (zigzag >> np.uint64(1)).view(np.int64)
    return half ^ -((zigzag & np.uint64(1)).view(np.int64))

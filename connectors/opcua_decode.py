"""OPC UA publish responses as columns. Pure.

Theory. A DataValue with a numeric scalar has a length that follows from its first two bytes: the
encoding mask (OPC 10000-6, 5.2.2.17) and the encoding byte of the variant (5.2.2.16). So

- a run of items of equal layout is read with one structured view of the bytes;
- servers mix layouts (node-opcua leaves picoseconds out where they are 0): after some short runs
  the rest is read by a loop over precompiled structs, which is slower and does not depend on runs;
- an item of any other layout (text, arrays, structures, diagnostics) is left to the library's
  decoder, item by item, only to find where it ends and what its times are: it is no number, and
  becomes a Bad sample.

A message of another shape than expected is left to the library as a whole, by returning None.
Bytes that nobody can read raise `ValueError`.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from connectors.opcua_events import ServerEvent
from gateway.core.arrays import FloatArray, StatusArray, TimeArray
from gateway.core.quality import Status

FILETIME_1970 = 116_444_736_000_000_000
"""1970-01-01 in steps of 100 ns since 1601-01-01 (OPC 10000-6, 5.2.2.5)."""
NS_PER_STEP = 100
FILETIME_MAX = FILETIME_1970 + (2**63 - 1) // NS_PER_STEP
"""Last time that fits into nanoseconds since 1970 (the year 2262)."""

SHORT_RUNS_MAX = 16
"""So many runs that do not pay for a view, and the loop takes over."""
SHORT_RUN = 64

_PUBLISH_RESPONSE = b"\x01\x00\x3d\x03"
"""NodeId i=829 in its four-byte form."""
_DATA_CHANGE = b"\x01\x00\x2b\x03\x01"
"""NodeId i=811, and: a body of bytes follows."""
_STATUS_CHANGE = b"\x01\x00\x34\x03\x01"
"""NodeId i=820."""

_HAS_VALUE, _HAS_STATUS, _HAS_SOURCE, _HAS_SERVER, _HAS_SOURCE_PICO, _HAS_SERVER_PICO = (
    1 << bit for bit in range(6)
)
_MASK_UNUSED = 0xC0
_NO_VARIANT = -1
_NULL_VARIANT = 0
_NUMBERS = {
    1: ("?", "?"),
    2: ("b", "i1"),
    3: ("B", "u1"),
    4: ("h", "<i2"),
    5: ("H", "<u2"),
    6: ("i", "<i4"),
    7: ("I", "<u4"),
    8: ("q", "<i8"),
    9: ("Q", "<u8"),
    10: ("f", "<f4"),
    11: ("d", "<f8"),
}
"""Built-in types that are numbers (5.1.2), as struct and numpy write them."""

_U32 = struct.Struct("<I")
_I32 = struct.Struct("<i")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Changes:
    """Data changes as columns of length n; the arrays belong to whoever got them."""

    handles: StatusArray
    """Client handle of each item, uint32."""
    value: FloatArray
    """NaN where there is no finite number; then the status is Bad."""
    status: StatusArray
    source_ns: TimeArray
    """Time of the source, UTC; 0 where it gave none."""
    server_ns: TimeArray
    """Time of the server, UTC; 0 where it gave none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What one publish response brought."""

    subscription: int
    sequence: int
    """Number of the message; of the next one for a keep-alive."""
    changes: tuple[Changes, ...]
    """Empty for a keep-alive."""
    closed_status: int | None = None
    """Why the server closed the subscription; None while it stands."""
    events: tuple[ServerEvent, ...] = ()
    """What happened, in the order of the server."""

    @property
    def is_keep_alive(self) -> bool:
        """Whether it says only that the subscription stands."""
        return not self.changes and not self.events and self.closed_status is None


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherItem:
    """An item that the library decoded for us: its value is no number."""

    handle: int
    status: int
    source: int
    """Time as on the wire, steps of 100 ns since 1601; 0 is none."""
    server: int
    end: int
    """Position behind it."""


ItemDecoder = Callable[[bytes, int], OtherItem]
"""Reads the one item that begins at a position; raises `ValueError` when it cannot."""


def decode_publish_response(body: bytes, *, decode_item: ItemDecoder) -> Notification | None:
    """Return what a publish response says; None when its shape is unusual.

    Args:
        body: The message, its type id first.
        decode_item: Reads an item that is not a numeric scalar.
    Raises:
        ValueError: it is cut short or contradicts itself.
    """
    try:
        return _decode(body, decode_item)
    except (struct.error, IndexError) as error:
        raise ValueError(f"a publish response of {len(body)} bytes is cut short") from error


def _decode(body: bytes, decode_item: ItemDecoder) -> Notification | None:
    position = _skip_header(body)
    if position is None:
        return None
    (subscription,) = _U32.unpack_from(body, position)
    (available_count,) = _I32.unpack_from(body, position + 4)
    # Available sequence numbers, and one byte that says whether more notifications wait.
    position += 8 + 4 * max(available_count, 0) + 1
    (sequence,) = _U32.unpack_from(body, position)
    (data_count,) = _I32.unpack_from(body, position + 12)
    position += 16
    changes: list[Changes] = []
    closed_status: int | None = None
    for _ in range(data_count):
        kind = body[position : position + 5]
        (size,) = _I32.unpack_from(body, position + 5)
        position += 9
        if size < 0 or position + size > len(body):
            raise ValueError(f"a notification of {size} bytes at {position} of {len(body)}")
        if kind == _DATA_CHANGE:
            changes.append(_decode_changes(body[position : position + size], decode_item))
        elif kind == _STATUS_CHANGE:
            (closed_status,) = _U32.unpack_from(body, position)
        else:
            return None
        position += size
    return Notification(
        subscription=subscription,
        sequence=sequence,
        changes=tuple(changes),
        closed_status=closed_status,
    )


def _skip_header(body: bytes) -> int | None:
    """Return the position behind type id and response header; None when it is unusual."""
    if body[:4] != _PUBLISH_RESPONSE:
        return None
    position = 4 + 8 + 4  # type id, time, request handle
    (service_result,) = _U32.unpack_from(body, position)
    (string_count,) = _I32.unpack_from(body, position + 5)
    has_diagnostics = body[position + 4] != 0
    if service_result or has_diagnostics or string_count > 0:
        return None
    position += 9
    # The additional header: an extension object without type and body.
    return position + 3 if body[position : position + 3] == b"\0\0\0" else None


def _decode_changes(body: bytes, decode_item: ItemDecoder) -> Changes:
    """Return a DataChangeNotification as columns."""
    (count,) = _I32.unpack_from(body, 0)
    return _ItemReader(body, max(count, 0), decode_item).read()


class _Layout:
    """How items of one mask and one variant type lie in the bytes."""

    def __init__(self, mask: int, variant: int) -> None:
        fields: list[tuple[str, str]] = [("handle", "<u4"), ("mask", "u1")]
        format_ = "<IB"
        if variant != _NO_VARIANT:
            fields.append(("variant", "u1"))
            format_ += "B"
        self.has_number = variant in _NUMBERS
        if self.has_number:
            fields.append(("value", _NUMBERS[variant][1]))
            format_ += _NUMBERS[variant][0]
        for bit, name, dtype, code in (
            (_HAS_STATUS, "status", "<u4", "I"),
            (_HAS_SOURCE, "source", "<i8", "q"),
            (_HAS_SOURCE_PICO, "source_pico", "<u2", "H"),
            (_HAS_SERVER, "server", "<i8", "q"),
            (_HAS_SERVER_PICO, "server_pico", "<u2", "H"),
        ):
            if mask & bit:
                fields.append((name, dtype))
                format_ += code
        self.mask = mask
        self.variant = variant
        self.dtype = np.dtype(fields)
        self.struct = struct.Struct(format_)
        self.size = self.struct.size
        self.names = tuple(name for name, _ in fields)
        self.columns = tuple(
            (name, self.names.index(name))
            for name in ("handle", "value", "status", "source", "server")
            if name in self.names
        )
        assert self.dtype.itemsize == self.size

    def run_length(self, items: NDArray[np.void]) -> int:
        """Return how many items from the first on have this layout."""
        differs = items["mask"] != self.mask
        if self.variant != _NO_VARIANT:
            differs |= items["variant"] != self.variant
        return int(differs.argmax()) if differs.any() else len(items)


@lru_cache(maxsize=64 * 14)
def _layout(mask: int, variant: int) -> _Layout | None:
    """Return the layout of a mask and a variant byte; None when its length is not fixed."""
    if mask & _MASK_UNUSED or (variant not in _NUMBERS and variant > _NULL_VARIANT):
        return None
    return _Layout(mask, variant)


class _ItemReader:
    """Reads the items of one notification into columns."""

    def __init__(self, body: bytes, count: int, decode_item: ItemDecoder) -> None:
        # The shortest item has 5 bytes: a count beyond that is a lie, not a reason to allocate.
        if count > len(body) // 5:
            raise ValueError(f"{count} items in {len(body)} bytes")
        self._body = body
        self._count = count
        self._decode_item = decode_item
        self._position = 4
        self._done = 0
        self._handle = np.zeros(count, dtype=np.uint32)
        self._value = np.full(count, np.nan)
        self._status = np.zeros(count, dtype=np.uint32)
        self._source = np.zeros(count, dtype=np.int64)
        self._server = np.zeros(count, dtype=np.int64)
        self._columns: dict[str, NDArray[np.generic]] = {
            "handle": self._handle,
            "value": self._value,
            "status": self._status,
            "source": self._source,
            "server": self._server,
        }

    def read(self) -> Changes:
        """Return all items; a number that is not finite is Bad, and NaN."""
        short_runs = 0
        while self._done < self._count:
            layout = self._layout_here()
            if layout is None:
                self._read_other()
            elif short_runs < SHORT_RUNS_MAX:
                length = self._read_run(layout)
                short_runs = short_runs + 1 if length < SHORT_RUN else 0
            else:
                self._read_one(layout)
        is_number = np.isfinite(self._value)
        if not is_number.all():
            self._status[~is_number & (self._status < Status.BAD)] = Status.BAD_OUT_OF_RANGE
            self._value[~is_number] = np.nan
        return Changes(
            handles=self._handle,
            value=self._value,
            status=self._status,
            source_ns=unix_ns(self._source),
            server_ns=unix_ns(self._server),
        )

    def _layout_here(self) -> _Layout | None:
        mask = self._body[self._position + 4]
        return _layout(mask, self._body[self._position + 5] if mask & _HAS_VALUE else _NO_VARIANT)

    def _read_run(self, layout: _Layout) -> int:
        """Read the items of this layout that follow one another; return how many."""
        room = (len(self._body) - self._position) // layout.size
        items = np.frombuffer(
            self._body, layout.dtype, min(self._count - self._done, room), self._position
        )
        length = layout.run_length(items)
        if not length:
            raise ValueError(f"an item of {layout.size} bytes is cut short")
        here = slice(self._done, self._done + length)
        with np.errstate(invalid="ignore"):  # widening a signalling NaN quietens it, no more
            for name, _ in layout.columns:
                self._columns[name][here] = items[name][:length]
        if not layout.has_number:
            status = self._status[here]
            status[status < Status.BAD] = Status.BAD_TYPE_MISMATCH
        self._done += length
        self._position += length * layout.size
        return length

    def _read_one(self, layout: _Layout) -> None:
        """Read one item."""
        fields = layout.struct.unpack_from(self._body, self._position)
        for name, place in layout.columns:
            self._columns[name][self._done] = fields[place]
        if not layout.has_number and self._status[self._done] < Status.BAD:
            self._status[self._done] = Status.BAD_TYPE_MISMATCH
        self._done += 1
        self._position += layout.size

    def _read_other(self) -> None:
        """Read one item by way of the library; it is no number."""
        item = self._decode_item(self._body, self._position)
        if not self._position < item.end <= len(self._body):
            raise ValueError(f"an item ends at {item.end} of {len(self._body)}")
        self._handle[self._done] = item.handle
        self._source[self._done] = item.source
        self._server[self._done] = item.server
        is_bad = item.status >= Status.BAD
        self._status[self._done] = item.status if is_bad else Status.BAD_TYPE_MISMATCH
        self._done += 1
        self._position = item.end


def unix_ns(filetime: TimeArray) -> TimeArray:
    """Return times in nanoseconds since 1970.

    Args:
        filetime: Steps of 100 ns since 1601, shape (n,).
    Returns:
        Shape (n,); 0 where the time is missing or lies before 1970 or behind 2262.
    """
    is_given = (filetime > FILETIME_1970) & (filetime <= FILETIME_MAX)
    return np.where(is_given, (filetime - FILETIME_1970) * NS_PER_STEP, 0)

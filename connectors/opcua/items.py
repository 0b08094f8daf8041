"""OPC UA data values as columns: the part that all responses share. Pure.

Theory. A DataValue with a numeric scalar has a length that follows from its first two bytes: the
encoding mask (OPC 10000-6, 5.2.2.17) and the encoding byte of the variant (5.2.2.16). So

- a run of items of equal layout is read with one structured view of the bytes;
- servers mix layouts (node-opcua leaves picoseconds out where they are 0): after some short runs
  the rest is read by a loop over precompiled structs, which is slower and does not depend on runs;
- an item of any other layout (text, arrays, structures, diagnostics) is left to the library's
  decoder, item by item: it is no number, and becomes a Bad sample with a note of what it is.

In a notification a client handle stands before each value, in a Read's response nothing does;
there the handle is the place in the request. A DateTime counts as a number: seconds since 1970.
Bytes that nobody can read raise `ValueError`, `struct.error` or `IndexError`.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gateway.core.arrays import BoolArray, FloatArray, StatusArray, TimeArray
from gateway.core.quality import Status

FILETIME_1970 = 116_444_736_000_000_000
"""1970-01-01 in steps of 100 ns since 1601-01-01 (OPC 10000-6, 5.2.2.5)."""
NS_PER_STEP = 100
STEPS_PER_S = 10_000_000
FILETIME_MAX = FILETIME_1970 + (2**63 - 1) // NS_PER_STEP
"""Last time that fits into nanoseconds since 1970 (the year 2262)."""

SHORT_RUNS_MAX = 16
"""So many runs that do not pay for a view, and the loop takes over."""
SHORT_RUN = 64

_HAS_VALUE, _HAS_STATUS, _HAS_SOURCE, _HAS_SERVER, _HAS_SOURCE_PICO, _HAS_SERVER_PICO = (
    1 << bit for bit in range(6)
)
_MASK_UNUSED = 0xC0
_NO_VARIANT = -1
_NULL_VARIANT = 0
_DATE_TIME = 13
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
    _DATE_TIME: ("q", "<i8"),
}
"""Built-in types that are numbers (5.1.2), as struct and numpy write them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherValue:
    """A value that is not one number."""

    what: str
    """What it is, for a person: `text`, `an array of 3 Double`, `a structure`."""
    status: int
    """As the server gave it; in the columns it is Bad."""
    text: str | None = None
    """The text, where it is one."""
    numbers: tuple[float, ...] = ()
    """The numbers of an array of one dimension."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Changes:
    """Values as columns of length n; the arrays belong to whoever got them."""

    handles: StatusArray
    """Client handle of each item, uint32; in a Read its place in the request."""
    value: FloatArray
    """NaN where there is no finite number; then the status is Bad."""
    status: StatusArray
    source_ns: TimeArray
    """Time of the source, UTC; 0 where it gave none."""
    server_ns: TimeArray
    """Time of the server, UTC; 0 where it gave none."""
    others: Mapping[int, OtherValue] = field(default_factory=dict)
    """What the values are that are no numbers, by their place in the columns."""

    def __len__(self) -> int:
        """Return the number of values."""
        return len(self.handles)

    def where(self, mask: BoolArray) -> "Changes":
        """Return the values for which the mask of shape (n,) holds, in the same order."""
        places = np.cumsum(mask) - 1
        return Changes(
            handles=self.handles[mask],
            value=self.value[mask],
            status=self.status[mask],
            source_ns=self.source_ns[mask],
            server_ns=self.server_ns[mask],
            others={int(places[at]): other for at, other in self.others.items() if mask[at]},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherItem:
    """An item that the library decoded for us: its value is not one number."""

    handle: int
    status: int
    source: int
    """Time as on the wire, steps of 100 ns since 1601; 0 is none."""
    server: int
    end: int
    """Position behind it."""
    other: OtherValue | None
    """None when there is no value at all."""


ItemDecoder = Callable[[bytes, int], OtherItem]
"""Reads the one item that begins at a position; raises `ValueError` when it cannot."""


class _Layout:
    """How items of one mask and one variant type lie in the bytes."""

    def __init__(self, mask: int, variant: int, *, has_handle: bool) -> None:
        code, dtype = _NUMBERS.get(variant, ("", ""))
        parts: tuple[tuple[int | bool, str, str, str], ...] = (
            (has_handle, "handle", "<u4", "I"),
            (True, "mask", "u1", "B"),
            (variant != _NO_VARIANT, "variant", "u1", "B"),
            (variant in _NUMBERS, "value", dtype, code),
            (mask & _HAS_STATUS, "status", "<u4", "I"),
            (mask & _HAS_SOURCE, "source", "<i8", "q"),
            (mask & _HAS_SOURCE_PICO, "source_pico", "<u2", "H"),
            (mask & _HAS_SERVER, "server", "<i8", "q"),
            (mask & _HAS_SERVER_PICO, "server_pico", "<u2", "H"),
        )
        fields = [(name, dtype) for is_there, name, dtype, _ in parts if is_there]
        self.has_number = variant in _NUMBERS
        self.is_time = variant == _DATE_TIME
        self.mask = mask
        self.variant = variant
        self.dtype = np.dtype(fields)
        self.struct = struct.Struct(
            "<" + "".join(code for is_there, _, _, code in parts if is_there)
        )
        self.size = self.struct.size
        names = tuple(name for name, _ in fields)
        self.columns = tuple(
            (name, names.index(name))
            for name in ("handle", "value", "status", "source", "server")
            if name in names
        )
        assert self.dtype.itemsize == self.size

    def run_length(self, items: NDArray[np.void]) -> int:
        """Return how many items from the first on have this layout."""
        differs = items["mask"] != self.mask
        if self.variant != _NO_VARIANT:
            differs |= items["variant"] != self.variant
        return int(differs.argmax()) if differs.any() else len(items)


@lru_cache(maxsize=2 * 64 * 14)
def _layout(mask: int, variant: int, has_handle: bool) -> _Layout | None:
    """Return the layout of a mask and a variant byte; None when its length is not fixed."""
    if mask & _MASK_UNUSED or (variant not in _NUMBERS and variant > _NULL_VARIANT):
        return None
    return _Layout(mask, variant, has_handle=has_handle)


class ItemReader:
    """Reads the items of one message into columns."""

    def __init__(
        self, body: bytes, position: int, count: int, decode_item: ItemDecoder, *, has_handles: bool
    ) -> None:
        """Begin at the first item.

        Args:
            body: The message.
            position: Of the first item.
            count: How many there are.
            decode_item: Reads an item that is not a numeric scalar.
            has_handles: Whether a client handle stands before each value.
        Raises:
            ValueError: the message has no room for so many.
        """
        # The shortest item is a mask: a count beyond that is a lie, not a reason to allocate.
        if count > (len(body) - position) // (5 if has_handles else 1):
            raise ValueError(f"{count} items in {len(body)} bytes")
        self.position = position
        """Where the next item begins; behind the last one after `read`."""
        self._body = body
        self._count = count
        self._decode_item = decode_item
        self._has_handles = has_handles
        self._mask_offset = 4 if has_handles else 0
        self._done = 0
        self._handle = np.arange(count, dtype=np.uint32)
        self._value = np.full(count, np.nan)
        self._status = np.zeros(count, dtype=np.uint32)
        self._source = np.zeros(count, dtype=np.int64)
        self._server = np.zeros(count, dtype=np.int64)
        self._others: dict[int, OtherValue] = {}
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
            others=self._others,
        )

    def _layout_here(self) -> _Layout | None:
        position = self.position + self._mask_offset
        mask = self._body[position]
        variant = self._body[position + 1] if mask & _HAS_VALUE else _NO_VARIANT
        return _layout(mask, variant, self._has_handles)

    def _read_run(self, layout: _Layout) -> int:
        """Read the items of this layout that follow one another; return how many."""
        room = (len(self._body) - self.position) // layout.size
        items = np.frombuffer(
            self._body, layout.dtype, min(self._count - self._done, room), self.position
        )
        length = layout.run_length(items)
        if not length:
            raise ValueError(f"an item of {layout.size} bytes is cut short")
        here = slice(self._done, self._done + length)
        with np.errstate(invalid="ignore"):  # widening a signalling NaN quietens it, no more
            for name, _ in layout.columns:
                self._columns[name][here] = items[name][:length]
        if layout.is_time:
            self._value[here] = unix_s(items["value"][:length])
        if not layout.has_number:
            status = self._status[here]
            status[status < Status.BAD] = Status.BAD_TYPE_MISMATCH
        self._done += length
        self.position += length * layout.size
        return length

    def _read_one(self, layout: _Layout) -> None:
        """Read one item."""
        fields = layout.struct.unpack_from(self._body, self.position)
        for name, place in layout.columns:
            self._columns[name][self._done] = fields[place]
            if name == "value" and layout.is_time:
                self._value[self._done] = unix_s(np.array([fields[place]], dtype=np.int64))[0]
        if not layout.has_number and self._status[self._done] < Status.BAD:
            self._status[self._done] = Status.BAD_TYPE_MISMATCH
        self._done += 1
        self.position += layout.size

    def _read_other(self) -> None:
        """Read one item by way of the library; it is not one number."""
        item = self._decode_item(self._body, self.position)
        if not self.position < item.end <= len(self._body):
            raise ValueError(f"an item ends at {item.end} of {len(self._body)}")
        if self._has_handles:
            self._handle[self._done] = item.handle
        self._source[self._done] = item.source
        self._server[self._done] = item.server
        is_bad = item.status >= Status.BAD
        self._status[self._done] = item.status if is_bad else Status.BAD_TYPE_MISMATCH
        if item.other is not None:
            self._others[self._done] = item.other
        self._done += 1
        self.position = item.end


def unix_ns(filetime: TimeArray) -> TimeArray:
    """Return times in nanoseconds since 1970.

    Args:
        filetime: Steps of 100 ns since 1601, shape (n,).
    Returns:
        Shape (n,); 0 where the time is missing or lies before 1970 or behind 2262.
    """
    is_given = (filetime > FILETIME_1970) & (filetime <= FILETIME_MAX)
    return np.where(is_given, (filetime - FILETIME_1970) * NS_PER_STEP, 0)


def unix_s(filetime: TimeArray) -> FloatArray:
    """Return times as values: seconds since 1970.

    Args:
        filetime: Steps of 100 ns since 1601, shape (n,).
    Returns:
        Shape (n,), exact to about 1 µs; NaN where the time is missing or lies before 1601 or
        behind 2262. Times before 1970 are below 0.
    """
    is_given = (filetime > 0) & (filetime <= FILETIME_MAX)
    return np.where(is_given, (filetime - FILETIME_1970) / STEPS_PER_S, np.nan)

"""The books of the servers: every value that they put into a response or a notification.

Format of a book: one line of JSON (`{"book": 2, "connector": ..., "tags": [...]}`), then entries
of 25 bytes, little-endian, appended and handed to the operating system before the bytes go out on
the wire: position of the tag in `tags` (int32), count of the poll (uint32), source time and time
of the offer (int64 nanoseconds UTC each), service (uint8). What survives a kill of the simulator:
everything that was offered; an entry torn at the end is cut off when the book is opened again. A
value may be in the book and not on the wire when the simulator was killed between the two, never
the other way.

Modbus has no source time: there it is the time of the response, and the poll count is the one in
the response, or 0 when the response does not contain it. OPC UA has no poll count: 0.

A gateway that subscribes also reads single values, such as a setpoint before and after a write:
they are offered, but are no samples of its data. The column `service` tells them apart.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from gateway.core.arrays import ByteArray, IndexArray, TimeArray, frozen
from gateway.core.errors import StoreError
from gateway.core.tags import TagId

BOOK_VERSION = 2
ENTRY = np.dtype(
    [
        ("tag_index", "<i4"),
        ("poll_count", "<u4"),
        ("time_ns", "<i8"),
        ("offered_ns", "<i8"),
        ("service", "u1"),
    ]
)


class Service(IntEnum):
    """By which service a value was offered. The numbers are on disk."""

    READ = 1
    """It was in the response to a read: of Modbus registers, or by OPC UA's Read."""
    PUBLISH = 2
    """It was in a notification of an OPC UA subscription."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Offered:
    """What a book says, as columns of equal length n in the order of the offers."""

    connector: str
    tags: tuple[TagId, ...]
    tag_index: IndexArray
    """Position in `tags`, shape (n,)."""
    time_ns: TimeArray
    """Source time, shape (n,); for Modbus the time of the response."""
    offered_ns: TimeArray
    """When the value was put into the response, shape (n,)."""
    poll_count: NDArray[np.uint32]
    """Modbus: the count that the same response contains, shape (n,); otherwise 0."""
    service: ByteArray
    """`Service`, shape (n,)."""


class OfferedBook:
    """Counts and journals what one server offers; survives restarts of server and simulator."""

    def __init__(self, path: Path, *, connector: str, tags: Sequence[TagId]) -> None:
        """Open a book, or begin it.

        Raises:
            StoreError: the file is a book of other tags, or none.
        """
        self.connector = connector
        self.tags = tuple(tags)
        self._index = {tag: index for index, tag in enumerate(self.tags)}
        self._counts = np.zeros(len(self.tags), dtype=np.int64)
        header = _header(connector, self.tags)
        if path.exists():
            self._go_on(path, header)
        else:
            path.write_bytes(header)
        # Unbuffered: every offer is with the operating system before its bytes are on the wire.
        self._file: BinaryIO = path.open("ab", buffering=0)

    def index(self, tag: TagId) -> int:
        """Return the position of a tag."""
        return self._index[tag]

    def offer(
        self,
        tag_index: Sequence[int],
        time_ns: Sequence[int],
        *,
        offered_ns: int,
        service: Service,
        poll_count: int = 0,
    ) -> None:
        """Write down the values of one response or notification, before it is sent.

        Args:
            tag_index: Position of each value's tag; the same tag may come several times.
            time_ns: Source time of each value.
            offered_ns: Now.
            service: How they are offered.
            poll_count: See the module.
        """
        if not tag_index:
            return
        entries = np.empty(len(tag_index), dtype=ENTRY)
        entries["tag_index"] = tag_index
        entries["time_ns"] = time_ns
        entries["offered_ns"] = offered_ns
        entries["poll_count"] = poll_count
        entries["service"] = service
        self._file.write(entries.tobytes())
        np.add.at(self._counts, entries["tag_index"], 1)

    @property
    def count(self) -> int:
        """Values offered since the book was begun."""
        return int(self._counts.sum())

    def counts(self) -> Mapping[TagId, int]:
        """Return the values offered of each tag since the book was begun."""
        return dict(zip(self.tags, self._counts.tolist(), strict=True))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _go_on(self, path: Path, header: bytes) -> None:
        offered = read_offered(path)
        if (offered.connector, offered.tags) != (self.connector, self.tags):
            raise StoreError(
                f"{path} is the book of other tags of {offered.connector!r}; "
                "use another state folder or move it away"
            )
        np.add.at(self._counts, offered.tag_index, 1)
        os.truncate(path, len(header) + ENTRY.itemsize * len(offered.tag_index))


def read_offered(path: Path) -> Offered:
    """Return the columns of a book; also while a server writes it.

    Raises:
        StoreError: there is no such file, or it is no book.
    """
    try:
        content = path.read_bytes()
        line, _, body = content.partition(b"\n")
        header = json.loads(line)
        connector, tags = str(header["connector"]), tuple(TagId(tag) for tag in header["tags"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is no book of offered values: {error}") from error
    if header.get("book") != BOOK_VERSION:
        raise StoreError(f"{path} has version {header.get('book')!r}; this is {BOOK_VERSION}")
    entries = np.frombuffer(body, dtype=ENTRY, count=len(body) // ENTRY.itemsize)
    return Offered(
        connector=connector,
        tags=tags,
        tag_index=frozen(entries["tag_index"].astype(np.int32)),
        time_ns=frozen(entries["time_ns"].astype(np.int64)),
        offered_ns=frozen(entries["offered_ns"].astype(np.int64)),
        poll_count=frozen(entries["poll_count"].astype(np.uint32)),
        service=frozen(entries["service"].astype(np.uint8)),
    )


def _header(connector: str, tags: Sequence[TagId]) -> bytes:
    content = {"book": BOOK_VERSION, "connector": connector, "tags": list(tags)}
    return json.dumps(content).encode() + b"\n"

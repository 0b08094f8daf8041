"""Check sums of what lies beside the bodies: the state, the cursors, the checkpoint's positions."""

import zlib
from collections.abc import Mapping, Sequence

from gateway.core.errors import CorruptRecordError
from gateway.store.damage import damage
from gateway.wire.body import close_body, open_body

_CHECKPOINT_VERSION = 2
"""Version 1 held the part alone."""


def with_sum(name: str, value: int | str) -> str:
    """Return a value of the state as it is stored."""
    return f"{value}#{zlib.crc32(f'{name}={value}'.encode()):08x}"


def sum_of_cursors(positions: Mapping[str, int], spans: Sequence[tuple[str, int, int]]) -> int:
    """Return the sum over all cursors and their holes, both in order."""
    return zlib.crc32(repr((sorted(positions.items()), spans)).encode())


def state_value(name: str, stored: object) -> str:
    """Return the value in a row of the state; those of format 1 have no sum.

    Raises:
        sqlite3.DatabaseError: it is damaged.
    """
    value, separator, _ = str(stored).rpartition("#")
    if not separator:
        return str(stored)
    if stored != with_sum(name, value):
        raise damage(f"the state holds {stored!r} as {name}")
    return value


def close_checkpoint_part(part: bytes, *, name: str, seq: int) -> bytes:
    """Return what is stored of one part of a checkpoint, as of a position."""
    return close_body(_head(name, seq) + part, version=_CHECKPOINT_VERSION)


def read_checkpoint_part(body: bytes, *, name: str, seq: int) -> bytes:
    """Return one part of a checkpoint, as of a position.

    Raises:
        CorruptRecordError: it is damaged, or belongs elsewhere.
    """
    version, content = open_body(body)
    if version == 1:
        return content
    head = _head(name, seq)
    if version != _CHECKPOINT_VERSION or not content.startswith(head):
        raise CorruptRecordError(f"a checkpoint of version {version} is not that of {name}, {seq}")
    return content[len(head) :]


def _head(name: str, seq: int) -> bytes:
    return f"{name} {seq}\n".encode()

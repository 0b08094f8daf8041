"""OPC UA responses with values as columns: publish and read. Pure; see `items`.

A message of another shape than expected is left to the library as a whole, by returning None.
Bytes that nobody can read raise `ValueError`.
"""

import struct
from dataclasses import dataclass

from connectors.opcua.events import ServerEvent
from connectors.opcua.items import Changes, ItemDecoder, ItemReader

_PUBLISH_RESPONSE = b"\x01\x00\x3d\x03"
"""NodeId i=829 in its four-byte form."""
_READ_RESPONSE = b"\x01\x00\x7a\x02"
"""NodeId i=634."""
_DATA_CHANGE = b"\x01\x00\x2b\x03\x01"
"""NodeId i=811, and: a body of bytes follows."""
_STATUS_CHANGE = b"\x01\x00\x34\x03\x01"
"""NodeId i=820."""

_U32 = struct.Struct("<I")
_I32 = struct.Struct("<i")


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


def decode_publish_response(body: bytes, *, decode_item: ItemDecoder) -> Notification | None:
    """Return what a publish response says; None when its shape is unusual.

    Args:
        body: The message, its type id first.
        decode_item: Reads an item that is not a numeric scalar.
    Raises:
        ValueError: it is cut short or contradicts itself.
    """
    try:
        return _decode_publish(body, decode_item)
    except (struct.error, IndexError) as error:
        raise ValueError(f"a publish response of {len(body)} bytes is cut short") from error


def decode_read_response(body: bytes, *, decode_item: ItemDecoder) -> Changes | None:
    """Return the values of a read response, in the order of the request; None when it is unusual.

    Args:
        body: The message, its type id first.
        decode_item: Reads a value that is not a numeric scalar.
    Raises:
        ValueError: it is cut short or contradicts itself.
    """
    try:
        position = _skip_header(body, _READ_RESPONSE)
        if position is None:
            return None
        (count,) = _I32.unpack_from(body, position)
        reader = ItemReader(body, position + 4, max(count, 0), decode_item, has_handles=False)
        changes = reader.read()
        _I32.unpack_from(body, reader.position)  # the diagnostics: without them it is cut short
    except (struct.error, IndexError) as error:
        raise ValueError(f"a read response of {len(body)} bytes is cut short") from error
    return changes


def _decode_publish(body: bytes, decode_item: ItemDecoder) -> Notification | None:
    position = _skip_header(body, _PUBLISH_RESPONSE)
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


def _skip_header(body: bytes, type_id: bytes) -> int | None:
    """Return the position behind type id and response header; None when it is unusual."""
    if body[:4] != type_id:
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
    return ItemReader(body, 4, max(count, 0), decode_item, has_handles=True).read()

"""What asyncua's own decoder makes of the same bytes, as our columns.

It reads what `decode` leaves to it, everything with `decode = "library"`, and is what the
tests compare with. It knows times to 1 µs. Where a server sends picoseconds of the source time
and a server time, asyncua 2.1 reads the server time wrong (it expects the picoseconds last; OPC
10000-6, 5.2.2.17 puts each behind its time); the source time, which we use, is right.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

import numpy as np
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary
from asyncua.ua.uaerrors import UaError
from asyncua.ua.uatypes import datetime_to_win_epoch

from connectors.opcua.decode import Notification
from connectors.opcua.event_fields import server_event
from connectors.opcua.events import ServerEvent
from connectors.opcua.items import Changes, OtherItem, OtherValue, unix_ns, unix_s
from gateway.core.arrays import StatusArray, TimeArray
from gateway.core.quality import Status

ParsedT = TypeVar("ParsedT")
AnswerT = TypeVar("AnswerT", bound="Answer")


class Answer(Protocol):
    """What every response of OPC UA has."""

    ResponseHeader: ua.ResponseHeader


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """What one history response says of one node."""

    status: int
    """Bad: nothing is to be had."""
    changes: Changes
    """The values in the order of time; their handles mean nothing."""
    continuation: bytes
    """Asks for the next page; empty is the last one."""


_NUMBERS = frozenset(
    {
        ua.VariantType.Boolean,
        ua.VariantType.SByte,
        ua.VariantType.Byte,
        ua.VariantType.Int16,
        ua.VariantType.UInt16,
        ua.VariantType.Int32,
        ua.VariantType.UInt32,
        ua.VariantType.Int64,
        ua.VariantType.UInt64,
        ua.VariantType.Float,
        ua.VariantType.Double,
    }
)
_WORDS = {
    ua.VariantType.ExtensionObject: "a structure",
    ua.VariantType.ByteString: "raw bytes",
}


def decode_item(body: bytes, position: int) -> OtherItem:
    """Implement `ItemDecoder` with the library, for an item with its client handle."""
    buffer = Buffer(body, position)
    item = _parsed(ua.MonitoredItemNotification, buffer)
    return _other_item(item.ClientHandle, item.Value, buffer)


def decode_value(body: bytes, position: int) -> OtherItem:
    """Implement `ItemDecoder` with the library, for a value without a handle."""
    buffer = Buffer(body, position)
    return _other_item(0, _parsed(ua.DataValue, buffer), buffer)


def decode_response(body: bytes) -> Notification:
    """Return what a publish response says, every value through the library.

    Raises:
        ValueError: the library cannot read it either.
    """
    response = _answer(ua.PublishResponse, body)
    parameters = response.Parameters
    return _notification(parameters.SubscriptionId, parameters.NotificationMessage)


def decode_republished(body: bytes, *, subscription: int) -> Notification:
    """Return the message that a republish response repeats.

    Raises:
        UaStatusCodeError: the server does not have it any more.
        ValueError: the library cannot read it.
    """
    response = _answer(ua.RepublishResponse, body)
    return _notification(subscription, response.NotificationMessage)


def _notification(subscription: int, message: ua.NotificationMessage) -> Notification:
    changes: list[Changes] = []
    events: list[ServerEvent] = []
    closed_status: int | None = None
    for data in message.NotificationData or ():
        if isinstance(data, ua.DataChangeNotification):
            changes.append(changes_of(data.MonitoredItems))
        elif isinstance(data, ua.StatusChangeNotification):
            closed_status = int(data.Status.value)
        elif isinstance(data, ua.EventNotificationList):
            events += [
                server_event(event.ClientHandle, event.EventFields) for event in data.Events or ()
            ]
    return Notification(
        subscription=subscription,
        sequence=message.SequenceNumber,
        changes=tuple(changes),
        closed_status=closed_status,
        events=tuple(events),
    )


def decode_read(body: bytes) -> Changes:
    """Return the values of a read response, every value through the library.

    Raises:
        ValueError: the library cannot read it either.
    """
    response = _answer(ua.ReadResponse, body)
    results = response.Results or ()
    return _columns(np.arange(len(results), dtype=np.uint32), results)


def changes_of(items: Sequence[ua.MonitoredItemNotification]) -> Changes:
    """Return the library's items as columns."""
    handles = np.array([item.ClientHandle for item in items], dtype=np.uint32)
    return _columns(handles, [item.Value for item in items])


def _columns(handles: StatusArray, values: Sequence[ua.DataValue]) -> Changes:
    value = np.array([_number(data) for data in values], dtype=np.float64)
    status = np.array([_status(data) for data in values], dtype=np.uint32)
    is_typed = np.array([_is_number(data) for data in values], dtype=np.bool_)
    is_lost = ~np.isfinite(value)
    is_unsaid = is_lost & (status < Status.BAD)
    status[is_unsaid & is_typed] = Status.BAD_OUT_OF_RANGE
    status[is_unsaid & ~is_typed] = Status.BAD_TYPE_MISMATCH
    value[is_lost] = np.nan
    others = {place: _other(data) for place, data in enumerate(values)}
    return Changes(
        handles=handles,
        value=value,
        status=status,
        source_ns=_times([data.SourceTimestamp for data in values]),
        server_ns=_times([data.ServerTimestamp for data in values]),
        others={place: other for place, other in others.items() if other is not None},
    )


def _other_item(handle: int, data: ua.DataValue, buffer: Buffer) -> OtherItem:
    return OtherItem(
        handle=handle,
        status=_status(data),
        source=_filetime(data.SourceTimestamp),
        server=_filetime(data.ServerTimestamp),
        end=buffer.cur_pos,
        other=_other(data),
    )


def _other(data: ua.DataValue) -> OtherValue | None:
    """Return what a value is that is not one number; None for a number and for nothing."""
    variant = data.Value
    if variant is None or variant.VariantType == ua.VariantType.Null or _is_number(data):
        return None
    kind, value, status = variant.VariantType, variant.Value, _status(data)
    if variant.is_array:
        members = value if isinstance(value, list) else []
        is_numeric = kind in _NUMBERS and not any(isinstance(one, list) for one in members)
        numbers = tuple(float(one) for one in members) if is_numeric else ()
        return OtherValue(
            what=f"an array of {len(members)} {kind.name}", status=status, numbers=numbers
        )
    if kind == ua.VariantType.String:
        return OtherValue(what="text", status=status, text=value or "")
    if kind == ua.VariantType.LocalizedText:
        return OtherValue(what="text", status=status, text=(value.Text if value else None) or "")
    return OtherValue(what=_WORDS.get(kind, f"a {kind.name}"), status=status)


def decode_history(body: bytes) -> tuple[HistoryPage, ...]:
    """Return what a history response says of each node, in the order of the request.

    Raises:
        UaStatusCodeError: the server refuses the call as a whole.
        ValueError: the library cannot read it.
    """
    response = _answer(ua.HistoryReadResponse, body)
    return tuple(_history_page(result) for result in response.Results or ())


def _history_page(result: ua.HistoryReadResult) -> HistoryPage:
    data = result.HistoryData
    values = data.DataValues if isinstance(data, ua.HistoryData) else None
    return HistoryPage(
        status=int(result.StatusCode.value),
        changes=changes_of(
            [ua.MonitoredItemNotification(ClientHandle=0, Value=value) for value in values or ()]
        ),
        continuation=result.ContinuationPoint or b"",
    )


def decode_browse(body: bytes) -> list[ua.BrowseResult]:
    """Return what a browse response says of each node.

    Raises:
        UaStatusCodeError: the server refuses the call as a whole.
        ValueError: the library cannot read it.
    """
    return list(_answer(ua.BrowseResponse, body).Results or ())


def decode_browse_next(body: bytes) -> list[ua.BrowseResult]:
    """Return what the response to BrowseNext says of each node; raises as `decode_browse`."""
    return list(_answer(ua.BrowseNextResponse, body).Parameters.Results or ())


def decode_values(body: bytes) -> list[ua.DataValue]:
    """Return the values of a read response, of any kind; raises as `decode_browse`."""
    return list(_answer(ua.ReadResponse, body).Results or ())


def _answer(kind: type[AnswerT], body: bytes) -> AnswerT:
    """Return a response.

    Raises:
        UaStatusCodeError: the server refuses the call as a whole.
        ValueError: the bytes hold no such response.
    """
    response = _parsed(kind, Buffer(body))
    response.ResponseHeader.ServiceResult.check()
    return response


def _parsed(kind: type[ParsedT], buffer: Buffer) -> ParsedT:
    """Return the next structure of a kind.

    Raises:
        ValueError: the bytes hold none.
    """
    try:
        parsed: ParsedT = struct_from_binary(kind, buffer)
    except (UaError, struct.error, TypeError, IndexError, OverflowError) as error:
        # The library raises whatever its innermost reader stumbles over.
        raise ValueError(f"asyncua cannot read a {kind.__name__}: {error!r}") from error
    return parsed


def _times(times: Sequence[datetime | None]) -> TimeArray:
    return unix_ns(np.array([_filetime(time) for time in times], dtype=np.int64))


def _is_number(data: ua.DataValue) -> bool:
    variant = data.Value
    if variant is None or variant.Value is None or variant.is_array:
        return False
    return variant.VariantType in _NUMBERS or variant.VariantType == ua.VariantType.DateTime


def _number(data: ua.DataValue) -> float:
    if data.Value is None or not _is_number(data):
        return math.nan
    value = data.Value.Value
    if isinstance(value, datetime):
        return float(unix_s(np.array([_filetime(value)], dtype=np.int64))[0])
    return float(value)


def _status(data: ua.DataValue) -> int:
    return 0 if data.StatusCode is None else int(data.StatusCode.value)


def _filetime(time: datetime | None) -> int:
    return 0 if time is None else datetime_to_win_epoch(time)

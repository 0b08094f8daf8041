"""Which fields of an event a server is asked for, and what the library makes of its answer."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds

from connectors.opcua.events import ServerEvent
from connectors.opcua.node_ids import node_address

ValueT = TypeVar("ValueT")

_PATHS: tuple[tuple[str, ...], ...] = (
    ("EventId",),
    ("EventType",),
    ("SourceName",),
    ("Time",),
    ("Message",),
    ("Severity",),
    ("ConditionName",),
    ("ActiveState", "Id"),
    ("AckedState", "Id"),
    ("Retain",),
    ("BranchId",),
    ("ClientUserId",),
)
"""Browse paths, in the order in which `server_event` reads them; the condition's id follows."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_MAX = 2261
"""The last whole year that fits into nanoseconds since 1970."""
_MICROSECOND = timedelta(microseconds=1)
_NS_PER_MICROSECOND = 1000


def event_filter() -> ua.EventFilter:
    """Return what to ask for: fields that an event does not have come back empty.

    A path is meant from BaseEventType, which servers take for every type (OPC 10000-4, 7.7.4.5);
    only the condition's own node id belongs to ConditionType (OPC 10000-9, 5.5.2).
    """
    clauses = [
        ua.SimpleAttributeOperand(
            TypeDefinitionId=ua.NodeId(ua.Int32(ObjectIds.BaseEventType)),
            BrowsePath=[ua.QualifiedName(name) for name in path],
            AttributeId=ua.IntegerId(AttributeIds.Value),
        )
        for path in _PATHS
    ]
    clauses.append(
        ua.SimpleAttributeOperand(
            TypeDefinitionId=ua.NodeId(ua.Int32(ObjectIds.ConditionType)),
            BrowsePath=[],
            AttributeId=ua.IntegerId(AttributeIds.NodeId),
        )
    )
    return ua.EventFilter(SelectClauses=clauses)


def server_event(handle: int, fields: Sequence[ua.Variant]) -> ServerEvent:
    """Return an event of a notification; a field of another kind than expected counts as empty."""
    values = [None if field is None else field.Value for field in fields]
    values += [None] * (len(_PATHS) + 1 - len(values))
    id_, type_, source, time, message, severity, *of_condition = values[: len(_PATHS) + 1]
    condition, active, acked, retain, branch, user, node = of_condition
    return ServerEvent(
        handle=handle,
        id=_of(bytes, id_, b""),
        type=_node_text(type_),
        source=_of(str, source, ""),
        time_ns=_time_ns(time),
        text=_of(str, message.Text, "") if isinstance(message, ua.LocalizedText) else "",
        severity=_of(int, severity, 0),
        condition=_of(str, condition, ""),
        condition_id=_node_text(node),
        is_active=active if isinstance(active, bool) else None,
        is_acknowledged=acked if isinstance(acked, bool) else None,
        is_retained=retain if isinstance(retain, bool) else None,
        is_branch=bool(_node_text(branch)),
        operator=_of(str, user, ""),
    )


def _of(kind: type[ValueT], value: object, default: ValueT) -> ValueT:
    return value if isinstance(value, kind) else default


def _node_text(value: object) -> str:
    """Return a node id as text; empty for none and for the null id."""
    if not isinstance(value, ua.NodeId) or value.is_null():
        return ""
    return str(node_address(value, ()))


def _time_ns(value: object) -> int:
    """Return a time in nanoseconds since 1970, UTC; 0 when there is none, or it is far off."""
    if not isinstance(value, datetime):
        return 0
    time = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    if not _EPOCH.year <= time.year <= _YEAR_MAX:
        return 0
    return max(0, (time - _EPOCH) // _MICROSECOND * _NS_PER_MICROSECOND)

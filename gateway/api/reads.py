"""What the API answers to each reading request, from memory."""

from collections import Counter
from enum import IntEnum
from itertools import islice

from gateway.api.alarms import alarm_counts
from gateway.api.answers import (
    AssetDetail,
    AssetList,
    EventList,
    HealthAnswer,
    LedgerList,
    ModelList,
    StatusAnswer,
    TagList,
    TrendAnswer,
)
from gateway.api.device_answers import DeviceList, DeviceTags
from gateway.api.errors import NotFoundError
from gateway.api.requests import (
    AssetRequest,
    DeviceTagsRequest,
    LatestRequest,
    Request,
    TagRequest,
    TagsRequest,
)
from gateway.api.translate import (
    asset_answer,
    books_answer,
    configuration_answer,
    device_answer,
    event_answer,
    ledger_answer,
    log_answer,
    model_answer,
    moment,
    signal_answer,
    tag_answer,
    trend_answer,
    uplink_answer,
)
from gateway.api.uplink_answers import UplinkList
from gateway.api.view import GatewayView, Values
from gateway.core.device_status import DeviceStatus
from gateway.core.quality import Status
from gateway.core.tags import Tag, TagId

ASSET_EVENTS = 20
"""Events shown with one asset."""
EVENTS_SEARCHED = 500
"""Latest events among which those of one asset are looked for."""


def read_health(view: GatewayView, _request: Request) -> HealthAnswer:
    """Tell whether the log can be written; devices and uplinks may come and go."""
    fault = view.log().fault
    return HealthAnswer(is_healthy=not fault, reasons=(fault,) if fault else ())


def read_status(view: GatewayView, _request: Request) -> StatusAnswer:
    """Tell the state of the gateway at one glance."""
    identity = view.identity
    return StatusAnswer(
        gateway=identity.gateway,
        site=identity.site,
        version=identity.version,
        started=moment(identity.started_ns),
        now=moment(view.now_ns()),
        tag_count=len(view.table()),
        asset_count=len(view.twin_states()),
        alarms=alarm_counts(view.alarms()),
        log=log_answer(view.log()),
        books=books_answer(view.books()),
        configuration=configuration_answer(view.configuration()),
    )


def read_assets(view: GatewayView, _request: Request) -> AssetList:
    """List the assets."""
    values = view.values()
    return AssetList(assets=tuple(asset_answer(s, view, values) for s in view.twin_states()))


def read_asset(view: GatewayView, request: AssetRequest) -> AssetDetail:
    """Show one asset with its signals and its latest events.

    Raises:
        NotFoundError: there is no such asset.
    """
    state = next((s for s in view.twin_states() if s.asset == request.asset), None)
    if state is None:
        raise NotFoundError(f"there is no asset {request.asset!r}")
    values = view.values()
    events = (e for e in view.events(EVENTS_SEARCHED) if e.source == state.asset)
    return AssetDetail(
        summary=asset_answer(state, view, values),
        signals=tuple(signal_answer(signal, view, values) for signal in state.signals),
        events=tuple(event_answer(event) for event in islice(events, ASSET_EVENTS)),
    )


def read_tags(view: GatewayView, request: TagsRequest) -> TagList:
    """List a page of tags with their last values."""
    wanted = request.find.casefold()
    found = [
        index
        for index, tag in enumerate(view.table().tags)
        if tag.id.startswith(request.prefix) and wanted in tag.id.casefold()
    ]
    page = found[request.offset : request.offset + request.limit]
    tags, values = view.table().tags, view.values()
    return TagList(
        count=len(found),
        tags=tuple(tag_answer(tags[index], index, values) for index in page),
    )


def read_trend(view: GatewayView, request: TagRequest) -> TrendAnswer:
    """Show the last samples of one tag.

    Raises:
        NotFoundError: there is no such tag.
    """
    tag = _tag(view, request.tag)
    return trend_answer(tag, view.trend(tag.id))


def read_devices(view: GatewayView, _request: Request) -> DeviceList:
    """List the devices."""
    return DeviceList(devices=tuple(map(device_answer, view.devices())))


def read_device_tags(view: GatewayView, request: DeviceTagsRequest) -> DeviceTags:
    """Show the newest values of one device, trouble first.

    Raises:
        NotFoundError: there is no such device.
    """
    device = device_named(view, request.device)
    values, tags = view.values(), view.table().tags
    indices = [
        index
        for index, tag in enumerate(tags)
        if tag.id.startswith(f"{device.name}.") and not tag.is_derived
    ]
    ranks = {index: _rank(index, values) for index in indices}
    count = Counter(ranks.values())
    worst_first = sorted(indices, key=lambda index: ranks[index])[: request.limit]
    return DeviceTags(
        device=device.name,
        good_count=count[_Rank.GOOD],
        uncertain_count=count[_Rank.UNCERTAIN],
        stale_count=count[_Rank.STALE],
        waiting_count=count[_Rank.WAITING],
        bad_count=count[_Rank.BAD],
        tags=tuple(tag_answer(tags[index], index, values) for index in worst_first),
    )


def device_named(view: GatewayView, name: str) -> DeviceStatus:
    """Return a device by its name.

    Raises:
        NotFoundError: there is no such device.
    """
    found = next((device for device in view.devices() if device.name == name), None)
    if found is None:
        raise NotFoundError(f"there is no device {name!r}")
    return found


class _Rank(IntEnum):
    """How much a value asks for a person; the lower, the more."""

    BAD = 0
    WAITING = 1
    STALE = 2
    UNCERTAIN = 3
    GOOD = 4


def _rank(index: int, values: Values) -> _Rank:
    if values.time_ns[index] == 0:
        return _Rank.WAITING
    if values.status[index] >= Status.BAD:
        return _Rank.BAD
    if values.is_stale[index]:
        return _Rank.STALE
    return _Rank.UNCERTAIN if values.status[index] >= Status.UNCERTAIN else _Rank.GOOD


def read_uplinks(view: GatewayView, _request: Request) -> UplinkList:
    """List the uplinks."""
    return UplinkList(uplinks=tuple(map(uplink_answer, view.uplinks())))


def read_ledger(view: GatewayView, request: LatestRequest) -> LedgerList:
    """List the latest losses and gaps, the newest first."""
    return LedgerList(entries=tuple(map(ledger_answer, view.ledger(request.limit))))


def read_models(view: GatewayView, _request: Request) -> ModelList:
    """List every version of every model."""
    return ModelList(models=tuple(map(model_answer, view.models())))


def read_events(view: GatewayView, request: LatestRequest) -> EventList:
    """List the latest events, the newest first."""
    return EventList(events=tuple(map(event_answer, view.events(request.limit))))


def _tag(view: GatewayView, name: str) -> Tag:
    table, tag_id = view.table(), TagId(name)
    if tag_id not in table:
        raise NotFoundError(f"there is no tag {name!r}")
    return table.tags[table.index(tag_id)]

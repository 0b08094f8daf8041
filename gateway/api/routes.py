"""The route table: the server, the OpenAPI document and the tests are made from it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from pydantic import BaseModel

from gateway.api.actions import apply, promote, roll_back, submit_command, trust
from gateway.api.alarm_answers import AlarmList, AlarmMetricsAnswer
from gateway.api.alarms import (
    acknowledge,
    put_back,
    read_alarm_metrics,
    read_alarms,
    reset,
    shelve,
    take_out,
    unshelve,
)
from gateway.api.answers import (
    Answer,
    AppliedAnswer,
    AssetDetail,
    AssetList,
    CommandAnswer,
    EventAnswer,
    EventList,
    HealthAnswer,
    LedgerList,
    ModelList,
    StatusAnswer,
    StreamLine,
    TagList,
    TrendAnswer,
)
from gateway.api.case_answers import CaseAnswer, CaseList
from gateway.api.cases import decide, read_cases
from gateway.api.dead_letters import list_dead_letters, send_dead_letters_again
from gateway.api.device_answers import DeviceList, DeviceTags
from gateway.api.reads import (
    read_asset,
    read_assets,
    read_device_tags,
    read_devices,
    read_events,
    read_health,
    read_ledger,
    read_models,
    read_status,
    read_tags,
    read_trend,
    read_uplinks,
)
from gateway.api.requests import (
    AlarmRequest,
    ApplyRequest,
    AssetRequest,
    CommandRequest,
    DeviceTagsRequest,
    LatestRequest,
    ModelRequest,
    ReasonRequest,
    Request,
    ShelveRequest,
    StreamRequest,
    TagRequest,
    TagsRequest,
    TrustRequest,
    UplinkRequest,
    VerdictRequest,
)
from gateway.api.uplink_answers import DeadLetterList, ResentAnswer, UplinkList
from gateway.api.view import GatewayView

RequestT = TypeVar("RequestT", bound=Request)
AnswerT = TypeVar("AnswerT", bound=Answer)


class Method(StrEnum):
    """GET reads, POST acts."""

    GET = "GET"
    POST = "POST"


class Route(Protocol):
    """One thing that the API does."""

    @property
    def method(self) -> Method:
        """Whether it reads or acts."""

    @property
    def path(self) -> str:
        """Path with its parameters in braces."""

    @property
    def summary(self) -> str:
        """What it does, in a sentence for the document."""

    @property
    def request(self) -> type[BaseModel]:
        """What it takes."""

    @property
    def answer(self) -> type[BaseModel]:
        """What it answers."""

    async def serve(
        self, view: GatewayView, fields: Mapping[str, object], operator: str
    ) -> BaseModel:
        """Check the fields of a request, and carry it out.

        Raises:
            ValidationError: the fields are not what `request` says.
            NotFoundError: they name something that is not there.
            CommandError: the gateway refuses.
            ModelError: a model is unfit.
        """


@dataclass(frozen=True, slots=True)
class Read(Generic[RequestT, AnswerT]):
    """A route that answers from memory."""

    path: str
    request: type[RequestT]
    answer: type[AnswerT]
    handler: Callable[[GatewayView, RequestT], AnswerT]

    @property
    def method(self) -> Method:
        """It reads."""
        return Method.GET

    @property
    def summary(self) -> str:
        """First line of the handler's docstring."""
        return _summary(self.handler.__doc__)

    async def serve(
        self, view: GatewayView, fields: Mapping[str, object], operator: str
    ) -> BaseModel:
        """Answer; who asks makes no difference."""
        del operator
        return self.handler(view, self.request.model_validate(fields))


@dataclass(frozen=True, slots=True)
class Act(Generic[RequestT, AnswerT]):
    """A route that does something in a person's name."""

    path: str
    request: type[RequestT]
    answer: type[AnswerT]
    handler: Callable[[GatewayView, RequestT, str], Awaitable[AnswerT]]

    @property
    def method(self) -> Method:
        """It acts."""
        return Method.POST

    @property
    def summary(self) -> str:
        """First line of the handler's docstring."""
        return _summary(self.handler.__doc__)

    async def serve(
        self, view: GatewayView, fields: Mapping[str, object], operator: str
    ) -> BaseModel:
        """Act, and answer what came of it."""
        return await self.handler(view, self.request.model_validate(fields), operator)


@dataclass(frozen=True, slots=True)
class Look(Act[RequestT, AnswerT]):
    """A route that answers from the disk."""

    @property
    def method(self) -> Method:
        """It reads."""
        return Method.GET


@dataclass(frozen=True, slots=True, kw_only=True)
class Special:
    """A route that the server handles itself, described for the document."""

    path: str
    summary: str
    media_type: str
    request: type[Request] = Request
    answer: type[Answer] | None = None
    """One line or the whole of what it answers; None where JSON Schema does not describe it."""


HEALTH = Read("/healthz", Request, HealthAnswer, read_health)

ROUTES: tuple[Route, ...] = (
    HEALTH,
    Read("/v1/status", Request, StatusAnswer, read_status),
    Read("/v1/assets", Request, AssetList, read_assets),
    Read("/v1/assets/{asset}", AssetRequest, AssetDetail, read_asset),
    Read("/v1/tags", TagsRequest, TagList, read_tags),
    Read("/v1/tags/{tag}/trend", TagRequest, TrendAnswer, read_trend),
    Read("/v1/alarms", Request, AlarmList, read_alarms),
    Read("/v1/alarms/metrics", Request, AlarmMetricsAnswer, read_alarm_metrics),
    Act("/v1/alarms/{alarm}/acknowledge", AlarmRequest, EventAnswer, acknowledge),
    Act("/v1/alarms/{alarm}/reset", AlarmRequest, EventAnswer, reset),
    Act("/v1/alarms/{alarm}/shelve", ShelveRequest, EventAnswer, shelve),
    Act("/v1/alarms/{alarm}/unshelve", AlarmRequest, EventAnswer, unshelve),
    Act("/v1/alarms/{alarm}/out-of-service", ReasonRequest, EventAnswer, take_out),
    Act("/v1/alarms/{alarm}/return-to-service", AlarmRequest, EventAnswer, put_back),
    Read("/v1/cases", Request, CaseList, read_cases),
    Act("/v1/cases/{case}/verdict", VerdictRequest, CaseAnswer, decide),
    Read("/v1/devices", Request, DeviceList, read_devices),
    Read("/v1/devices/{device}/tags", DeviceTagsRequest, DeviceTags, read_device_tags),
    Act("/v1/devices/{device}/trust", TrustRequest, EventAnswer, trust),
    Read("/v1/uplinks", Request, UplinkList, read_uplinks),
    Look("/v1/uplinks/{uplink}/dead-letters", UplinkRequest, DeadLetterList, list_dead_letters),
    Act(
        "/v1/uplinks/{uplink}/dead-letters/retry",
        UplinkRequest,
        ResentAnswer,
        send_dead_letters_again,
    ),
    Read("/v1/ledger", LatestRequest, LedgerList, read_ledger),
    Read("/v1/models", Request, ModelList, read_models),
    Act("/v1/models/{name}/promote", ModelRequest, ModelList, promote),
    Act("/v1/models/{name}/rollback", ModelRequest, ModelList, roll_back),
    Act("/v1/commands", CommandRequest, CommandAnswer, submit_command),
    Act("/v1/configuration/apply", ApplyRequest, AppliedAnswer, apply),
    Read("/v1/events", LatestRequest, EventList, read_events),
)

STREAM = Special(
    path="/v1/stream",
    summary="Follow new values and events: one JSON document a line, until you hang up.",
    media_type="application/x-ndjson",
    request=StreamRequest,
    answer=StreamLine,
)
METRICS = Special(
    path="/metrics",
    summary="Show the counters in the format of Prometheus.",
    media_type="text/plain",
)
DOCUMENT = Special(
    path="/openapi.json",
    summary="Describe this API.",
    media_type="application/json",
)
SPECIALS = (STREAM, METRICS, DOCUMENT)


def _summary(docstring: str | None) -> str:
    assert docstring, "a handler says what it does"
    return docstring.splitlines()[0]

"""The sync API: what gateways and operators ask of the cloud, over HTTP.

One table lists every route; the server and the OpenAPI document are both made from it.
"""

import asyncio
import json
import re
from dataclasses import dataclass
from functools import partial
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from cloud_sync.cloud.database import Database
from cloud_sync.cloud.ingest import Ingest, IngestSettings
from cloud_sync.cloud.journal import ENTRIES_MAX, read_events, read_gateways, read_losses
from cloud_sync.cloud.labels import read_labels
from cloud_sync.cloud.lake import read_levels
from cloud_sync.cloud.messages import (
    Accepted,
    EventList,
    GatewayStatus,
    Health,
    LabelList,
    LossList,
    ModelList,
    ModelRelease,
    RetrainList,
    RetrainRequest,
    RetrainRun,
    Status,
)
from cloud_sync.cloud.metrics import CloudMetrics
from cloud_sync.cloud.openapi import JSON, Access, Route, openapi_document
from cloud_sync.cloud.presence import Presence
from cloud_sync.cloud.registry import Registry
from cloud_sync.cloud.requests import (
    CALLER,
    Handler,
    ProblemError,
    Tokens,
    answer,
    guarded,
    read_body,
    read_message,
    tell_problems,
)
from cloud_sync.cloud.retrain import Retrainer, read_runs
from cloud_sync.cloud.taking import take_batch
from gateway.wire.batches import MEDIA_TYPE
from gateway.wire.bundle import BUNDLE_SIZE_BYTES_MAX

API_VERSION: Final = "1.0"
BUNDLE_MEDIA_TYPE: Final = "application/octet-stream"
METRICS_MEDIA_TYPE: Final = "text/plain"

_METADATA_NAME: Final = re.compile(r"(\d{1,9}\.)?(root|targets|models|snapshot|timestamp)\.json")
_TARGET_PATH: Final = re.compile(r"models/[a-z0-9-]{1,63}/[0-9a-f]{64}\.[a-z0-9.-]{1,90}\.ewm")
_FILTERS: Final = (
    ("gateway", "Only entries of this gateway."),
    ("limit", f"Number of entries, at most {ENTRIES_MAX}."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the API serves."""

    database: Database
    ingest: Ingest
    registry: Registry
    retrainer: Retrainer
    metrics: CloudMetrics
    presence: Presence


class Api:
    """The handlers of all routes."""

    def __init__(self, parts: Parts, *, tokens: Tokens, ingest: IngestSettings) -> None:
        """Serve these parts to whoever has one of these tokens."""
        self._parts = parts
        self._tokens = tokens
        self._limits = ingest
        document = openapi_document(self.routes(), version=API_VERSION)
        self._openapi = json.dumps(document, indent=1)

    def application(self) -> web.Application:
        """Return the application that serves the routes."""
        application = web.Application(middlewares=[self._count_refusals, tell_problems])
        for route in self.routes():
            handler = guarded(route.handler, access=route.access, tokens=self._tokens)
            application.router.add_route(route.method, route.path, handler)
        return application

    def routes(self) -> tuple[Route, ...]:
        """Return all that can be asked."""
        return (*self._data_routes(), *self._model_routes(), *self._own_routes())

    def _data_routes(self) -> tuple[Route, ...]:
        return (
            Route(
                method="POST", path="/v1/batches", handler=self._take_batch,
                summary="Deliver records; the answer comes after the commit.",
                access=Access.GATEWAY, body=MEDIA_TYPE, answer=Accepted, problems=(503,),
            ),
            Route(
                method="GET", path="/v1/status", handler=self._tell_status,
                summary="What came, where it is, and how long signatures hold.",
                access=Access.ANY, answer=Status, problems=(503,),
            ),
            Route(
                method="GET", path="/v1/events", handler=self._list_events,
                summary="Events of the gateways, the newest first.",
                access=Access.OPERATOR, answer=EventList, query=_FILTERS, problems=(400, 503),
            ),
            Route(
                method="GET", path="/v1/ledger", handler=self._list_losses,
                summary="Samples that are missing, and why, the newest entry first.",
                access=Access.OPERATOR, answer=LossList, query=_FILTERS, problems=(400, 503),
            ),
        )  # fmt: skip

    def _model_routes(self) -> tuple[Route, ...]:
        return (
            Route(
                method="GET", path="/v1/models", handler=self._list_models,
                summary="All releases; a gateway trusts the TUF repository, not this list.",
                access=Access.ANY, answer=ModelList, problems=(503,),
            ),
            Route(
                method="POST", path="/v1/releases", handler=self._release,
                summary="Release a model bundle.",
                access=Access.OPERATOR, body=BUNDLE_MEDIA_TYPE, answer=ModelRelease,
                problems=(503,),
            ),
            Route(
                method="POST", path="/v1/retrain", handler=self._retrain,
                summary="Train the next version of a model and release it if it is better.",
                access=Access.OPERATOR, body=RetrainRequest, answer=RetrainRun,
                problems=(404, 409, 503),
            ),
            Route(
                method="GET", path="/v1/retrain", handler=self._list_runs,
                summary="Retrainings and what came of them, the newest first.",
                access=Access.OPERATOR, answer=RetrainList, problems=(503,),
            ),
            Route(
                method="GET", path="/v1/labels", handler=self._list_labels,
                summary="What technicians found behind cases, the newest first.",
                access=Access.OPERATOR, answer=LabelList, problems=(503,),
            ),
            Route(
                method="GET", path="/tuf/metadata/{name}", handler=self._give_metadata,
                summary="Metadata of the TUF repository.",
                access=Access.OPEN, answer=JSON, problems=(404,),
            ),
            Route(
                method="GET", path="/tuf/targets/{path:.+}", handler=self._give_target,
                summary="Model bundles of the TUF repository.",
                access=Access.OPEN, answer=BUNDLE_MEDIA_TYPE, problems=(404,),
            ),
        )  # fmt: skip

    def _own_routes(self) -> tuple[Route, ...]:
        return (
            Route(
                method="GET", path="/metrics", handler=self._tell_metrics,
                summary="Counters for Prometheus.",
                access=Access.OPERATOR, answer=METRICS_MEDIA_TYPE, problems=(503,),
            ),
            Route(
                method="GET", path="/healthz", handler=self._tell_health,
                summary="Whether the database takes a transaction.",
                access=Access.OPEN, answer=Health, problems=(503,),
            ),
            Route(
                method="GET", path="/openapi.json", handler=self._describe,
                summary="This document.", access=Access.OPEN, answer=JSON,
            ),
        )  # fmt: skip

    async def _take_batch(self, request: web.Request) -> web.Response:
        gateway = request[CALLER].gateway
        assert gateway is not None, "the route is for gateways"
        body = await read_body(
            request,
            media_type=MEDIA_TYPE,
            size_bytes_max=self._limits.batch_size_bytes_max,
            timeout_s=self._limits.receive_timeout_s,
        )
        return answer(
            await take_batch(
                body, gateway=gateway, ingest=self._parts.ingest, metrics=self._parts.metrics
            )
        )

    async def _tell_status(self, request: web.Request) -> web.Response:
        gateways = await self._parts.database.transact(read_gateways)
        lake = await self._parts.database.transact(read_levels)
        expiries = await asyncio.to_thread(self._parts.registry.expiries)
        asker = request[CALLER].gateway
        own = tuple(
            self._with_presence(one) for one in gateways if asker is None or one.gateway == asker
        )
        return answer(Status(gateways=own, lake=lake, registry_expiry_s=dict(expiries)))

    def _with_presence(self, status: GatewayStatus) -> GatewayStatus:
        is_online, changed_ns = self._parts.presence.of(status.gateway)
        return status.model_copy(update={"is_online": is_online, "online_changed_ns": changed_ns})

    async def _list_events(self, request: web.Request) -> web.Response:
        work = partial(read_events, gateway=request.query.get("gateway"), limit=_limit(request))
        return answer(await self._parts.database.transact(work))

    async def _list_losses(self, request: web.Request) -> web.Response:
        work = partial(read_losses, gateway=request.query.get("gateway"), limit=_limit(request))
        return answer(await self._parts.database.transact(work))

    async def _list_models(self, _: web.Request) -> web.Response:
        releases = await asyncio.to_thread(self._parts.registry.releases)
        return answer(ModelList(models=releases))

    async def _release(self, request: web.Request) -> web.Response:
        bundle = await read_body(
            request,
            media_type=BUNDLE_MEDIA_TYPE,
            size_bytes_max=BUNDLE_SIZE_BYTES_MAX,
            timeout_s=self._limits.receive_timeout_s,
        )
        release = await asyncio.to_thread(self._parts.registry.release, bundle)
        return answer(release)

    async def _retrain(self, request: web.Request) -> web.Response:
        asked = await read_message(
            request, RetrainRequest, timeout_s=self._limits.receive_timeout_s
        )
        return answer(await self._parts.retrainer.run(asked.model))

    async def _list_runs(self, _: web.Request) -> web.Response:
        return answer(await self._parts.database.transact(read_runs))

    async def _list_labels(self, _: web.Request) -> web.Response:
        return answer(await self._parts.database.transact(read_labels))

    async def _give_metadata(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        path = self._parts.registry.folder / "metadata" / name
        if not _METADATA_NAME.fullmatch(name) or not path.is_file():
            raise ProblemError(404, "there is no such metadata", "ask for `timestamp.json` first")
        # Only the timestamp ever changes under its name.
        caching = "no-cache" if name == "timestamp.json" else "max-age=86400, immutable"
        return web.FileResponse(path, headers={"Cache-Control": caching})

    async def _give_target(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["path"]
        path = self._parts.registry.folder / "targets" / name
        if not _TARGET_PATH.fullmatch(name) or not path.is_file():
            raise ProblemError(404, "there is no such model", "take the path from the metadata")
        return web.FileResponse(path, headers={"Content-Type": BUNDLE_MEDIA_TYPE})

    async def _tell_metrics(self, _: web.Request) -> web.Response:
        levels = await self._parts.database.transact(read_levels)
        expiries = await asyncio.to_thread(self._parts.registry.expiries)
        text = self._parts.metrics.text(levels, dict(expiries))
        return web.Response(body=text, content_type=METRICS_MEDIA_TYPE, charset="utf-8")

    async def _tell_health(self, _: web.Request) -> web.Response:
        await self._parts.database.transact(read_levels)
        return answer(Health(status="ok"))

    async def _describe(self, _: web.Request) -> web.Response:
        return web.Response(text=self._openapi, content_type=JSON)

    @property
    def _count_refusals(self) -> Middleware:
        @web.middleware
        async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
            response = await handler(request)
            if response.status >= 400:
                self._parts.metrics.refused(response.status)
            return response

        return count


def _limit(request: web.Request) -> int:
    text = request.query.get("limit", "100")
    if not re.fullmatch(r"\d{1,6}", text):
        raise ProblemError(400, f"limit: {text!r} is not a number", "leave it out for 100")
    return min(int(text), ENTRIES_MAX)

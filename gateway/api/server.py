"""The local HTTP API on a Unix socket.

Who may connect is decided by the file's mode (owner and group); who acts is known from the
kernel, not from the request. Every refusal is `{"error": ..., "remedy": ...}`.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import structlog
from aiohttp import web
from pydantic import Field, ValidationError

from gateway.api.answers import HealthAnswer, Refusal
from gateway.api.errors import NotFoundError
from gateway.api.metrics import CONTENT_TYPE, render_metrics
from gateway.api.openapi import openapi_document
from gateway.api.peer import operator_of
from gateway.api.requests import StreamRequest
from gateway.api.routes import DOCUMENT, METRICS, ROUTES, SPECIALS, STREAM, Method, Route
from gateway.api.socket_file import SocketFile
from gateway.api.stream import write_stream
from gateway.api.view import GatewayView
from gateway.core.errors import CommandError, ModelError
from gateway.core.settings import Settings

DEFAULT_SOCKET = Path("/run/edgewright/api.sock")
SOCKET_MODE = 0o660
"""The owner and the group may do everything, everybody else nothing."""
BODY_BYTES_MAX = 64 * 1024
SHUTDOWN_S = 2.0
"""Time that running answers have when the service stops."""

log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ApiConfig(Settings):
    """The local API."""

    socket: Path = DEFAULT_SOCKET
    """Path of the Unix socket."""
    streams_max: Annotated[int, Field(ge=1, le=1000)] = 16
    """Readers that may follow the stream at one time."""


class ApiServer:
    """Serves the view of the running gateway."""

    def __init__(self, config: ApiConfig, view: GatewayView) -> None:
        """Prepare the routes; nothing listens yet."""
        self._config = config
        self._view = view
        self._streams: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until cancelled.

        Raises:
            ConfigError: the socket cannot be made.
        """
        async with self.serving():
            await asyncio.Event().wait()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve inside the context.

        Raises:
            ConfigError: the socket cannot be made.
        """
        file = SocketFile(self._config.socket, mode=SOCKET_MODE)
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=SHUTDOWN_S)
        try:
            await runner.setup()
            await web.SockSite(runner, file.socket).start()
            log.info("api_started", socket=str(self._config.socket))
            yield
        finally:
            file.remove()
            await runner.cleanup()
            file.socket.close()

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[_refusals], client_max_size=BODY_BYTES_MAX)
        application.on_shutdown.append(self._end_streams)
        for route in ROUTES:
            # An alarm's id holds a slash and a tag's may: a parameter takes whole ids.
            path = route.path.replace("}", ":.+}")
            application.router.add_route(route.method, path, self._handler(route))
        application.router.add_get(STREAM.path, self._stream)
        application.router.add_get(METRICS.path, self._metrics)
        application.router.add_get(DOCUMENT.path, self._document)
        return application

    def _handler(self, route: Route) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            fields = await _fields(request, route.method)
            answer = await route.serve(self._view, fields, _operator(request))
            failed = isinstance(answer, HealthAnswer) and not answer.is_healthy
            return web.Response(
                text=answer.model_dump_json(),
                content_type="application/json",
                status=web.HTTPServiceUnavailable.status_code if failed else 200,
            )

        return handle

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        wish = StreamRequest.model_validate(await _fields(request, Method.GET))
        if len(self._streams) >= self._config.streams_max:
            return _refusal(
                503,
                f"{len(self._streams)} readers follow the stream already",
                "end one of them, or raise api.streams_max",
            )
        response = web.StreamResponse(headers={"Content-Type": STREAM.media_type})
        await response.prepare(request)
        # A task of its own, so that stopping the service can end it without waiting.
        async with asyncio.TaskGroup() as group:
            stream = group.create_task(write_stream(response, self._view, wish), name="api_stream")
            self._streams.add(stream)
            stream.add_done_callback(self._streams.discard)
        return response

    async def _end_streams(self, _application: web.Application) -> None:
        for stream in self._streams:
            stream.cancel()

    async def _metrics(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(body=render_metrics(self._view), headers={"Content-Type": CONTENT_TYPE})

    async def _document(self, _request: web.Request) -> web.StreamResponse:
        version = self._view.identity.version
        return web.json_response(openapi_document(ROUTES, SPECIALS, version=version))


@web.middleware
async def _refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error that is not a bug of ours into a refusal with a remedy."""
    try:
        return await handler(request)
    except ValidationError as error:
        return _refusal(400, _mistakes(error), "see /openapi.json for the fields")
    except NotFoundError as error:
        return _refusal(404, str(error), "ask for the list to see what is there")
    except CommandError as error:
        return _refusal(409, str(error), "look at the present state, then ask again")
    except ModelError as error:
        return _refusal(409, str(error), "the version in force stays; see /v1/models")
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _refusal(error.status, error.reason, "see /openapi.json for what there is")


def _refusal(status: int, error: str, remedy: str) -> web.Response:
    return web.Response(
        text=Refusal(error=error, remedy=remedy).model_dump_json(),
        content_type="application/json",
        status=status,
    )


def _mistakes(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, mistake['loc'])) or 'request'}: {mistake['msg']}"
        for mistake in error.errors()
    )


async def _fields(request: web.Request, method: Method) -> Mapping[str, object]:
    """Return the fields of a request from its path, and from its query or body."""
    if method is Method.GET:
        return {**request.query, **request.match_info}
    if not request.can_read_body:
        return dict(request.match_info)
    try:
        body = await request.json()
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise web.HTTPBadRequest(reason="the body is not JSON") from error
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(reason="the body is not a JSON object")
    return {**body, **request.match_info}


def _operator(request: web.Request) -> str:
    assert request.transport is not None
    connection = request.transport.get_extra_info("socket")
    assert connection.family == socket.AF_UNIX
    return operator_of(connection)

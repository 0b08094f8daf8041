"""What every request goes through: who asks, how much may arrive, and how a refusal is told."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeVar

from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, ValidationError

from cloud_sync.cloud.ingest import BusyError, WrongGatewayError
from cloud_sync.cloud.messages import Problem
from cloud_sync.cloud.openapi import JSON, Access
from cloud_sync.cloud.retrain import RetrainBusyError, UnknownModelError
from cloud_sync.cloud.unpack import TooManySamplesError
from gateway.core.errors import CorruptRecordError, GatewayError, ModelError
from gateway.wire.settings_file import mistakes_of

MessageT = TypeVar("MessageT", bound=BaseModel)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

RETRY_AFTER_S: Final = 10
"""What a refusal for lack of room or disk asks for."""
MESSAGE_SIZE_BYTES_MAX: Final = 64 * 1024
"""Of a JSON request."""


class ProblemError(GatewayError):
    """A refusal, with its status and what to do about it."""

    def __init__(self, status: int, error: str, remedy: str) -> None:
        """Keep what the answer says."""
        super().__init__(error)
        self.status = status
        self.remedy = remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whose token came with a request."""

    gateway: str | None
    """The gateway; None is the operator."""


class Tokens:
    """Knows callers by the digests of their tokens; the tokens themselves are not kept."""

    def __init__(self, *, operator: str, gateways: Mapping[str, str]) -> None:
        """Keep the SHA-256 digests, hexadecimal, of the operator's and each gateway's token."""
        self._callers = [(operator, Caller(gateway=None))]
        self._callers += [(digest, Caller(gateway=name)) for name, digest in gateways.items()]

    def caller(self, request: web.Request) -> Caller | None:
        """Return whose token the request carries; None is nobody's."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        return self.owner(token)

    def owner(self, token: str) -> Caller | None:
        """Return whose token this is; None is nobody's."""
        digest = sha256(token.strip().encode(errors="replace")).hexdigest()
        found = None
        # All are compared, each in constant time, so that the time taken tells nothing.
        for expected, caller in self._callers:
            if hmac.compare_digest(digest, expected):
                found = caller
        return found


CALLER: Final = web.RequestKey("caller", Caller)


def guarded(handler: Handler, *, access: Access, tokens: Tokens) -> Handler:
    """Return the handler behind a check of the token; the caller is put into the request."""
    if access is Access.OPEN:
        return handler

    async def checked(request: web.Request) -> web.StreamResponse:
        caller = tokens.caller(request)
        if caller is None:
            raise ProblemError(
                401, "the token is missing or unknown", "send `Authorization: Bearer <token>`"
            )
        is_operator = caller.gateway is None
        if access is Access.GATEWAY and is_operator:
            raise ProblemError(403, "this is for gateways", "use the token of a gateway")
        if access is Access.OPERATOR and not is_operator:
            raise ProblemError(403, "this is for the operator", "use the operator's token")
        request[CALLER] = caller
        return await handler(request)

    return checked


async def read_body(
    request: web.Request, *, media_type: str, size_bytes_max: int, timeout_s: float
) -> bytes:
    """Return the body of a request, bounded in type, size and time.

    Raises:
        ProblemError: it is beyond a bound.
    """
    if request.content_type != media_type:
        raise ProblemError(
            415, f"the body is {request.content_type!r}", f"send it as `{media_type}`"
        )
    # aiohttp would unpack it without a bound on memory.
    if "Content-Encoding" in request.headers:
        raise ProblemError(415, "the body is compressed", "send it as it is")
    too_large = ProblemError(
        413, f"the body is larger than {size_bytes_max} bytes", "send less at once"
    )
    if (request.content_length or 0) > size_bytes_max:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > size_bytes_max:
                    raise too_large
    except TimeoutError as error:
        raise ProblemError(
            408, f"the body did not arrive within {timeout_s:g} s", "send less at once"
        ) from error
    except (ConnectionError, ClientPayloadError, HttpProcessingError) as error:
        # Not a 400: that would say that the content is at fault.
        raise ProblemError(408, "the body did not arrive whole", "send it again") from error
    return bytes(body)


async def read_message(
    request: web.Request, model: type[MessageT], *, timeout_s: float
) -> MessageT:
    """Return the JSON message in a request.

    Raises:
        ProblemError: it is none, or a wrong one; says all that is wrong.
    """
    body = await read_body(
        request, media_type=JSON, size_bytes_max=MESSAGE_SIZE_BYTES_MAX, timeout_s=timeout_s
    )
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise ProblemError(
            400, "; ".join(mistakes_of(error)), "compare it with /openapi.json"
        ) from error


def answer(message: BaseModel) -> web.Response:
    """Return a message as a response of status 200."""
    return web.Response(text=message.model_dump_json(), content_type=JSON)


@web.middleware
async def tell_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every expected error into a `Problem` with a fitting status."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        # aiohttp's own refusals: no such path, method not allowed.
        return _problem(error.status, error.reason.lower(), "compare it with /openapi.json")
    except ProblemError as error:
        return _problem(error.status, str(error), error.remedy)
    except GatewayError as error:
        status, remedy = meaning(error)
        return _problem(status, str(error), remedy)


def meaning(error: GatewayError) -> tuple[int, str]:
    """Return the status that an error of the inner parts deserves, and what to do about it."""
    match error:
        case CorruptRecordError():
            return 400, "send the batch without that record, and look at the gateway's disk"
        case TooManySamplesError():
            return 413, "send fewer records at once"
        case WrongGatewayError():
            return 403, "give each gateway its own id and its own token"
        case ModelError():
            return 400, "mend the bundle and send it again"
        case UnknownModelError():
            return 404, "release a first version; `edgewright train anomaly` makes one"
        case RetrainBusyError():
            return 409, "ask again when it is done"
        case BusyError():
            return 503, "send it again later; the cloud is behind with its work"
        case _:
            return 503, "send it again later; look at the cloud's disk and its journal"


def _problem(status: int, error: str, remedy: str) -> web.Response:
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = Problem(error=error, remedy=remedy).model_dump_json()
    return web.Response(status=status, text=body, content_type=JSON, headers=headers)

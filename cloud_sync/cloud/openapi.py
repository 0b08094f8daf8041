"""The OpenAPI document of the sync API, made from its route table and its messages."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from cloud_sync.cloud.messages import Problem

JSON: Final = "application/json"


class Access(StrEnum):
    """Whose token a route asks for."""

    OPEN = "open"
    """Nobody's."""
    GATEWAY = "gateway"
    """A gateway's."""
    OPERATOR = "operator"
    """The operator's."""
    ANY = "any"
    """A gateway's or the operator's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One entry of the API: what serves it, and what is told about it."""

    method: str
    path: str
    """As aiohttp writes it; `{name}` or `{name:pattern}` is a parameter."""
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    summary: str
    """One sentence."""
    access: Access
    answer: type[BaseModel] | str
    """The message of a 200, or its media type."""
    body: type[BaseModel] | str | None = None
    """The message that is sent, or its media type; None is nothing."""
    query: tuple[tuple[str, str], ...] = ()
    """Names and descriptions of what may follow the `?`."""
    problems: tuple[int, ...] = ()
    """Codes of refusal beside those that its access and body imply."""


_PROBLEM_TEXTS: Final = {
    400: "The request is damaged or wrong.",
    401: "The token is missing or unknown.",
    403: "The token is not for this.",
    404: "There is no such thing.",
    408: "The request took too long to arrive.",
    409: "It is being done already.",
    413: "The request is too large.",
    415: "The request is of another media type.",
    503: "It cannot be done now; `Retry-After` says when to come back.",
}
_PARAMETER: Final = re.compile(r"\{(\w+)(?::[^{}]*(?:\{[^{}]*\}[^{}]*)*)?\}")


def openapi_document(routes: Sequence[Route], *, version: str) -> dict[str, object]:
    """Return the OpenAPI 3.1 document of these routes."""
    paths: dict[str, dict[str, object]] = {}
    for route in routes:
        path = _PARAMETER.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Edgewright sync API",
            "version": version,
            "description": "How gateways deliver batches and how operators release models.",
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(routes),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route) -> dict[str, object]:
    operation: dict[str, object] = {
        "summary": route.summary,
        "security": [] if route.access is Access.OPEN else [{"token": []}],
        "responses": {
            "200": {"description": "Done.", "content": _content(route.answer)},
            **{str(code): _refusal(code) for code in _problems(route)},
        },
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.path)
    ] + [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
        for name, text in route.query
    ]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(route.body)}
    return operation


def _problems(route: Route) -> list[int]:
    codes = set(route.problems)
    if route.access is not Access.OPEN:
        codes |= {401, 403}
    if route.body is not None:
        codes |= {400, 408, 413, 415}
    return sorted(codes)


def _refusal(code: int) -> dict[str, object]:
    return {"description": _PROBLEM_TEXTS[code], "content": _content(Problem)}


def _content(content: type[BaseModel] | str) -> dict[str, object]:
    if isinstance(content, str):
        return {content: {}}
    return {JSON: {"schema": {"$ref": f"#/components/schemas/{content.__name__}"}}}


def _schemas(routes: Sequence[Route]) -> dict[str, object]:
    contents = [content for route in routes for content in (route.answer, route.body)]
    models = {content for content in contents if isinstance(content, type)} | {Problem}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, document = models_json_schema(
        [(model, "serialization") for model in ordered],
        ref_template="#/components/schemas/{model}",
    )
    definitions: dict[str, object] = document["$defs"]
    return definitions

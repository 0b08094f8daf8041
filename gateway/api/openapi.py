"""The OpenAPI document, made from the route table and the pydantic models. Pure."""

import re
from collections.abc import Iterable, Sequence

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.api.answers import Refusal
from gateway.api.routes import Method, Route, Special

OPENAPI_VERSION = "3.1.0"
_REFERENCE = "#/components/schemas/{model}"
_REFUSALS = {
    "400": "A field is missing, unknown or out of bounds.",
    "404": "There is no such thing here.",
    "409": "The gateway refuses.",
}

Json = dict[str, object]


def openapi_document(routes: Iterable[Route], specials: Iterable[Special], *, version: str) -> Json:
    """Return the document that describes these routes."""
    routes, specials = tuple(routes), tuple(specials)
    answers = [route.answer for route in routes]
    lines = [special.answer for special in specials if special.answer is not None]
    bodies = [route.request for route in routes if _has_body(route)]
    schemas = _schemas(dict.fromkeys([*answers, *lines, *bodies, Refusal]))
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    for special in specials:
        paths.setdefault(special.path, {})["get"] = _special_operation(special)
    return {
        "openapi": OPENAPI_VERSION,
        "info": {
            "title": "Edgewright, local API",
            "version": version,
            "description": "Served on a Unix socket; who connects is known by the system user.",
        },
        "paths": paths,
        "components": {"schemas": schemas},
    }


def path_parameters(path: str) -> list[str]:
    """Return the names in braces in a path."""
    return re.findall(r"{(\w+)}", path)


def _schemas(models: Iterable[type[BaseModel]]) -> Json:
    _, document = models_json_schema(
        [(model, "serialization") for model in models], ref_template=_REFERENCE
    )
    definitions = document["$defs"]
    assert isinstance(definitions, dict)
    return definitions


def _operation(route: Route) -> Json:
    operation: Json = {
        "summary": route.summary,
        "parameters": _parameters(route.path, route.request, reads=route.method is Method.GET),
        "responses": {
            "200": _response("Done.", "application/json", _reference(route.answer)),
            **{
                code: _response(text, "application/json", _reference(Refusal))
                for code, text in _REFUSALS.items()
            },
        },
    }
    if _has_body(route):
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _body_schema(route)}},
        }
    return operation


def _special_operation(special: Special) -> Json:
    is_json = special.media_type == "application/json"
    schema: Json = {"type": "object" if is_json else "string"}
    if special.answer is not None:
        schema = _reference(special.answer)
    return {
        "summary": special.summary,
        "parameters": _parameters(special.path, special.request, reads=True),
        "responses": {"200": _response("Done.", special.media_type, schema)},
    }


def _parameters(path: str, request: type[BaseModel], *, reads: bool) -> Sequence[Json]:
    in_path = path_parameters(path)
    properties = _properties(request)
    return [
        {
            "name": name,
            "in": "path" if name in in_path else "query",
            "required": name in in_path or request.model_fields[name].is_required(),
            "description": request.model_fields[name].description or "",
            "schema": schema,
        }
        for name, schema in properties.items()
        if name in in_path or reads
    ]


def _has_body(route: Route) -> bool:
    names = set(route.request.model_fields) - set(path_parameters(route.path))
    return route.method is Method.POST and bool(names)


def _body_schema(route: Route) -> Json:
    in_path = path_parameters(route.path)
    fields = route.request.model_fields
    return {
        "type": "object",
        "properties": {
            name: schema
            for name, schema in _properties(route.request).items()
            if name not in in_path
        },
        "required": [
            name for name, field in fields.items() if field.is_required() and name not in in_path
        ],
        "additionalProperties": False,
    }


def _properties(model: type[BaseModel]) -> dict[str, Json]:
    properties = model.model_json_schema().get("properties", {})
    assert isinstance(properties, dict)
    return properties


def _reference(model: type[BaseModel]) -> Json:
    return {"$ref": _REFERENCE.format(model=model.__name__)}


def _response(description: str, media_type: str, schema: Json) -> Json:
    return {"description": description, "content": {media_type: {"schema": schema}}}

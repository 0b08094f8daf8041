"""The document describes every route, and answers are what the document says."""

from typing import cast

import pytest
from aiohttp import web

from gateway.api.openapi import Json, openapi_document, path_parameters
from gateway.api.routes import ROUTES, SPECIALS, Method, Route
from gateway.api.server import ApiConfig, ApiServer
from tests.gateway.fake_situation import VAULT_SHA256, cases_of_the_plant, vault_of_the_plant
from tests.gateway.fake_view import FakeView

DOCUMENT = openapi_document(ROUTES, SPECIALS, version="0.1.0")
PATHS = cast("dict[str, dict[str, Json]]", DOCUMENT["paths"])
SCHEMAS = cast("dict[str, dict[str, Json]]", DOCUMENT["components"])["schemas"]

OPEN_CASE = next(cases_of_the_plant())
EXAMPLES: dict[str, dict[str, object]] = {
    "/v1/assets/{asset}": {"asset": "P-101"},
    "/v1/tags/{tag}/trend": {"tag": "pumps.P101.Flow"},
    "/v1/alarms/{alarm}/acknowledge": {"alarm": "P-101/filter_clogged"},
    "/v1/alarms/{alarm}/shelve": {"alarm": "P-101/filter_clogged", "for_s": 60},
    "/v1/alarms/{alarm}/reset": {"alarm": "P-101/filter_clogged"},
    "/v1/alarms/{alarm}/unshelve": {"alarm": "P-102/bearing_temperature_high"},
    "/v1/alarms/{alarm}/out-of-service": {"alarm": "P-101/filter_clogged", "reason": "repair"},
    "/v1/alarms/{alarm}/return-to-service": {"alarm": "P-101/filter_clogged"},
    "/v1/cases/{case}/verdict": {"case": OPEN_CASE.id, "verdict": "confirmed"},
    "/v1/models/{name}/promote": {"name": "pump-anomaly", "version": "1.5"},
    "/v1/models/{name}/rollback": {"name": "pump-anomaly", "version": "1.4"},
    "/v1/devices/{device}/tags": {"device": "pumps"},
    "/v1/devices/{device}/trust": {"device": "vault", "sha256": VAULT_SHA256},
    "/v1/uplinks/{uplink}/dead-letters": {"uplink": "cloud"},
    "/v1/uplinks/{uplink}/dead-letters/retry": {"uplink": "cloud"},
    "/v1/configuration/apply": {"file": "/etc/edgewright/gateway.toml"},
    "/v1/commands": {"tag": "compressor.PressureSetpoint", "value": 7.0},
}


def test_every_route_of_the_server_is_described() -> None:
    application = ApiServer(ApiConfig(), FakeView())._application()
    served = {
        (resource.canonical, route.method.lower())
        for resource in application.router.resources()
        if isinstance(resource, web.Resource)
        for route in resource
        if route.method != "HEAD"
    }
    described = {(path, method) for path, methods in PATHS.items() for method in methods}
    assert served == described


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_the_parts_of_a_route_are_described(route: Route) -> None:
    operation = PATHS[route.path][route.method.lower()]
    assert operation["summary"]
    parameters = cast("list[Json]", operation["parameters"])
    named = {parameter["name"] for parameter in parameters}
    assert set(path_parameters(route.path)) <= named
    if route.method is Method.GET:
        assert named == set(route.request.model_fields)


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        assert reference.rpartition("/")[2] in SCHEMAS


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_answers_are_what_the_document_says(route: Route) -> None:
    view = FakeView(more_devices=(vault_of_the_plant(),))
    answer = await route.serve(view, EXAMPLES.get(route.path, {}), "operator")
    assert route.answer.model_validate_json(answer.model_dump_json()) == answer
    schema = SCHEMAS[route.answer.__name__]
    assert set(answer.model_dump()) == set(cast("Json", schema["properties"]))


def references(node: object) -> list[str]:
    if isinstance(node, dict):
        here = [str(node["$ref"])] if "$ref" in node else []
        return here + [r for value in node.values() for r in references(value)]
    if isinstance(node, list):
        return [r for value in node for r in references(value)]
    return []

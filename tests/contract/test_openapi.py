"""Every service's OpenAPI document says what the declarations say: no more, no less."""

import importlib
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar

from ironclaw_contracts.endpoint import Endpoint, Nothing
from ironclaw_contracts.endpoints import ALL
from ironclaw_contracts.enums import Service
from ironclaw_contracts.health import health_endpoint, metrics_endpoint, readiness_endpoint


def compose(service: Service, home: Path, keys: Path) -> Litestar:
    settings_module = importlib.import_module(f"ironclaw_{service.value}.settings")
    app_module = importlib.import_module(f"ironclaw_{service.value}.app")
    return app_module.compose(settings_module.Settings(home=str(home), keys_dir=str(keys)))


@pytest.mark.parametrize("service", sorted(ALL))
def test_given_a_service_when_its_document_is_read_then_it_equals_its_declarations(
    service: Service, tmp_path: Path, keys_folder: Path
) -> None:
    document = compose(service, tmp_path, keys_folder).openapi_schema.to_schema()
    served = {
        (method.upper(), path): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    declared = {
        (e.method, e.path): e
        for e in (
            *ALL[service],
            health_endpoint(service),
            readiness_endpoint(service),
            metrics_endpoint(service),
        )
    }
    assert served.keys() == declared.keys()
    for key, endpoint in declared.items():
        _compare(served[key], endpoint)


def _compare(operation: dict[str, Any], endpoint: Endpoint[Any, Any, Any]) -> None:
    assert operation["operationId"] == endpoint.name
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    expected = None if endpoint.body is Nothing else endpoint.body.__name__
    assert (body.get("$ref", "").rsplit("/", 1)[-1].rsplit(".", 1)[-1] or None) == expected, endpoint.name
    parameters = operation.get("parameters", [])
    in_path = {p["name"] for p in parameters if p["in"] == "path"}
    in_query = {p["name"] for p in parameters if p["in"] == "query"}
    assert in_path == set(endpoint.parameters), endpoint.name
    assert in_query == set(endpoint.query.__struct_fields__), endpoint.name
    if endpoint.form == "json":
        answer = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
        assert endpoint.answer.__name__ in answer, endpoint.name

"""The description at /openapi.json says what the routes are."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from flatdense_server.http.app import make_app
from flatdense_server.http.backend import Backend
from flatdense_server.http.gate import scope_of
from flatdense_server.http.openapi import describe_api
from flatdense_server.observe.metrics.exposition import Exposition
from starlette.routing import Route


@pytest.fixture
def description(client: httpx.Client) -> dict[str, Any]:
    """What is served."""
    answer = client.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    told: dict[str, Any] = answer.json()
    return told


@pytest.mark.parametrize("has_page", [True, False])
def test_it_has_every_route_and_no_other(
    backend: Backend, exposition: Exposition, tmp_path: Path, *, has_page: bool
) -> None:
    """By path and by method; with the page and without it."""
    model_dir = tmp_path if has_page else None
    app = make_app(backend, exposition, max_request_rows=1, model_dir=model_dir)
    description = describe_api("mnist", has_page=has_page)
    routes = {
        (route.path_format, method)
        for route in app.app.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    described = {
        (path, method.upper())
        for path, item in description["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert described == routes


def test_every_part_of_a_path_that_varies_is_described(description: dict[str, Any]) -> None:
    """Once each, as required."""
    for path, item in description["paths"].items():
        names = [parameter["name"] for parameter in item["parameters"]]
        assert all(parameter["required"] for parameter in item["parameters"])
        assert sorted(names) == sorted(
            part.partition("}")[0] for part in path.split("{") if "}" in part
        )


def test_every_schema_is_used_and_every_reference_leads_to_one(
    description: dict[str, Any],
) -> None:
    """Nothing is described that is nowhere, or left out."""

    def find(part: object) -> set[str]:
        """The references in a part of the description."""
        if isinstance(part, dict):
            own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
            return own.union(*map(find, part.values()))
        return set().union(*map(find, part)) if isinstance(part, list) else set()

    schemas = {f"#/components/schemas/{name}" for name in description["components"]["schemas"]}
    assert find(description) == schemas


def test_every_operation_that_asks_a_worker_describes_its_errors(
    description: dict[str, Any],
) -> None:
    """With the one body that errors have."""
    for path, item in description["paths"].items():
        for method, operation in item.items():
            if method == "parameters" or not path.startswith(("/v1/", "/v2/models/")):
                continue
            wanted = {"400", "404", "429", "503", "504"}
            if method == "post":
                wanted |= {"408", "413", "415"}
                assert operation["requestBody"]["required"]
            assert wanted <= operation["responses"].keys()


def test_the_examples_are_answered(
    client: httpx.Client, description: dict[str, Any], replies: dict[str, Any]
) -> None:
    """As far as a worker, which here knows no answer: they are what the routes understand."""
    replies.clear()
    for name, path in (
        ("InferRequest", "/v2/models/mnist/infer"),
        ("PredictRequest", "/v1/models/mnist:predict"),
        ("ClassifyRequest", "/v1/models/mnist:classify"),
        ("ExplainRequest", "/v1/models/mnist:explain"),
    ):
        example = description["components"]["schemas"][name]["example"]
        assert client.post(path, json=example).status_code == 500


def test_tokens_are_described_where_they_are_wanted() -> None:
    """Of every operation but those that are open; without tokens there is no word of them."""
    assert "security" not in describe_api("mnist")
    described = describe_api("mnist", has_page=True, wants_tokens=True)
    assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert described["security"] == [{"token": []}]
    for path, item in described["paths"].items():
        is_open = scope_of(path) is None
        for method in item.keys() - {"parameters"}:
            assert ("401" in item[method]["responses"]) != is_open
            assert (item[method].get("security") == []) == is_open

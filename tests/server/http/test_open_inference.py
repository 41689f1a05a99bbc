"""The routes of /v2 beside infer: health, metadata, statistics, the repository."""

import json
from typing import Any

import grpc
import httpx
import pytest
from flatdense_proto.twin import inference_pb2 as pb

LOADING = (grpc.StatusCode.UNAVAILABLE, "the model 'mnist' is still loading. Try again later.")
UNKNOWN = (grpc.StatusCode.NOT_FOUND, "no model 'other'. There is 'mnist'.")
FORBIDDEN = (grpc.StatusCode.PERMISSION_DENIED, "closed. Start it with --model-control.")

METADATA = pb.ModelMetadataResponse(
    name="mnist",
    versions=["1", "2"],
    platform="tensorflow_savedmodel",
    inputs=[{"name": "images", "datatype": "FP32", "shape": [-1, 784]}],
)


def test_it_is_live_without_a_worker(client: httpx.Client, asked: list[tuple[str, bytes]]) -> None:
    """The process answers by itself."""
    answer = client.get("/v2/health/live")
    assert (answer.status_code, answer.json()) == (200, {"live": True})
    assert not asked


@pytest.mark.parametrize(
    ("reply", "status", "body"),
    [
        (pb.ServerReadyResponse(ready=True), 200, {"ready": True}),
        (
            pb.ServerReadyResponse(),
            503,
            {"ready": False, "error": "the server is not ready. Try again later."},
        ),
        (LOADING, 503, {"ready": False, "error": LOADING[1]}),
    ],
)
def test_readiness_is_in_the_status(
    client: httpx.Client, replies: dict[str, Any], reply: object, status: int, body: object
) -> None:
    """200 where a call would be taken, else 503 with the reason."""
    replies["ServerReady"] = reply
    answer = client.get("/v2/health/ready")
    assert (answer.status_code, answer.json()) == (status, body)


@pytest.mark.parametrize(
    ("ready", "metadata", "status"),
    [(True, METADATA, 200), (False, METADATA, 503), (False, LOADING, 503), (False, UNKNOWN, 404)],
)
def test_readiness_of_a_model_is_in_the_status(
    client: httpx.Client, replies: dict[str, Any], metadata: object, status: int, *, ready: bool
) -> None:
    """200, 503 while it is loaded, 404 where there is none of that name or version."""
    replies["ModelReady"] = pb.ModelReadyResponse(ready=ready)
    replies["ModelMetadata"] = metadata
    for path in ("/v2/models/mnist/ready", "/v2/models/mnist/versions/2/ready"):
        answer = client.get(path)
        assert answer.status_code == status
        assert answer.json().get("ready", False) is ready


def test_the_server_tells_its_extensions(client: httpx.Client, replies: dict[str, Any]) -> None:
    """Name, version, extensions."""
    replies["ServerMetadata"] = pb.ServerMetadataResponse(
        name="flatdense", version="1", extensions=["statistics"]
    )
    expected = {"name": "flatdense", "version": "1", "extensions": ["statistics"]}
    assert client.get("/v2").json() == expected


def test_a_model_tells_its_tensors(
    client: httpx.Client, replies: dict[str, Any], asked: list[tuple[str, bytes]]
) -> None:
    """Of the version that the path names; sizes are numbers, -1 for the rows."""
    replies["ModelMetadata"] = METADATA
    assert client.get("/v2/models/mnist/versions/canary").json() == {
        "name": "mnist",
        "versions": ["1", "2"],
        "platform": "tensorflow_savedmodel",
        "inputs": [{"name": "images", "datatype": "FP32", "shape": [-1, 784]}],
        "outputs": [],
    }
    ((_, request),) = asked
    expected = pb.ModelMetadataRequest(name="mnist", version="canary")
    assert pb.ModelMetadataRequest.FromString(request) == expected


def test_a_configuration_has_numbers_and_names(
    client: httpx.Client, replies: dict[str, Any]
) -> None:
    """Integers of 64 bits are JSON's numbers and enumerations are names, as Triton has them."""
    replies["ModelConfig"] = pb.ModelConfigResponse(
        config=pb.ModelConfig(
            name="mnist",
            max_batch_size=1024,
            input=[{"name": "images", "data_type": "TYPE_FP32", "dims": [784]}],
            version_policy={"specific": {"versions": [1, 2]}},
        )
    )
    got = client.get("/v2/models/mnist/config").json()
    assert got["max_batch_size"] == 1024
    assert got["input"] == [{"name": "images", "data_type": "TYPE_FP32", "dims": [784]}]
    assert got["version_policy"] == {"specific": {"versions": [1, 2]}}
    assert "dynamic_batching" not in got


@pytest.mark.parametrize(
    ("path", "name", "version"),
    [
        ("/v2/models/stats", "", ""),
        ("/v2/models/mnist/stats", "mnist", ""),
        ("/v2/models/mnist/versions/1/stats", "mnist", "1"),
    ],
)
def test_statistics_are_of_what_the_path_names(
    client: httpx.Client,
    replies: dict[str, Any],
    asked: list[tuple[str, bytes]],
    path: str,
    name: str,
    version: str,
) -> None:
    """All models, one, or a version of it; the biggest number has all its digits."""
    biggest = (1 << 64) - 1
    success = pb.StatisticDuration(count=3, ns=biggest)
    model = pb.ModelStatistics(name="mnist", version="1", inference_stats={"success": success})
    replies["ModelStatistics"] = pb.ModelStatisticsResponse(model_stats=[model])
    (got,) = client.get(path).json()["model_stats"]
    assert got["inference_stats"] == {"success": {"count": 3, "ns": biggest}}
    ((_, request),) = asked
    expected = pb.ModelStatisticsRequest(name=name, version=version)
    assert pb.ModelStatisticsRequest.FromString(request) == expected


@pytest.mark.parametrize(("body", "ready"), [(b"", False), (b" ", False), (b"{}", False)])
def test_the_index_is_a_list(
    client: httpx.Client,
    replies: dict[str, Any],
    asked: list[tuple[str, bytes]],
    body: bytes,
    *,
    ready: bool,
) -> None:
    """Of every version, or of those that are ready; the body may be empty."""
    model = {"name": "mnist", "version": "1", "state": "READY", "reason": ""}
    replies["RepositoryIndex"] = pb.RepositoryIndexResponse(models=[model])
    assert client.post("/v2/repository/index", content=body).json() == [model]
    assert client.post("/v2/repository/index", json={"ready": not ready}).json() == [model]
    sent = [pb.RepositoryIndexRequest.FromString(request).ready for _, request in asked]
    assert sent == [ready, not ready]


@pytest.mark.parametrize("verb", ["load", "unload"])
def test_a_model_is_loaded_and_unloaded_by_name(
    client: httpx.Client, replies: dict[str, Any], asked: list[tuple[str, bytes]], verb: str
) -> None:
    """With parameters of their types; what a worker refuses is refused."""
    path = f"/v2/repository/models/mnist/{verb}"
    replies["RepositoryModelLoad"] = pb.RepositoryModelLoadResponse()
    replies["RepositoryModelUnload"] = pb.RepositoryModelUnloadResponse()
    for parameters in ({}, {"unload_dependents": False, "n": 3, "config": "{}"}):
        assert client.post(path, json={"parameters": parameters}).status_code == 200
    assert client.post(path).status_code == 200
    requests = [pb.RepositoryModelLoadRequest.FromString(request) for _, request in asked]
    assert [request.model_name for request in requests] == ["mnist"] * 3
    assert dict(requests[1].parameters) == {
        "unload_dependents": pb.ModelRepositoryParameter(bool_param=False),
        "n": pb.ModelRepositoryParameter(int64_param=3),
        "config": pb.ModelRepositoryParameter(string_param="{}"),
    }
    replies["RepositoryModelLoad"] = replies["RepositoryModelUnload"] = FORBIDDEN
    answer = client.post(path)
    assert (answer.status_code, answer.json()) == (403, {"error": FORBIDDEN[1]})


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("index", {"ready": 1}, "ready: expected `bool`, got `int`."),
        ("index", [], "the body: expected `object`, got `array`."),
        ("models/mnist/load", {"parameters": []}, "parameters: expected `object | null`, got"),
        ("models/mnist/load", {"parameters": {"a": []}}, "got `array`."),
        (
            "models/mnist/unload",
            {"parameters": {"a": 1 << 63}},
            "parameters.a: expected an integer",
        ),
        ("models/mnist/load", {"parameters": dict.fromkeys(map(str, range(65)))}, "got `null`."),
        ("models/mnist/load", {"parameters": dict.fromkeys(map(str, range(65)), 1)}, "got 65."),
    ],
)
def test_what_is_wrong_is_named(
    client: httpx.Client, asked: list[tuple[str, bytes]], path: str, body: object, said: str
) -> None:
    """The field, what was expected and what came; no worker is asked."""
    answer = client.post(f"/v2/repository/{path}", content=json.dumps(body))
    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert not asked


@pytest.mark.parametrize(
    "path", ["/v2/models/{}", "/v2/models/mnist/versions/{}/ready", "/v1/models/mnist/labels/{}"]
)
def test_a_name_of_any_length_is_refused_before_a_worker(
    client: httpx.Client, asked: list[tuple[str, bytes]], path: str
) -> None:
    """Messages repeat names, and gRPC bounds what they may be."""
    answer = client.get(path.format("x" * 1025))
    assert answer.status_code == 400
    assert "expected at most 1024 characters, got 1025." in answer.json()["error"]
    assert not asked

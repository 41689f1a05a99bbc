"""The HTTP routes: live, ready, metrics, and what is refused."""

from collections.abc import Callable
from typing import Any

import grpc
import httpx
import pytest
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_server.http.backend import Backend
from prometheus_client import parser

LOADING = (grpc.StatusCode.UNAVAILABLE, "the model 'mnist' is still loading. Try again later.")
STOPPING = (grpc.StatusCode.UNAVAILABLE, "the server is stopping. Try another one.")

SERVED = pb.GetModelResponse(
    name="mnist",
    version=1,
    layers=[pb.Layer(kind="Dense", output_shape=[16])],
    parameters=12_730,
    training=pb.Training(dataset="digits", train_rows=5, metrics={"test_accuracy": 0.9}),
    serving=pb.Serving(engine="numpy", device="cpu", ladder_rows=[1, 2, 4, 8], max_request_rows=32),
)


@pytest.fixture
def _served(replies: dict[str, Any]) -> None:
    """The worker serves version 1."""
    replies["GetModel"] = SERVED


@pytest.fixture
def _loading(replies: dict[str, Any]) -> None:
    """The worker serves nothing yet."""
    replies["GetModel"] = LOADING


def test_it_is_live_from_the_start(client: httpx.Client) -> None:
    """/healthz is 200 though nothing is loaded: the process must not be restarted."""
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"live": True})


@pytest.mark.usefixtures("_loading")
def test_it_is_not_ready_before_a_version_is_served(client: httpx.Client) -> None:
    """/readyz is 503 with the reason."""
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["ready"] is False
    assert "still loading" in answer.json()["reason"]


@pytest.mark.usefixtures("_served")
def test_it_is_ready_once_a_version_is_served(client: httpx.Client) -> None:
    """/readyz is 200 and names what would answer."""
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "model": "mnist", "version": 1}


def test_it_is_not_ready_while_it_drains_but_live(
    client: httpx.Client, replies: dict[str, Any]
) -> None:
    """/readyz is 503 saying that the server stops; /healthz stays 200."""
    replies["GetModel"] = STOPPING
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "stopping" in answer.json()["reason"]
    assert client.get("/healthz").status_code == 200


def test_metrics_are_what_prometheus_reads(client: httpx.Client) -> None:
    """/metrics parses, and says in its header which format it has."""
    answer = client.get("/metrics", headers={"accept": "text/plain"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    names = {family.name for family in parser.text_string_to_metric_families(answer.text)}
    assert "flatdense_build_info" in names


def test_metrics_come_as_openmetrics_where_asked(client: httpx.Client) -> None:
    """The Accept header decides."""
    answer = client.get("/metrics", headers={"accept": "application/openmetrics-text"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_it_is_not_ready_where_no_worker_is(open_client: Callable[[Backend], httpx.Client]) -> None:
    """/readyz is 503 with the reason: they load, or the server stops, or one does not answer."""
    for addresses, draining, reason in (
        ((), False, "still loading"),
        ((), True, "stopping"),
        (("unix:/nowhere/worker",), False, "failed to connect"),
    ):
        with Backend("mnist", lambda found=addresses: found, lambda now=draining: now) as backend:
            answer = open_client(backend).get("/readyz")
        assert answer.status_code == 503
        assert reason in answer.json()["reason"]


@pytest.mark.usefixtures("_served")
def test_one_worker_that_answers_is_enough(
    address: str, open_client: Callable[[Backend], httpx.Client]
) -> None:
    """One that was killed a moment ago is passed over."""
    with Backend("mnist", lambda: ["unix:/nowhere/worker", address]) as both:
        assert open_client(both).get("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("GET", "/nothing", 404, None),
        ("GET", "/v1/models", 404, None),
        ("POST", "/v1/models/mnist:guess", 404, None),
        ("GET", "/v2/models/a/b", 404, None),
        ("POST", "/metrics", 405, "GET"),
        ("DELETE", "/", 405, "GET"),
        ("GET", "/v1/models/mnist:predict", 405, "POST"),
        ("GET", "/v2/models/mnist/infer", 405, "POST"),
        ("POST", "/v2", 405, "GET"),
    ],
)
def test_what_is_not_served_is_refused_as_json(
    client: httpx.Client, method: str, path: str, status: int, allowed: str | None
) -> None:
    """404 and 405 come as {"error": ...} that names the method and the path."""
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.json().keys() == {"error"}
    assert answer.json()["error"].startswith(f"{method} {path}: ")
    assert (allowed or "") in answer.headers.get("allow", "")


def test_a_fault_tells_nothing_of_its_cause(
    client: httpx.Client, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 has a fixed sentence; the cause is for the log."""

    def fail() -> None:
        raise LookupError("secret")

    monkeypatch.setattr(backend, "get_model", fail)
    answer = client.get("/readyz")
    assert answer.status_code == 500
    assert answer.json() == {"error": "the server failed; its log has the cause."}

"""Traces of a running server, and what it does where nobody takes them."""

import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from flatdense_client import Client
from otlp_collector import Collector
from server_process import ServerProcess

pytestmark = pytest.mark.usefixtures("compiled")

IMAGE = np.zeros((28, 28), np.uint8)
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"

INFER = "inference.GRPCInferenceService/ModelInfer"
CLASSIFY = "flatdense.v1.Classifier/Classify"


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Where spans go."""
    with Collector() as collector:
        yield collector


@pytest.fixture
def options(exported_model: Path) -> tuple[str, ...]:
    """Of a server that traces."""
    return ("--model-dir", str(exported_model), "--workers", "1", "--traces", "otlp")


def infer(page: str, **headers: str) -> None:
    """One image, by REST."""
    tensor = {"name": "images", "datatype": "UINT8", "shape": [1, 784], "data": [0] * 784}
    request = urllib.request.Request(
        page + "v2/models/mnist/infer",
        json.dumps({"inputs": [tensor]}).encode(),
        {"content-type": "application/json", **headers},
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


def test_a_request_by_rest_is_one_trace_through_both_processes(
    options: tuple[str, ...], collector: Collector
) -> None:
    """From the caller's span by HTTP's and the worker's to the engine; all before the end."""
    variables = {**collector.variables, "OTEL_SERVICE_NAME": "digits"}
    with ServerProcess(*options, "--access-log-sample", "1", variables=variables) as server:
        server.ready()
        infer(server.page, traceparent=TRACEPARENT, **{"x-request-id": "seven"})
        worker = server.wait_for("request", method=INFER)
        edge = server.wait_for("request", method="POST /v2/models/{model}/infer")
        assert server.stop() == 0
    spans = {span.name: span for span in collector.spans if span.trace_id.hex() == TRACE}
    way = ["POST /v2/models/{model}/infer", INFER, "inference"]
    assert spans.keys() == {*way, "queue"}
    assert spans[way[0]].parent_span_id.hex() == PARENT
    for parent, child in pairwise(way):
        assert spans[child].parent_span_id == spans[parent].span_id
    assert {resource["service.name"] for resource in collector.resources} == {"digits"}
    assert len({resource["process.pid"] for resource in collector.resources}) == 2
    for told in ("request_id", "trace_id", "model", "version", "rows", "queue_s", "compute_s"):
        assert edge[told] == worker[told]
    assert (edge["request_id"], edge["trace_id"], edge["rows"]) == ("seven", TRACE, 1)


def test_the_variables_of_opentelemetry_say_what_is_kept(
    options: tuple[str, ...], collector: Collector
) -> None:
    """What no caller keeps is not kept here, if they say so; nor are the server's own questions."""
    variables = {**collector.variables, "OTEL_TRACES_SAMPLER": "parentbased_always_off"}
    with ServerProcess(*options, variables=variables) as server:
        server.ready()
        with Client(server.address) as client:
            client.classify(IMAGE)
        infer(server.page)
        with urllib.request.urlopen(server.page + "readyz"):
            pass
        infer(server.page, traceparent=TRACEPARENT)
        assert server.stop() == 0
    assert {span.trace_id.hex() for span in collector.spans if span.name != "batch"} == {TRACE}
    assert collector.names.count("batch") == 1


def test_a_collector_that_is_not_there_is_told_of_once(options: tuple[str, ...]) -> None:
    """Calls are answered, no traceback is written, and the end is a good one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    }
    with ServerProcess(*options, variables=variables) as server:
        server.ready()
        with Client(server.address) as client:
            for _ in range(50):
                client.classify(IMAGE)
            server.wait_for("traces do not arrive", worker=1)
            for _ in range(50):
                client.classify(IMAGE)
        with urllib.request.urlopen(server.page + "metrics") as answer:
            dropped = [
                float(line.split()[-1])
                for line in answer.read().decode().splitlines()
                if line.startswith("flatdense_trace_spans_dropped_total")
            ]
        assert sum(dropped) > 0
        assert server.stop() == 0
    told = [event for event in server.events if "trace" in str(event)]
    assert [event["event"] for event in told] == ["traces do not arrive"]
    assert "UNAVAILABLE" in told[0]["reason"]
    assert "traceback" not in told[0]


def test_a_collector_that_does_not_answer_holds_up_no_end(options: tuple[str, ...]) -> None:
    """It takes connections and says nothing: its spans are lost, and the server ends in time."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}
        with ServerProcess(*options, variables=variables) as server:
            server.ready()
            with Client(server.address) as client:
                for _ in range(50):
                    client.classify(IMAGE)
            assert server.stop() == 0
            assert server.wait_for("stopped")["drain_s"] < 10
        events = {event["event"] for event in server.events}
        assert "a worker did not end and was killed" not in events


def test_without_traces_nothing_of_opentelemetry_is_imported() -> None:
    """By no process of the service."""
    modules = [
        "__main__",
        "supervisor",
        "worker",
        "edge.server",
        "http.app",
        "http.server",
        "http.backend",
    ]
    script = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(f'flatdense_server.{{name}}')\n"
        "from flatdense_server.observe.traces.journey import open_tracer\n"
        "assert open_tracer('off', print) is None\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "traces are sent by grpc alone"),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}, "the variables OTEL_* cannot be obeyed"),
    ],
)
def test_what_cannot_be_obeyed_is_said_at_the_start(
    options: tuple[str, ...], variables: dict[str, str], said: str
) -> None:
    """In words, and nothing is served."""
    with ServerProcess(*options, variables=variables) as server:
        assert server.wait(60) != 0
    assert said in str(server.events)
    assert "Traceback" not in str(server.events)

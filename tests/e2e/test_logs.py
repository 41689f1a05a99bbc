"""What a running server writes: a line for each event of its life, nothing that is secret.

And what it does where nobody takes its lines: it serves.
"""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import documented_events
import grpc
import numpy as np
import pytest
from flatdense_client import Client, Unauthenticated
from flatdense_proto.twin import inference_pb2 as oip
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from prometheus_client import parser
from publishing import publish
from server_process import COMMAND, ServerProcess

pytestmark = pytest.mark.usefixtures("compiled")

IMAGE = np.zeros((28, 28), np.uint8)

ONE_WORKER = ("--workers", "1", "--poll-interval-s", "0.05")


def free_port() -> str:
    """One that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def wait_until_ready(grpc_port: str) -> None:
    """By the server's health: its log cannot be read."""
    with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
        watch = HealthStub(channel).Watch(HealthCheckRequest(), timeout=60, wait_for_ready=True)
        next(each for each in watch if each.status == HealthCheckResponse.SERVING)
        watch.cancel()


def read_metric(page: str, name: str) -> float:
    """The sum of a counter's samples."""
    with urllib.request.urlopen(page + "metrics") as answer:
        families = parser.text_string_to_metric_families(answer.read().decode())
        return sum(
            sample.value for family in families for sample in family.samples if sample.name == name
        )


@contextmanager
def serve_into(stderr: IO[bytes] | int, model_dir: Path) -> Iterator[tuple[str, str, int]]:
    """A server that writes its log there: its address, its page, its process id."""
    grpc_port, http_port = free_port(), free_port()
    ports = ("--grpc-port", grpc_port, "--http-port", http_port)
    options = ("--model-dir", str(model_dir), *ONE_WORKER, "--access-log-sample", "1")
    with subprocess.Popen([COMMAND, *ports, *options], stderr=stderr) as process:
        try:
            address = f"127.0.0.1:{grpc_port}"
            wait_until_ready(grpc_port)
            yield address, f"http://127.0.0.1:{http_port}/", process.pid
            process.send_signal(signal.SIGTERM)
            assert process.wait(40) == 0
        finally:
            process.kill()


def test_a_full_disk_for_the_log_costs_lines_alone(exported_model: Path) -> None:
    """Calls are answered, the lines that are lost are counted, and the end is a good one."""
    with (
        Path("/dev/full").open("wb") as full,
        serve_into(full, exported_model) as (address, page, _pid),
        Client(address) as client,
    ):
        for _ in range(20):
            client.classify(IMAGE)
        assert read_metric(page, "flatdense_log_lines_dropped_total") >= 20


def test_a_log_that_nobody_reads_any_more_costs_lines_alone(exported_model: Path) -> None:
    """The same where the pipe's other end is closed."""
    reader, writer = os.pipe()
    os.close(reader)
    with serve_into(writer, exported_model) as (address, page, _pid), Client(address) as client:
        os.close(writer)
        for _ in range(20):
            client.classify(IMAGE)
        assert read_metric(page, "flatdense_log_lines_dropped_total") >= 20


def test_a_reader_that_does_not_read_holds_up_neither_calls_nor_the_end(
    exported_model: Path,
) -> None:
    """The pipe is full after some hundred lines; calls go on, and so does what operators ask."""
    reader, writer = os.pipe()
    try:
        with serve_into(writer, exported_model) as (address, page, _pid), Client(address) as client:
            os.close(writer)
            for _ in range(1_000):
                client.classify(IMAGE)
            assert read_metric(page, "flatdense_requests_total") >= 1_000
    finally:
        os.close(reader)


def test_a_log_that_was_closed_at_the_start_is_none(exported_model: Path) -> None:
    """Whatever takes its number then is not written to."""
    close_and_serve = ["sh", "-c", 'exec "$@" 2>&-', "sh", str(COMMAND)]
    grpc_port, http_port = free_port(), free_port()
    options = ("--model-dir", str(exported_model), *ONE_WORKER, "--access-log-sample", "1")
    ports = ("--grpc-port", grpc_port, "--http-port", http_port)
    with subprocess.Popen([*close_and_serve, *options, *ports]) as process:
        try:
            wait_until_ready(grpc_port)
            with Client(f"127.0.0.1:{grpc_port}") as client:
                assert len(client.classify(IMAGE)) == 1
            process.send_signal(signal.SIGTERM)
            assert process.wait(40) == 0
        finally:
            process.kill()


def test_each_event_of_a_life_has_one_line(exported_model: Path, tmp_path: Path) -> None:
    """From the start to the end, with what changes between: each said once, by whom it concerns."""
    shutil.copytree(exported_model / "1", tmp_path / "1")
    options = ("--model-dir", str(tmp_path), *ONE_WORKER, "--engine", "aot", "--model-control")
    with ServerProcess(*options) as server:
        server.ready()
        publish(tmp_path, 2)
        server.wait_for("swapped", version=2, was=1)
        publish(tmp_path, 3, damaged=True)
        server.wait_for("version refused", version=3)
        shutil.rmtree(tmp_path / "3")
        with grpc.insecure_channel(server.address) as channel:
            for method in ("RepositoryModelUnload", "RepositoryModelLoad"):
                service = "/inference.GRPCInferenceService"
                change = channel.unary_unary(f"{service}/{method}")
                message = oip.RepositoryModelUnloadRequest(model_name="mnist")
                change(message.SerializeToString(), timeout=60)
        server.wait_for("loaded", versions="2")
        (worker,) = server.worker_pids
        os.kill(worker, signal.SIGKILL)
        server.wait_for("worker ended", worker=1, cause="killed by SIGKILL")
        server.wait_for("worker ready", worker=1, version=2)
        assert server.stop() == 0
        events = Counter(event["event"] for event in server.events)
    for event in server.events:
        documented = documented_events.read_events()[event["event"]]
        assert event["level"] == documented.level
        assert event.keys() <= {*documented.particulars, "time", "level", "event", "worker"}
    loads = events.pop("loading")
    assert loads >= 4  # 1, 2, 3, and what was unloaded or lost
    assert events == dict.fromkeys(
        (
            "starting",
            "listening",
            "ready",
            "swapped",
            "version refused",
            "unloaded",
            "loaded",
            "worker ended",
            "worker ready",
            "draining",
            "stopped",
        ),
        1,
    )


def test_nothing_secret_is_written(exported_model: Path, tmp_path: Path) -> None:
    """Tokens, pixels, what callers send beside: not at any level, from no part of the service."""
    made = subprocess.run(
        [COMMAND, "--make-token", "somebody"], check=True, capture_output=True, text=True
    )
    token = made.stderr.splitlines()[-1]
    token_file = tmp_path / "tokens"
    token_file.write_text(made.stdout)
    pixels = np.frombuffer(b"PIXELS-OF-A-DIGIT" * 47, np.uint8)[:784].reshape(28, 28)
    options = ("--model-dir", str(exported_model), *ONE_WORKER, "--access-log-sample", "1")
    with ServerProcess(*options, "--log-level", "debug", "--token-file", str(token_file)) as server:
        server.ready()
        with Client(server.address, token=token) as client:
            client.classify(pixels)
            client.explain(pixels)
            assert len(list(client.classify_stream([pixels]))) == 1
        with Client(server.address, token="wrongsesame") as client, pytest.raises(Unauthenticated):
            client.classify(pixels)
        odd = (("x-odd", "of mine"), ("x-odd-bin", b"12:34:56.789 INFO    forged\n"))
        metadata = (("authorization", f"Bearer {token}"), *odd)
        with grpc.insecure_channel(server.address) as channel:
            index = channel.unary_unary("/inference.GRPCInferenceService/RepositoryIndex")
            with pytest.raises(grpc.RpcError):
                index(b"PIXELS", metadata=metadata, timeout=30)
        page = urlsplit(server.page).netloc
        body = json.dumps(
            {
                "inputs": [
                    {
                        "name": "images",
                        "datatype": "UINT8",
                        "shape": [1, 784],
                        "data": pixels.ravel().tolist(),
                    }
                ]
            }
        )
        for path, authorization in (
            ("/v2/models/mnist/infer", f"Bearer {token}"),
            ("/v2/models/mnist/infer?token=wrongsesame", "Bearer wrongsesame"),
            ("/v2/%0a12:34:56.789%20INFO%20%20%20%20forged", f"Bearer {token}"),
        ):
            connection = http.client.HTTPConnection(page)
            headers = {"authorization": authorization, "x-request-id": "forged" * 30}
            connection.request("POST", path, body, headers | {"content-type": "application/json"})
            connection.getresponse().read()
            connection.close()
        assert server.stop() == 0
        told = [json.dumps(event) for event in server.events]
    assert not [event for event in server.events if "raw" in event]
    assert sum('"event": "request"' in line for line in told) >= 6
    secrets = (token, "sesame", "of mine", "PIXELS", ", ".join(map(str, pixels.ravel()[:4])))
    assert not [line for line in told for secret in secrets if secret in line]
    assert not [event for event in server.events if "forged" in str(event.get("event"))]

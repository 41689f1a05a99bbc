"""Waiting until a server classifies."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
import pytest
from click.testing import CliRunner
from flatdense_client.cli.wait_ready import wait_ready
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import (
    ClassifierServicer,
    add_ClassifierServicer_to_server,
)
from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

Serve = Callable[[ClassifierServicer], str]

PROGRAM = [sys.executable, "-c", "from flatdense_client.cli import main; main()", "wait-ready"]


class Describes(ClassifierServicer):
    """Describes its model as soon as `known` is set; before, the label is not there."""

    def __init__(self) -> None:
        self.known = threading.Event()
        self.code = grpc.StatusCode.NOT_FOUND

    def GetModel(  # noqa: N802  # gRPC's name
        self, request: pb.GetModelRequest, context: grpc.ServicerContext
    ) -> pb.GetModelResponse:
        """The model, or the code with the label that was asked for."""
        if not self.known.is_set():
            context.abort(self.code, f"no {request.model.label!r} yet")
        return pb.GetModelResponse(name="mnist", version=7)


@dataclass
class Starting:
    """A server that does not classify yet."""

    address: str
    health: HealthServicer
    servicer: Describes

    def is_serving(self) -> None:
        """From now on it does."""
        self.health.set("flatdense.v1.Classifier", HealthCheckResponse.SERVING)


@pytest.fixture
def starting() -> Iterator[Starting]:
    """A server whose health says that it does not serve, and which knows its model."""
    server = grpc.server(ThreadPoolExecutor(4))
    health, servicer = HealthServicer(), Describes()
    servicer.known.set()
    health.set("flatdense.v1.Classifier", HealthCheckResponse.NOT_SERVING)
    add_HealthServicer_to_server(health, server)
    add_ClassifierServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield Starting(f"127.0.0.1:{port}", health, servicer)
    server.stop(None).wait()


def _wait(address: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PROGRAM, "--server", address, *arguments],
        env={"PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def test_a_ready_server_is_0_at_once(address: str) -> None:
    """Where the server classifies, the command says so on stdout and ends with 0."""
    done = CliRunner().invoke(wait_ready, ["--server", address])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{address} is ready: mnist, version 1 (")
    assert done.stderr == ""


def test_it_waits_for_health(starting: Starting) -> None:
    """A server that says that it does not serve yet is waited for, and not longer than it says."""
    with _wait(starting.address) as process:
        expected = f"waiting: {starting.address} answers, but does not classify yet\n"
        assert _first_line(process) == expected
        starting.is_serving()
        told, rest = process.communicate(timeout=60)
    assert process.returncode == 0
    assert told.startswith(f"{starting.address} is ready: mnist, version 7 (")
    assert rest == ""  # what is missing is told once


def test_it_waits_for_the_label(starting: Starting) -> None:
    """A label that is named is waited for, though the server classifies already."""
    starting.is_serving()
    starting.servicer.known.clear()
    with _wait(starting.address, "--model-label", "canary") as process:
        assert _first_line(process) == "waiting: no 'canary' yet\n"
        starting.servicer.known.set()
        process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="a port cannot be held here")
def test_a_server_that_comes_late_is_found() -> None:
    """A server that starts while the command waits is found, though nothing listened before."""
    late = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 1)])
    health = HealthServicer()
    health.set("flatdense.v1.Classifier", HealthCheckResponse.SERVING)
    add_HealthServicer_to_server(health, late)
    servicer = Describes()
    servicer.known.set()
    add_ClassifierServicer_to_server(servicer, late)
    with socket.socket() as held:  # so that nobody else gets the port; it does not listen
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        with _wait(address) as process:
            assert "nothing listens there" in _first_line(process)
            late.add_insecure_port(address)
            late.start()
            process.communicate(timeout=60)
    assert process.returncode == 0
    late.stop(None).wait()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere.invalid:8500"])
def test_time_over_is_1(address: str) -> None:
    """When the time is over, the command says what was missing and ends with 1."""
    done = CliRunner().invoke(wait_ready, ["--server", address, "--timeout", "0.6"])
    assert done.exit_code == 1
    assert done.stdout == ""
    first, last = done.stderr.splitlines()[0], done.stderr.splitlines()[-1]
    assert first.startswith(f"waiting: {address} cannot be reached: ")
    assert last.startswith("error: not ready after 0.")
    assert f"{address} cannot be reached: " in last


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED]
)
def test_what_does_not_pass_ends_the_wait(starting: Starting, code: grpc.StatusCode) -> None:
    """A credential that is wrong now is wrong in a minute: the command does not wait for it."""
    starting.servicer.known.clear()
    starting.servicer.code = code
    with _wait(starting.address, "--timeout", "inf") as process:
        told, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert told == ""
    assert error.startswith(f"error: {starting.address} ")


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "soon"])
def test_a_time_that_is_none_is_wrong_usage(seconds: str) -> None:
    """--timeout is a number of seconds above 0."""
    assert CliRunner().invoke(wait_ready, ["--timeout", seconds]).exit_code == 2

"""Several servers that serve the same: who answers when one of them does not."""

import asyncio
import os
import re
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import grpc
import numpy as np
import pytest
from flatdense_client import AsyncClient, Client, Unavailable
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import (
    ClassifierServicer,
    add_ClassifierServicer_to_server,
)
from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from server_process import ServerProcess

IMAGE = np.zeros((28, 28), np.uint8)
SERVICE = "flatdense.v1.Classifier"


class Replica(ClassifierServicer):
    """A server on a port that stays its own, whose number is the version that it answers with."""

    def __init__(self, number: int, *, tells_health: bool = True) -> None:
        self.number = number
        self._tells_health = tells_health
        self._port = 0
        self.start()

    def start(self) -> None:
        """Listens, again after stop()."""
        # A handler that hangs must not keep the process.
        self._server = grpc.server(ThreadPoolExecutor(8))
        add_ClassifierServicer_to_server(self, self._server)
        self._health = HealthServicer(experimental_non_blocking=True)
        self.serving(is_serving=True)
        if self._tells_health:
            add_HealthServicer_to_server(self._health, self._server)
        self._port = self._server.add_insecure_port(f"127.0.0.1:{self._port}")
        self._server.start()

    def stop(self) -> None:
        """Answers what it took, refuses what comes, and ends every connection."""
        self._server.stop(30).wait()

    def serving(self, *, is_serving: bool) -> None:
        """Says by grpc.health.v1 whether it takes calls."""
        states = HealthCheckResponse
        self._health.set(SERVICE, states.SERVING if is_serving else states.NOT_SERVING)

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self._port}"

    def Classify(  # noqa: N802  # gRPC's name
        self, request: pb.ClassifyRequest, context: grpc.ServicerContext
    ) -> pb.ClassifyResponse:
        """One row."""
        del request, context
        probabilities = np.eye(10, dtype="<f4")[7].tobytes()
        return pb.ClassifyResponse(
            probabilities=probabilities, classes=[7], model_version=self.number
        )

    def GetModel(  # noqa: N802  # gRPC's name
        self, request: pb.GetModelRequest, context: grpc.ServicerContext
    ) -> pb.GetModelResponse:
        """Every replica knows every version."""
        del context
        return pb.GetModelResponse(version=request.model.version)


Replicas = Callable[..., tuple[Replica, ...]]


@pytest.fixture
def replicas() -> Iterator[Replicas]:
    """Starts so many replicas, numbered from 1."""
    started: list[Replica] = []

    def start(count: int, *, tells_health: bool = True) -> tuple[Replica, ...]:
        started.extend(Replica(n, tells_health=tells_health) for n in range(1, count + 1))
        return tuple(started)

    yield start
    for replica in started:
        replica.stop()


def _answered(client: Client) -> int:
    version = client.classify(IMAGE).model_version
    assert version is not None
    return version


def _until_only(client: Client, numbers: set[int]) -> None:
    """Calls until just these replicas have answered for a while; a failing call fails the test."""
    seen: list[int] = []
    deadline_s = time.monotonic() + 30
    while set(seen[-20:]) != numbers or len(seen) < 20:
        assert time.monotonic() < deadline_s, seen[-20:]
        seen.append(_answered(client))


def test_calls_go_to_each_in_turn(replicas: Replicas) -> None:
    """Every replica has its share once all are connected."""
    addresses = [replica.address for replica in replicas(3)]
    with Client(addresses) as client:
        _until_only(client, {1, 2, 3})
        seen = [_answered(client) for _ in range(30)]
    assert {seen.count(number) for number in (1, 2, 3)} == {10}


def test_names_among_several_addresses_are_reached(replicas: Replicas) -> None:
    """Host names are as good as numbers, though some of what they mean may not answer."""
    ports = [replica.address.rpartition(":")[2] for replica in replicas(2)]
    with Client([f"localhost:{port}" for port in ports]) as client:
        _until_only(client, {1, 2})


@pytest.mark.parametrize("scheme", ["", "ipv4:"])
def test_one_that_is_not_there_is_passed_over(replicas: Replicas, scheme: str) -> None:
    """A dead address among several costs no call."""
    (one, other) = replicas(2)
    other.stop()
    addresses = [one.address, other.address]
    with Client(scheme + ",".join(addresses) if scheme else addresses) as client:
        assert {_answered(client) for _ in range(10)} == {1}


def test_one_that_does_not_serve_is_left_alone_until_it_does(replicas: Replicas) -> None:
    """Whoever says NOT_SERVING gets no calls, none of them fails, and it gets its share after."""
    (one, other) = replicas(2)
    with Client([one.address, other.address]) as client:
        _until_only(client, {1, 2})
        other.serving(is_serving=False)
        _until_only(client, {1})
        other.serving(is_serving=True)
        _until_only(client, {1, 2})


def test_one_that_goes_is_missed_by_no_call_and_found_again(replicas: Replicas) -> None:
    """Calls go on over the end and the return of a replica, all answered."""
    (one, other) = replicas(2)
    with Client([one.address, other.address]) as client:
        _until_only(client, {1, 2})
        other.stop()
        _until_only(client, {1})
        other.start()
        _until_only(client, {1, 2})


def test_where_none_serves_the_error_says_so(replicas: Replicas) -> None:
    """With every replica loading or draining the client says that, and is not ready."""
    (one, other) = replicas(2)
    one.serving(is_serving=False)
    other.serving(is_serving=False)
    with Client([one.address, other.address]) as client:
        with pytest.raises(Unavailable, match=f"{other.address} cannot be .*: each is loading, or"):
            client.classify(IMAGE)
        assert client.ready() is False
        one.serving(is_serving=True)
        _until_only(client, {1})
        assert client.ready() is True


def test_where_none_is_there_the_error_names_them_all() -> None:
    """Nothing but dead addresses is one error, soon."""
    addresses = ["127.0.0.1:1", "127.0.0.1:2"]
    told = "127.0.0.1:1, 127.0.0.1:2 cannot be reached: nothing listens there"
    with Client(addresses) as client, pytest.raises(Unavailable, match=told):
        client.classify(IMAGE)


def test_servers_that_tell_no_health_are_taken_for_healthy(
    replicas: Replicas, capfd: pytest.CaptureFixture[str]
) -> None:
    """Other gRPC servers, and proxies, need no health service."""
    addresses = [replica.address for replica in replicas(2, tells_health=False)]
    with Client(addresses) as client:
        _until_only(client, {1, 2})
    capfd.readouterr()  # gRPC itself remarks on it


def test_one_server_alone_speaks_for_itself(replicas: Replicas) -> None:
    """With nobody else to ask a call goes out, whatever the server's health: it may say why not."""
    (one,) = replicas(1)
    one.serving(is_serving=False)
    with Client(one.address) as client:
        assert _answered(client) == 1
        assert client.ready() is False


def _call(addresses: list[str], is_over: threading.Event) -> int:
    with Client(addresses) as client:
        calls = 0
        while not is_over.is_set():
            client.classify(IMAGE)
            calls += 1
    return calls


def _call_in_asyncio(addresses: list[str], is_over: threading.Event) -> int:
    async def _call_on(client: AsyncClient) -> int:
        calls = 0
        while not is_over.is_set():
            await client.classify(IMAGE)
            calls += 1
        return calls

    async def _call_many() -> int:
        async with AsyncClient(addresses, coalesce=False) as client:
            return sum(await asyncio.gather(*(_call_on(client) for _ in range(4))))

    return asyncio.run(_call_many())


@pytest.mark.xdist_group("replicas")
@pytest.mark.parametrize("call", [_call, _call_in_asyncio], ids=["threads", "asyncio"])
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["drained", "killed"])
def test_a_rolling_restart_of_real_servers_is_seen_by_no_caller(
    exported_model: Path, end: signal.Signals, call: Callable[..., int]
) -> None:
    """Each of flatdense's own servers ends, well or badly, and returns: every call is answered."""
    arguments = ("--model-dir", str(exported_model), "--workers", "1")
    is_over = threading.Event()
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(1))
        servers = [stack.enter_context(ServerProcess(*arguments)) for _ in range(2)]
        addresses = [server.address for server in servers]
        for server in servers:
            server.ready()
        calling = pool.submit(call, addresses, is_over)
        stack.callback(is_over.set)
        for server in servers:
            _wait_for_calls(server)
        for index, server in enumerate(servers):
            for pid in server.worker_pids if end is signal.SIGKILL else []:
                os.kill(pid, end)
            server.stop(end)
            port = addresses[index].rpartition(":")[2]
            again = stack.enter_context(ServerProcess(*arguments, "--grpc-port", port))
            again.ready()
            _wait_for_calls(again)
        is_over.set()
        assert calling.result(60) > 0


def _wait_for_calls(server: ServerProcess) -> None:
    """Until the server has answered some."""
    deadline_s = time.monotonic() + 60
    while True:
        with urllib.request.urlopen(f"{server.page}metrics", timeout=30) as response:
            told = response.read().decode()
        if re.search(r'flatdense_requests_total\{.*code="OK".*Classify"', told):
            return
        assert time.monotonic() < deadline_s, told
        time.sleep(0.05)

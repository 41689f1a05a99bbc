"""Connections that go silent, and servers that do not like to be pinged."""

import asyncio
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from unittest.mock import MagicMock

import grpc
import numpy as np
import pytest
from flatdense_client import AsyncClient, Client
from flatdense_client._channel import channel as channels
from flatdense_client._channel.channel import Connector
from flatdense_proto.v1.classifier_pb2 import ClassifyRequest, ClassifyResponse
from flatdense_proto.v1.classifier_pb2_grpc import (
    ClassifierServicer,
    ClassifierStub,
    add_ClassifierServicer_to_server,
)
from flatdense_server.edge.server import channel_options

IMAGE = np.zeros((28, 28), np.uint8)

FASTER = 20


class Tunnel:
    """Passes connections on to a server; those it has may be frozen: open, but nothing passes."""

    def __init__(self, address: str, *, up_bytes_per_s: float = math.inf) -> None:
        self._up_bytes_per_s = up_bytes_per_s
        host, _, port = address.rpartition(":")
        self._server = (host, int(port))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._frozen: list[threading.Event] = []
        self._sockets: list[socket.socket] = [self._listening]
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def connections(self) -> int:
        """How many there were so far."""
        return len(self._frozen)

    def freeze(self) -> None:
        """Lets nothing pass on the connections of now, either way; new ones are not frozen."""
        for frozen in self._frozen:
            frozen.set()

    def close(self) -> None:
        """Ends everything."""
        for each in self._sockets:
            with suppress(OSError):  # the other side was first
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            far, frozen = socket.create_connection(self._server), threading.Event()
            self._sockets += [near, far]
            self._frozen.append(frozen)
            ways = ((near, far, self._up_bytes_per_s), (far, near, math.inf))
            for way in ways:
                thread = threading.Thread(target=self._pass, args=(*way, frozen))
                self._threads.append(thread)
                thread.start()

    def _pass(
        self,
        source: socket.socket,
        sink: socket.socket,
        bytes_per_s: float,
        frozen: threading.Event,
    ) -> None:
        try:
            while data := source.recv(1 << 14):
                if not frozen.is_set():
                    time.sleep(len(data) / bytes_per_s)
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return


@pytest.fixture
def tunnel(address: str) -> Iterator[Tunnel]:
    """A way to the default server."""
    with closing(Tunnel(address)) as tunnel:
        yield tunnel


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The times of keepalive, shorter than they are: gRPC makes a second of anything less."""
    assert channels.KEEPALIVE_S / FASTER == 1
    monkeypatch.setattr(channels, "KEEPALIVE_S", channels.KEEPALIVE_S / FASTER)
    monkeypatch.setattr(channels, "KEEPALIVE_TIMEOUT_S", channels.KEEPALIVE_TIMEOUT_S / FASTER)


@pytest.mark.usefixtures("impatient")
def test_a_silent_connection_is_found_and_left(tunnel: Tunnel) -> None:
    """A call on a connection that swallows everything is answered over another, in its time."""
    with Client(tunnel.address) as client:
        before = client.classify(IMAGE)
        tunnel.freeze()
        after = client.classify(IMAGE)
    assert np.array_equal(before.probabilities, after.probabilities)
    assert tunnel.connections == 2


@pytest.mark.usefixtures("impatient")
def test_the_same_in_asyncio(tunnel: Tunnel) -> None:
    """AsyncClient finds it too."""

    async def _law() -> None:
        async with AsyncClient(tunnel.address) as client:
            await client.classify(IMAGE)
            tunnel.freeze()
            await client.classify(IMAGE)

    asyncio.run(_law())
    assert tunnel.connections == 2


def test_a_slow_line_is_not_taken_for_a_dead_one(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload that fills the line for longer than a ping may take is no silence."""
    monkeypatch.setattr(channels, "KEEPALIVE_TIMEOUT_S", 0.5)
    with closing(Tunnel(address, up_bytes_per_s=1_000_000)) as tunnel:
        with Client(tunnel.address) as client:
            client.classify(IMAGE)
            assert len(client.classify(np.zeros((3000, 784), np.uint8))) == 3000
        assert tunnel.connections == 1


class Slow(ClassifierServicer):
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.release = threading.Event()

    def Classify(  # noqa: N802  # gRPC's name
        self, request: ClassifyRequest, context: grpc.ServicerContext
    ) -> ClassifyResponse:
        """One row."""
        del request, context
        self.release.wait(30)
        return ClassifyResponse(model_version=1)


Options = list[tuple[str, str | int]]


def _pings(options: Options) -> Options:
    return [(name, value) for name, value in options if "ping" in name or "keepalive" in name]


def _flatdenses() -> Options:
    """What flatdense's server says of pings, whatever its other settings are."""
    return _pings(channel_options(MagicMock(max_connection_age_s=None)))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("server_options", "is_content"),
    [
        pytest.param(_flatdenses, True, id="flatdense"),
        pytest.param(list, False, id="stock"),
    ],
)
def test_flatdenses_server_accepts_the_pings(
    server_options: Callable[[], Options], is_content: bool
) -> None:
    """Five pings in one silence, at the client's pace, are within the server's limit.

    Both times are divided by the same number. A stock server, whose limit is 5 minutes, ends the
    connection.
    """
    options = [
        (name, int(value) // FASTER if name.endswith("interval_without_data_ms") else value)
        for name, value in server_options()
    ]
    slow = Slow()
    server = grpc.server(ThreadPoolExecutor(2), options=options)
    add_ClassifierServicer_to_server(slow, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # gRPC sends two pings at the pace, then one a minute, unless it is told not to slow down.
    unlimited = (("grpc.http2.max_pings_without_data", 0), ("grpc.enable_retries", 0))

    async def _law() -> None:
        connector = Connector(f"127.0.0.1:{port}")
        async with connector.open_async(more_options=unlimited) as channel:
            call = ClassifierStub(channel).Classify(ClassifyRequest(), timeout=30)
            silence_s = 5.5 * channels.KEEPALIVE_S
            ended, _ = await asyncio.wait({asyncio.ensure_future(call.code())}, timeout=silence_s)
            assert (not ended) is is_content
            slow.release.set()
            if is_content:
                assert (await call).model_version == 1

    asyncio.run(_law())
    server.stop(None).wait()


def test_stock_servers_are_not_pinged_without_need() -> None:
    """No ping goes out where no call is under way, nor during a call of the default deadline."""
    with Client("localhost:1") as client:
        options = dict(client._session.connector._options)
        timeout_s = client._session.timeout_s
    assert options["grpc.keepalive_permit_without_calls"] == 0
    assert int(options["grpc.keepalive_time_ms"]) >= 2 * timeout_s * 1000
    assert int(options["grpc.keepalive_timeout_ms"]) <= timeout_s * 1000 / 2


def test_one_of_several_servers_is_left_in_time_for_another() -> None:
    """Silence of a replica is found within half of the deadline, at a pace that servers bear."""
    with Client(["127.0.0.1:1", "127.0.0.2:1"]) as client:
        options = dict(client._session.connector._options)
        timeout_s = client._session.timeout_s
    pace_ms = int(options["grpc.keepalive_time_ms"])
    assert pace_ms + int(options["grpc.keepalive_timeout_ms"]) <= timeout_s * 1000 / 2
    assert pace_ms >= int(dict(_flatdenses())["grpc.http2.min_ping_interval_without_data_ms"])

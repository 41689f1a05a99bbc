"""HTTP connections that are opened and not used."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import pytest
from flatdense_server.http import connection as module
from flatdense_server.http.backend import Backend
from flatdense_server.http.limits import MAX_HEADER_BYTES
from flatdense_server.http.probes import make_probes_app
from flatdense_server.http.server import HttpServer
from flatdense_server.listen import listen

GET = b"GET /healthz HTTP/1.1\r\nhost: x\r\n"


@pytest.fixture
def server(backend: Backend) -> Iterator[HttpServer]:
    """A server on a free port."""
    server = HttpServer(make_probes_app(backend), listen("http", "127.0.0.1", 0))
    server.start()
    yield server
    server.stop()


def connect(server: HttpServer) -> socket.socket:
    """A connection on which nothing was sent yet."""
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


@pytest.mark.parametrize("sent", [b"", b"GET", GET, GET + b"\r\n" + GET])
def test_headers_that_do_not_end_are_not_waited_for(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """Nothing, half a line, half of the headers, or half of the second request's: it is closed."""
    monkeypatch.setattr(module, "IDLE_S", 0.1)
    with connect(server) as caller:
        caller.sendall(sent)
        received = b""
        while more := caller.recv(1000):
            received += more
    assert received.count(b"200 OK") == sent.count(b"\r\n\r\n")


def test_a_connection_in_use_stays(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given time when it begins, and again by each answer."""
    given: list[module.Connection] = []

    def note(connection: module.Connection) -> None:
        """Which one it was."""
        given.append(connection)

    monkeypatch.setattr(module.Connection, "_await_request", note)
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        for _ in range(3):
            assert client.get("/healthz").status_code == 200
    assert len(given) >= 3
    assert len(set(given)) == 1


def test_there_are_not_any_number_of_connections(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One too many is closed at once; when another one has gone there is a place again."""
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 3)
    with ExitStack() as stack:
        callers = [stack.enter_context(connect(server)) for _ in range(3)]
        for caller in callers:
            caller.sendall(GET + b"\r\n")
            assert b"200 OK" in caller.recv(1000)
        with connect(server) as caller, suppress(ConnectionError):
            caller.sendall(GET + b"\r\n")
            assert caller.recv(1000) == b""
        callers[0].sendall(GET + b"connection: close\r\n\r\n")
        while callers[0].recv(1000):
            pass
        assert httpx.get(f"http://127.0.0.1:{server.port}/healthz").status_code == 200


def test_headers_are_bounded(server: HttpServer) -> None:
    """More is 400, and the connection ends."""
    url = f"http://127.0.0.1:{server.port}/healthz"
    assert httpx.get(url, headers={"x": "a" * (MAX_HEADER_BYTES // 2)}).status_code == 200
    with connect(server) as caller:
        caller.sendall(GET + b"x: " + b"a" * 2 * MAX_HEADER_BYTES)
        assert b" 400 " in caller.recv(1000)

"""The HTTP server: start, answer, stop."""

import socket

import httpx
import pytest
from flatdense_server.http.app import make_app
from flatdense_server.http.backend import Backend
from flatdense_server.http.server import HttpServer
from flatdense_server.listen import listen
from flatdense_server.observe.metrics.exposition import Exposition


def test_it_answers_from_start_to_stop(backend: Backend, exposition: Exposition) -> None:
    """On the socket that it was given; after stop() the port is closed."""
    server = HttpServer(
        make_app(backend, exposition, max_request_rows=1), listen("http", "127.0.0.1", 0)
    )
    server.start()
    url = f"http://127.0.0.1:{server.port}/healthz"
    assert httpx.get(url).json() == {"live": True}
    server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_its_connections_do_not_hold_small_packets_back(
    backend: Backend, exposition: Exposition
) -> None:
    """A response of two packets would wait for the caller's acknowledgement of the first."""
    accepted = []

    class Noted(socket.socket):
        """A listener that notes what it accepts."""

        def accept(self) -> tuple[socket.socket, object]:
            """See socket.accept."""
            connection, address = super().accept()
            accepted.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            return connection, address

    plain = listen("http", "127.0.0.1", 0)
    server = HttpServer(
        make_app(backend, exposition, max_request_rows=1), Noted(fileno=plain.detach())
    )
    server.start()
    assert httpx.get(f"http://127.0.0.1:{server.port}/healthz").status_code == 200
    server.stop()
    assert accepted
    assert all(accepted)

"""The HTTP server: start, answer, stop."""

import httpx
import pytest
from flatdense_server.http.app import make_app
from flatdense_server.http.backend import Backend
from flatdense_server.http.server import HttpServer
from flatdense_server.listen import listen
from flatdense_server.observe.exposition import Exposition


def test_it_answers_from_start_to_stop(backend: Backend, exposition: Exposition) -> None:
    """On the socket that it was given; after stop() the port is closed."""
    server = HttpServer(make_app(backend, exposition), listen("http", "127.0.0.1", 0))
    server.start()
    url = f"http://127.0.0.1:{server.port}/healthz"
    assert httpx.get(url).json() == {"live": True}
    server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)

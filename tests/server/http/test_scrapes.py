"""Scrapers that come in a crowd, and callers that take nothing."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from flatdense_server.http import connection as module
from flatdense_server.http.app import make_app
from flatdense_server.http.backend import Backend
from flatdense_server.http.server import HttpServer
from flatdense_server.listen import listen
from flatdense_server.observe.metrics.boards import Boards
from flatdense_server.observe.metrics.exposition import Exposition
from flatdense_server.observe.metrics.metrics import Metrics
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

CROWD = 60

BIG_BYTES = 100_000_000
"""More than the kernel keeps for a connection."""


class Gate:
    """Stands where the exposition asks for processes: holds it, and counts how often it asks."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.begun = threading.Semaphore(0)
        self.times = 0

    def __call__(self) -> dict[str, int]:
        """No process."""
        self.times += 1
        self.begun.release()
        self.open.wait()
        return {}


@pytest.fixture
def held() -> Iterator[Gate]:
    """Closed."""
    gate = Gate()
    yield gate
    gate.open.set()


@pytest.fixture
def exposition(service_boards: Boards, metrics: Metrics, held: Gate) -> Exposition:
    """Of the test's metrics, held by its gate."""
    return Exposition(service_boards, metrics.families, held)


@pytest.fixture
def start() -> Iterator[Callable[[Starlette], str]]:
    """Serves an application on a free port: gives its URL."""
    servers: list[HttpServer] = []

    def serve(app: Starlette) -> str:
        """Until the test ends."""
        server = HttpServer(app, listen("http", "127.0.0.1", 0))
        server.start()
        servers.append(server)
        return f"http://127.0.0.1:{server.port}"

    yield serve
    for server in servers:
        server.stop()


def test_a_crowd_of_scrapers_shares_what_is_written(
    exposition: Exposition, metrics: Metrics, held: Gate
) -> None:
    """However many ask while it is written, it is written once more, for all of them."""
    with ThreadPoolExecutor(CROWD) as pool:
        first = pool.submit(exposition.expose, "")
        held.begun.acquire()
        metrics.rows.labels("mnist", 1).inc()
        crowd = [pool.submit(exposition.expose, "", exposition.begun) for _ in range(CROWD - 1)]
        held.open.set()
        texts = {body.decode() for body, _content_type in (each.result() for each in crowd)}
        assert first.result()
    assert held.times == 2
    (text,) = texts
    assert 'flatdense_rows_total{model="mnist",version="1"} 1.0' in text


def test_nobody_reads_what_is_older_than_the_question(
    exposition: Exposition, metrics: Metrics, held: Gate
) -> None:
    """What was counted before a scrape is in it, though another scrape has just ended."""
    held.open.set()
    for count in range(1, 4):
        metrics.rows.labels("mnist", 1).inc()
        assert f'version="1"}} {count}.0' in exposition.expose("")[0].decode()


def test_each_gets_the_format_that_it_asks_for(exposition: Exposition, held: Gate) -> None:
    """Of a crowd that asks for two formats, nobody gets the other one."""
    held.open.set()
    accepts = ["", "application/openmetrics-text; version=1.0.0"] * 10
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda accept: exposition.expose(accept, 0), accepts))
    for accept, (body, content_type) in zip(accepts, found, strict=True):
        assert body.endswith(b"# EOF\n") == bool(accept)
        assert ("openmetrics" in content_type) == bool(accept)


@pytest.mark.parametrize(
    "accept", ["application/openmetrics-text; version=x", "text/plain; version=;;=", "é, */*"]
)
def test_whatever_a_stranger_accepts_is_answered(
    exposition: Exposition, held: Gate, accept: str
) -> None:
    """A version that is no number means no version."""
    held.open.set()
    assert b"flatdense_build_info" in exposition.expose(accept)[0]


def test_a_scrape_that_takes_long_holds_up_nobody_else(
    exposition: Exposition, backend: Backend, held: Gate, start: Callable[[Starlette], str]
) -> None:
    """More scrapes wait than there are threads: probes are answered, and then all of them are."""
    url = start(make_app(backend, exposition, max_request_rows=32))
    with httpx.Client(timeout=60) as client, ThreadPoolExecutor(CROWD) as pool:
        crowd = [pool.submit(httpx.get, f"{url}/metrics", timeout=60) for _ in range(CROWD)]
        held.begun.acquire()
        assert client.get(f"{url}/healthz").status_code == 200
        assert client.get(f"{url}/readyz").status_code == 503  # the worker serves nothing
        held.open.set()
        assert {each.result().status_code for each in crowd} == {200}


def test_who_takes_nothing_is_let_go(
    start: Callable[[Starlette], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller that reads byte by byte does not get it all, and others are served meanwhile."""
    monkeypatch.setattr(module, "TAKE_S", 0.3)
    gone = threading.Event()
    lost = module.Connection.connection_lost

    def note(connection: module.Connection, error: Exception | None) -> None:
        """A connection has ended."""
        lost(connection, error)
        gone.set()

    def big(_request: Request) -> Response:
        """Much."""
        return PlainTextResponse(bytes(BIG_BYTES))

    def small(_request: Request) -> Response:
        """Little."""
        return PlainTextResponse("x")

    url = start(Starlette(routes=[Route("/big", big), Route("/small", small)]))
    with httpx.Client() as other, socket.socket() as caller:
        assert other.get(f"{url}/small").text == "x"
        monkeypatch.setattr(module.Connection, "connection_lost", note)
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        caller.connect(("127.0.0.1", int(url.rpartition(":")[2])))
        caller.sendall(b"GET /big HTTP/1.1\r\nhost: x\r\n\r\n")
        while not gone.is_set():
            assert caller.recv(1)
            assert other.get(f"{url}/small").text == "x"

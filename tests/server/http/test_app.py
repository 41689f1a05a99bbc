"""The HTTP routes: live, ready, metrics, the page, and what is refused."""

import asyncio
from collections.abc import Callable

import httpx
import pytest
from flatdense_server.http.app import make_app
from flatdense_server.http.backend import Backend
from flatdense_server.models.registry import Registry
from flatdense_server.models.servable import Servable
from flatdense_server.observe.exposition import Exposition
from prometheus_client import parser
from starlette.applications import Starlette


class Client:
    """Asks an application without a socket."""

    def __init__(self, app: Starlette) -> None:
        self._transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    def request(self, method: str, path: str, **options: dict[str, str]) -> httpx.Response:
        """One request, one response."""

        async def ask() -> httpx.Response:
            """On a loop of its own."""
            async with httpx.AsyncClient(transport=self._transport, base_url="http://here") as http:
                return await http.request(method, path, **options)

        return asyncio.run(ask())

    def get(self, path: str, **options: dict[str, str]) -> httpx.Response:
        """A GET."""
        return self.request("GET", path, **options)


@pytest.fixture
def client(backend: Backend, exposition: Exposition) -> Client:
    """Asks the application of the backend."""
    return Client(make_app(backend, exposition))


@pytest.fixture
def published(
    registry: Registry, publish: Callable[..., None], make_servable: Callable[..., Servable]
) -> Registry:
    """A registry that serves version 1."""
    publish(make_servable())
    return registry


def test_it_is_live_from_the_start(client: Client) -> None:
    """/healthz is 200 though nothing is loaded: the process must not be restarted."""
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"live": True})


def test_it_is_not_ready_before_a_version_is_served(client: Client) -> None:
    """/readyz is 503 with the reason."""
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["ready"] is False
    assert "still loading" in answer.json()["reason"]


@pytest.mark.usefixtures("published")
def test_it_is_ready_once_a_version_is_served(client: Client) -> None:
    """/readyz is 200 and names what would answer."""
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "model": "mnist", "version": 1}


def test_it_is_not_ready_while_it_drains_but_live(client: Client, published: Registry) -> None:
    """/readyz is 503 saying that the server stops; /healthz stays 200."""
    published.drain()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "stopping" in answer.json()["reason"]
    assert client.get("/healthz").status_code == 200


def test_metrics_are_what_prometheus_reads(client: Client) -> None:
    """/metrics parses, and says in its header which format it has."""
    answer = client.get("/metrics", headers={"accept": "text/plain"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    names = {family.name for family in parser.text_string_to_metric_families(answer.text)}
    assert "flatdense_build_info" in names


def test_metrics_come_as_openmetrics_where_asked(client: Client) -> None:
    """The Accept header decides."""
    answer = client.get("/metrics", headers={"accept": "application/openmetrics-text"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.usefixtures("published")
def test_the_page_says_what_is_served(client: Client) -> None:
    """/ is HTML with the network, its accuracy and how it runs."""
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    for fact in ("mnist", "Dense 16", "12,730", "90.00%", "numpy on cpu", "1, 2, 4, 8", "1 to 32"):
        assert fact in answer.text


def test_the_page_says_why_nothing_is_served(client: Client) -> None:
    """Before ready / is a page too."""
    answer = client.get("/")
    assert answer.status_code == 200
    assert "still loading" in answer.text


def test_it_is_not_ready_where_no_worker_is(exposition: Exposition) -> None:
    """/readyz is 503 with the reason: they load, or the server stops, or one does not answer."""
    for addresses, draining, reason in (
        ((), False, "still loading"),
        ((), True, "stopping"),
        (("unix:/nowhere/worker",), False, "failed to connect"),
    ):
        with Backend("mnist", lambda found=addresses: found, lambda now=draining: now) as backend:
            answer = Client(make_app(backend, exposition)).get("/readyz")
        assert answer.status_code == 503
        assert reason in answer.json()["reason"]


@pytest.mark.usefixtures("published")
def test_one_worker_that_answers_is_enough(backend: Backend, exposition: Exposition) -> None:
    """One that was killed a moment ago is passed over."""
    (address,) = backend.addresses()
    with Backend("mnist", lambda: ["unix:/nowhere/worker", address]) as both:
        assert Client(make_app(both, exposition)).get("/readyz").status_code == 200


def test_the_page_escapes_the_models_name(exposition: Exposition) -> None:
    """A name cannot become markup."""
    with Backend("<script>alert(1)</script>&", list) as backend:
        text = Client(make_app(backend, exposition)).get("/").text
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&amp;" in text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("POST", "/metrics", 405), ("DELETE", "/", 405)],
)
def test_what_is_not_served_is_refused_as_json(
    client: Client, method: str, path: str, status: int
) -> None:
    """404 and 405 come as {"error": ...} that names the method and the path."""
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.json().keys() == {"error"}
    assert answer.json()["error"].startswith(f"{method} {path}: ")
    if status == 405:
        assert "GET" in answer.headers["allow"]


def test_a_fault_tells_nothing_of_its_cause(
    client: Client, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 has a fixed sentence; the cause is for the log."""

    def fail() -> None:
        raise LookupError("secret")

    monkeypatch.setattr(backend, "get_model", fail)
    answer = client.get("/readyz")
    assert answer.status_code == 500
    assert answer.json() == {"error": "the server failed; its log has the cause."}

"""Tokens on the HTTP port: what is open, what is not, and to whom."""

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from flatdense_proto.twin import inference_pb2 as pb
from flatdense_proto.v1 import classifier_pb2
from flatdense_server.http.app import make_app
from flatdense_server.http.backend import Backend
from flatdense_server.http.probes import make_probes_app
from flatdense_server.http.server import HttpServer
from flatdense_server.listen import listen
from flatdense_server.observe.metrics.exposition import Exposition
from flatdense_server.security.access import Access
from flatdense_server.security.tokens import Token, hash_token

ALICE, ROBOT = "fd_alice", "fd_robot"

ACCESS = Access(
    (
        Token("alice", frozenset({"inference"}), hash_token(ALICE.encode())),
        Token("robot", frozenset({"admin"}), hash_token(ROBOT.encode())),
    )
)

OPEN = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/",
    "/page/main.js",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/mnist/ready",
    "/v2/models/mnist/versions/1/ready",
]
INFERENCE = [
    *("/openapi.json", "/v2", "/v2/models/mnist", "/v2/models/mnist/infer"),
    *("/v1/models/mnist", "/v1/models/mnist:predict", "/v1/models/mnist/metadata"),
    *("/healthz/", "//healthz", "/nothing", "/v2/models/mnist/stats", "/v2/repositories"),
]
ADMIN = [
    "/v2/repository/index",
    "/v2/repository/models/mnist/load",
    "/v2/repository/models/mnist/unload",
]


@pytest.fixture
def refused() -> Counter[str]:
    """Why requests were not let in."""
    return Counter()


@pytest.fixture
def url(
    backend: Backend, exposition: Exposition, refused: Counter[str], tmp_path: Path
) -> Iterator[str]:
    """A server that wants tokens, as an address that ends without a slash."""
    app = make_app(
        backend,
        exposition,
        max_request_rows=1,
        model_dir=tmp_path,
        access=ACCESS,
        count_refused=lambda reason: refused.update([reason]),
    )
    server = HttpServer(app, listen("http", "127.0.0.1", 0))
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


def bearer(token: str) -> dict[str, str]:
    """The header."""
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
def _answers(replies: dict[str, object]) -> None:
    """The worker says something to what these tests ask."""
    replies["GetModel"] = classifier_pb2.GetModelResponse(name="mnist", version=1)
    replies["ServerReady"] = pb.ServerReadyResponse(ready=True)
    replies["ModelReady"] = pb.ModelReadyResponse(ready=True)


@pytest.mark.usefixtures("_answers")
@pytest.mark.parametrize("path", OPEN)
def test_probes_and_scrapers_need_no_token(url: str, path: str) -> None:
    """They are answered as ever, whatever they send."""
    assert httpx.get(url + path).status_code == 200
    assert httpx.get(url + path, headers=bearer("wrong")).status_code == 200


@pytest.mark.parametrize("path", [*INFERENCE, *ADMIN])
@pytest.mark.parametrize("headers", [{}, bearer("wrong"), {"authorization": f"Basic {ALICE}"}])
def test_all_else_is_refused_without_a_token(
    url: str, refused: Counter[str], path: str, headers: dict[str, str]
) -> None:
    """401 with the challenge, in the same words for missing and wrong; unknown paths as well."""
    for method in ("GET", "POST"):
        answer = httpx.request(method, url + path, headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert answer.json() == {"error": "a valid token is required."}
    assert refused == {"unauthenticated": 2}


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [*((path, ROBOT, 403) for path in INFERENCE), *((path, ALICE, 403) for path in ADMIN)],
)
def test_a_token_for_something_else_is_refused(
    url: str, refused: Counter[str], path: str, token: str, status: int
) -> None:
    """403, and nothing more is said."""
    answer = httpx.post(url + path, headers=bearer(token))
    assert answer.status_code == status
    assert answer.json() == {"error": "the token is not for this."}
    assert refused == {"forbidden": 1}


def test_a_good_token_is_let_in(url: str, replies: dict[str, object]) -> None:
    """Each to what it is for."""
    replies["ServerMetadata"] = pb.ServerMetadataResponse(name="flatdense")
    replies["RepositoryIndex"] = pb.RepositoryIndexResponse()
    assert httpx.get(f"{url}/v2", headers=bearer(ALICE)).json()["name"] == "flatdense"
    assert httpx.post(f"{url}/v2/repository/index", headers=bearer(ROBOT)).status_code == 200
    assert httpx.get(f"{url}/nothing", headers=bearer(ALICE)).status_code == 404


def test_a_body_is_not_waited_for(url: str) -> None:
    """Who may not call is told when the headers are there, whatever it means to send."""
    host, port = url.removeprefix("http://").split(":")
    with closing(socket.create_connection((host, int(port)), timeout=30)) as caller:
        caller.sendall(
            b"POST /v2/models/mnist/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"
        )
        assert caller.recv(100).startswith(b"HTTP/1.1 401 ")


@pytest.mark.usefixtures("_answers")
def test_the_port_of_probes_has_nothing_else(backend: Backend) -> None:
    """Live and ready; no metrics, no page, no REST."""
    server = HttpServer(make_probes_app(backend), listen("plaintext-health", "127.0.0.1", 0))
    server.start()
    base = f"http://127.0.0.1:{server.port}"
    statuses = {path: httpx.get(base + path).status_code for path in (*OPEN[:4], *INFERENCE)}
    assert {path for path, status in statuses.items() if status == 200} == {"/healthz", "/readyz"}
    server.stop()

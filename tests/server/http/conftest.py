"""A worker for the HTTP routes that answers what a test says, and clients without a socket."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from inspect import signature
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import httpx
import pytest
from flatdense_server.http.app import make_app
from flatdense_server.http.backend import Backend
from flatdense_server.observe.metrics.exposition import Exposition
from google.protobuf.message import Message
from starlette.types import ASGIApp

MAX_REQUEST_ROWS = 32

Refusal: TypeAlias = tuple[grpc.StatusCode, str]
Reply: TypeAlias = Message | Refusal | Callable[..., Message]
"""Functions get the request, and where they take it the call's context."""


class AppTransport(httpx.BaseTransport):
    """Asks an application without a socket, each time on an event loop of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """One request, one response."""

        async def ask() -> httpx.Response:
            """The whole response."""
            answer = await self._transport.handle_async_request(request)
            content = b"".join([chunk async for chunk in answer.aiter_raw()])
            return httpx.Response(answer.status_code, headers=answer.headers, content=content)

        return asyncio.run(ask())


class Worker(grpc.GenericRpcHandler):
    """A gRPC server that answers each method as `replies` says, and notes what it was asked."""

    def __init__(self, replies: Mapping[str, Reply], asked: list[tuple[str, bytes]]) -> None:
        self._replies = replies
        self._asked = asked
        self._server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((self,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[Any, Any]":
        """A handler of bytes for whatever is asked."""
        method = handler_call_details.method

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            """What the test says."""
            self._asked.append((method, request))
            reply = self._replies[method.rpartition("/")[2]]
            if isinstance(reply, tuple):
                context.abort(*reply)
            if isinstance(reply, Message):
                return reply.SerializeToString()
            wanted = (request, context)[: len(signature(reply).parameters)]
            return reply(*wanted).SerializeToString()

        return grpc.unary_unary_rpc_method_handler(answer)

    def stop(self) -> None:
        """Ends at once."""
        self._server.stop(0).wait()


@pytest.fixture
def replies() -> dict[str, Reply]:
    """What the worker answers, by the name of the method: a message, a refusal, a function."""
    return {}


@pytest.fixture
def asked() -> list[tuple[str, bytes]]:
    """The methods that the worker was asked, with their requests; oldest first."""
    return []


@pytest.fixture
def address(replies: dict[str, Reply], asked: list[tuple[str, bytes]]) -> Iterator[str]:
    """Where the worker is."""
    worker = Worker(replies, asked)
    yield worker.address
    worker.stop()


@pytest.fixture
def backend(address: str) -> Iterator[Backend]:
    """Knows the one worker."""
    with Backend("mnist", lambda: [address]) as backend:
        yield backend


@pytest.fixture(scope="session")
def transport_of() -> type[AppTransport]:
    """Asks an application without a socket."""
    return AppTransport


@pytest.fixture
def open_client(
    exposition: Exposition, tmp_path: Path
) -> Iterator[Callable[[Backend], httpx.Client]]:
    """Makes a client of the application of a backend; `tmp_path` is its model folder."""
    with ExitStack() as clients:

        def open_client(backend: Backend) -> httpx.Client:
            """See the fixture."""
            app = make_app(
                backend, exposition, max_request_rows=MAX_REQUEST_ROWS, model_dir=tmp_path
            )
            client = httpx.Client(transport=AppTransport(app), base_url="http://here")
            return clients.enter_context(client)

        yield open_client


@pytest.fixture
def client(backend: Backend, open_client: Callable[[Backend], httpx.Client]) -> httpx.Client:
    """Asks the application of the backend."""
    return open_client(backend)


@pytest.fixture
def refusal(client: httpx.Client) -> Callable[..., tuple[int, str]]:
    """Posts what is refused; gives the status and the sentence."""

    def post(path: str, **options: Any) -> tuple[int, str]:  # noqa: ANN401 -- those of httpx
        """See the fixture."""
        answer = client.post(path, **options)
        assert answer.headers["content-type"] == "application/json"
        assert answer.json().keys() == {"error"}
        return answer.status_code, answer.json()["error"]

    return post

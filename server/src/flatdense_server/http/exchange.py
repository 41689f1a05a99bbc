"""The way of a request from HTTP to a worker, and of its answer back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeVar

import msgspec
from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import Response

from flatdense_server.http.backend import CALL_TIMEOUT_S, Backend
from flatdense_server.http.body import Bodies
from flatdense_server.http.compression import choose_encoding, deflate
from flatdense_server.http.errors import RequestRefused
from flatdense_server.http.limits import THREADS, Limits
from flatdense_server.http.threads import Threads

JSON: Final = MappingProxyType({"content-type": "application/json"})

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response's body, not compressed yet."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)


@dataclass(frozen=True, slots=True)
class Question:
    """A request in a worker's words, and what makes a response of the worker's answer."""

    method: str
    """/package.Service/Method"""
    message: bytes
    answer: Callable[[bytes], Answer]
    timeout_s: float = CALL_TIMEOUT_S


class Exchange:
    """Takes requests to the workers and their answers back. Knows no protocol.

    Its methods raise RequestRefused, BackendRefused and BackendUnavailable.
    """

    def __init__(self, backend: Backend, limits: Limits) -> None:
        self._backend = backend
        self._limits = limits
        self._threads = Threads(THREADS)
        self._bodies = Bodies(limits, self._threads)

    async def post(self, request: Request, read: Callable[[bytes], Question]) -> Response:
        """The response to a request with a body, which `read` understands."""
        encoding = choose_encoding(request.headers.get("accept-encoding", ""))
        async with self._bodies.read(request) as body:
            question = await self._threads.run(read, body)
            self._check_length(question.message)
            data = await self._backend.call(question.method, question.message, question.timeout_s)
            answer, content = await self._threads.run(make_content, question, data, encoding)
        headers = {"vary": "accept-encoding", **answer.headers}
        return Response(
            content, headers={**headers, "content-encoding": encoding} if encoding else headers
        )

    async def ask(self, method: str, message: Message, kind: type[M]) -> M:
        """A worker's answer to what needs no body."""
        data = await self._backend.call(method, message.SerializeToString())
        return kind.FromString(data)

    def _check_length(self, message: bytes) -> None:
        most_bytes, rows = self._limits.message_bytes, self._limits.max_request_rows
        if len(message) > most_bytes:
            raise RequestRefused(
                413,
                f"the body: expected tensors of at most {most_bytes} bytes, which hold more than "
                f"the {rows} rows of the biggest request, got {len(message)} bytes. "
                "Cut them into several requests.",
            )


def make_content(question: Question, data: bytes, encoding: str) -> tuple[Answer, bytes]:
    """The answer, and its body as it is sent."""
    answer = question.answer(data)
    return answer, deflate(answer.body, encoding)


def encode(value: object) -> bytes:
    """JSON in which every number is exact."""
    return msgspec.json.encode(value)

"""What is not answered, as HTTP says it: a status and {"error": a sentence}. The one table."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from flatdense_server.http.backend import BackendRefused, BackendUnavailable

STATUSES: Final = MappingProxyType(
    {
        "CANCELLED": 499,
        "UNKNOWN": 500,
        "INVALID_ARGUMENT": 400,
        "DEADLINE_EXCEEDED": 504,
        "NOT_FOUND": 404,
        "ALREADY_EXISTS": 409,
        "PERMISSION_DENIED": 403,
        "RESOURCE_EXHAUSTED": 429,
        "FAILED_PRECONDITION": 400,
        "ABORTED": 409,
        "OUT_OF_RANGE": 400,
        "UNIMPLEMENTED": 501,
        "INTERNAL": 500,
        "UNAVAILABLE": 503,
        "DATA_LOSS": 500,
        "UNAUTHENTICATED": 401,
    }
)
"""The HTTP status of every gRPC status that is not OK."""

RETRY: Final = MappingProxyType({"retry-after": "1"})
"""Seconds: HTTP has no shorter time."""

RETRIED: Final = frozenset({429, 503})

FAULT: Final = "the server failed; its log has the cause."

TRANSPORTS_OWN: Final = "UNKNOWN"
"""No worker says so by itself: gRPC does, with whatever was raised as its message."""

NOBODY_LISTENS: Final = 499


class RequestRefused(Exception):
    """A request that is not passed on to a worker. The message is for the caller."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


def refuse(field: str, description: str) -> RequestRefused:
    """A field of the request that is not as it should be."""
    return RequestRefused(400, f"{field}: {description}")


async def answer_refused(_request: Request, error: Exception) -> Response:
    """What the routes refuse."""
    assert isinstance(error, RequestRefused)  # noqa: S101 -- starlette calls it for nothing else
    return describe_error(error.status, str(error), error.headers)


async def answer_backend(_request: Request, error: Exception) -> Response:
    """What a worker refuses."""
    assert isinstance(error, BackendRefused)  # noqa: S101
    message = FAULT if error.code == TRANSPORTS_OWN else str(error)
    return describe_error(STATUSES.get(error.code, 500), message)


async def answer_unavailable(_request: Request, error: Exception) -> Response:
    """What no worker takes."""
    return describe_error(503, str(error))


async def answer_gone(_request: Request, _error: Exception) -> Response:
    """To a caller that went away before its request was whole."""
    return Response(status_code=NOBODY_LISTENS)


async def answer_error(request: Request, error: Exception) -> Response:
    """What starlette itself refuses: an unknown path, a wrong method."""
    assert isinstance(error, HTTPException)  # noqa: S101
    message = f"{request.method} {request.scope['path']}: {error.detail}"
    return describe_error(error.status_code, message, error.headers)


async def answer_fault(_request: Request, _error: Exception) -> Response:
    """A fault of the server: the log has the traceback, the caller does not."""
    return describe_error(500, FAULT)


def describe_error(
    status: int, message: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The response; where it is worth it, it says when to come again."""
    retry = RETRY if status in RETRIED else {}
    return JSONResponse({"error": message}, status, headers={**retry, **(headers or {})})


HANDLERS: Final[Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]]] = {
    RequestRefused: answer_refused,
    BackendRefused: answer_backend,
    BackendUnavailable: answer_unavailable,
    ClientDisconnect: answer_gone,
    HTTPException: answer_error,
    Exception: answer_fault,
}

"""Domain errors to gRPC statuses with google.rpc details. The one table."""

from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from typing import Final

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from flatdense_server.errors import (
    DeadlineExpired,
    Draining,
    Forbidden,
    InferenceFailed,
    InvalidInput,
    LoadFailed,
    NoSignature,
    NotAllowed,
    NotFound,
    NotReady,
    QueueFull,
    RequestError,
    Unauthenticated,
)
from flatdense_server.request_id import HEADER

Metadata = tuple[tuple[str, str | bytes], ...]

PUSHBACK_KEY: Final = "grpc-retry-pushback-ms"

DETAILS_KEY: Final = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class Status:
    """How an RPC ends: what `ServicerContext.abort` wants."""

    code: grpc.StatusCode
    message: str
    metadata: Metadata


def field_violation(error: InvalidInput) -> error_details_pb2.BadRequest:
    """Names the tensor or field, what was expected and what came."""
    violation = error_details_pb2.BadRequest.FieldViolation(
        field=error.field, description=error.description
    )
    return error_details_pb2.BadRequest(field_violations=[violation])


def resource(error: NotFound) -> error_details_pb2.ResourceInfo:
    """Names what was looked for."""
    return error_details_pb2.ResourceInfo(
        resource_type=error.kind, resource_name=error.name, description=str(error)
    )


def retry(error: NotReady | Draining | QueueFull) -> error_details_pb2.RetryInfo:
    """Says when to come again."""
    delay = Duration()
    delay.FromMilliseconds(round(error.retry_after_s * 1000))
    return error_details_pb2.RetryInfo(retry_delay=delay)


STATUSES: Final[dict[type[RequestError], tuple[grpc.StatusCode, Callable[..., Message] | None]]] = {
    InvalidInput: (grpc.StatusCode.INVALID_ARGUMENT, field_violation),
    NotFound: (grpc.StatusCode.NOT_FOUND, resource),
    NoSignature: (grpc.StatusCode.FAILED_PRECONDITION, None),
    NotAllowed: (grpc.StatusCode.PERMISSION_DENIED, None),
    Unauthenticated: (grpc.StatusCode.UNAUTHENTICATED, None),
    Forbidden: (grpc.StatusCode.PERMISSION_DENIED, None),
    LoadFailed: (grpc.StatusCode.FAILED_PRECONDITION, None),
    NotReady: (grpc.StatusCode.UNAVAILABLE, retry),
    Draining: (grpc.StatusCode.UNAVAILABLE, retry),
    QueueFull: (grpc.StatusCode.RESOURCE_EXHAUSTED, retry),
    DeadlineExpired: (grpc.StatusCode.DEADLINE_EXCEEDED, None),
}
"""Code and detail of each error that is told to its caller. Any other is INTERNAL."""


def status_of(error: BaseException, request_id: str) -> Status:
    """The status that an exception ends its RPC with.

    An error that is not the caller's to know becomes INTERNAL with the request's id alone. Where
    the id is empty, add_request_id() is for whoever knows it later.
    """
    if isinstance(error, (CancelledError, GeneratorExit)):
        status = Status(grpc.StatusCode.CANCELLED, "the caller cancelled the request.", ())
        return name_status(status, request_id)
    for kind, (code, detail) in STATUSES.items():
        if isinstance(error, kind):
            status = make_status(code, str(error), detail and detail(error), pushback(error))
            return name_status(status, request_id)
    return make_status(
        grpc.StatusCode.INTERNAL,
        f"the server failed on this request; its log has the cause under id {request_id}.",
        error_details_pb2.RequestInfo(request_id=request_id),
        ((HEADER, request_id),),
    )


def name_status(status: Status, request_id: str) -> Status:
    """The status with the request's id, where there is one."""
    if not request_id:
        return status
    return replace(status, metadata=add_request_id(status.metadata, request_id))


def add_request_id(metadata: Metadata, request_id: str) -> Metadata:
    """An error's trailer with the request's id: among its details too, where it has some."""
    info = status_pb2.Status(details=[pack(error_details_pb2.RequestInfo(request_id=request_id))])
    # In protocol buffers, messages one behind the other are one, which has the details of both.
    more = info.SerializeToString()
    named = [
        (key, value + more) if key == DETAILS_KEY and isinstance(value, bytes) else (key, value)
        for key, value in metadata
    ]
    return (*named, (HEADER, request_id))


def is_unexpected(error: BaseException) -> bool:
    """Whether the log should have the traceback: a fault of the server, not of the request."""
    expected = (*STATUSES, InferenceFailed, CancelledError, GeneratorExit)
    return not isinstance(error, expected)


def pushback(error: BaseException) -> Metadata:
    """Tells the caller's own gRPC library when to retry, where the server is too busy."""
    if not isinstance(error, QueueFull):
        return ()
    return ((PUSHBACK_KEY, str(round(error.retry_after_s * 1000))),)


def make_status(
    code: grpc.StatusCode, message: str, detail: Message | None, metadata: Metadata
) -> Status:
    """A status that carries one google.rpc detail."""
    if detail is None:
        return Status(code, message, metadata)
    rich = status_pb2.Status(code=code.value[0], message=message, details=[pack(detail)])
    trailing = rpc_status.to_status(rich).trailing_metadata
    return Status(code, message, (*(trailing or ()), *metadata))


def pack(detail: Message) -> Any:
    """As statuses carry it."""
    packed = Any()
    packed.Pack(detail)
    return packed

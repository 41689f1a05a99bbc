"""The one table from domain errors to gRPC statuses, and what its details say."""

from concurrent.futures import CancelledError

import grpc
import pytest
from flatdense_server.edge.refusal import refusal_of
from flatdense_server.edge.status import STATUSES, Status, is_unexpected, status_of
from flatdense_server.errors import (
    DeadlineExpired,
    Draining,
    Forbidden,
    InferenceFailed,
    InvalidInput,
    NotFound,
    NotReady,
    QueueFull,
    RequestError,
    Unauthenticated,
)
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

INTERNAL_ON_PURPOSE = {InferenceFailed}

EXPECTED = [
    (InvalidInput("images", "too short"), grpc.StatusCode.INVALID_ARGUMENT),
    (NotFound("label", "canary", "no label"), grpc.StatusCode.NOT_FOUND),
    (NotReady("loading"), grpc.StatusCode.UNAVAILABLE),
    (Draining("stopping"), grpc.StatusCode.UNAVAILABLE),
    (QueueFull("busy"), grpc.StatusCode.RESOURCE_EXHAUSTED),
    (DeadlineExpired("late"), grpc.StatusCode.DEADLINE_EXCEEDED),
    (Unauthenticated("who?"), grpc.StatusCode.UNAUTHENTICATED),
    (Forbidden("no"), grpc.StatusCode.PERMISSION_DENIED),
    (InferenceFailed("engine"), grpc.StatusCode.INTERNAL),
    (CancelledError(), grpc.StatusCode.CANCELLED),
    (GeneratorExit(), grpc.StatusCode.CANCELLED),
    (ZeroDivisionError("secret"), grpc.StatusCode.INTERNAL),
]


def leaves(kind: type) -> set[type]:
    """The classes below one that have none below them."""
    below = kind.__subclasses__()
    return set().union(*map(leaves, below)) if below else {kind}


def detail(status: Status, kind: type[Message]) -> Message:
    """The status's one detail of a kind, as a client decodes it from the trailing metadata."""
    rich = status_pb2.Status.FromString(dict(status.metadata)["grpc-status-details-bin"])
    assert (rich.code, rich.message) == (status.code.value[0], status.message)
    (packed,) = [each for each in rich.details if each.Is(kind.DESCRIPTOR)]
    decoded = kind()
    assert packed.Unpack(decoded)
    return decoded


def test_every_domain_error_has_its_status() -> None:
    """Each leaf of the error tree is in the table, or internal on purpose."""
    assert leaves(RequestError) == STATUSES.keys() | INTERNAL_ON_PURPOSE
    assert not STATUSES.keys() & INTERNAL_ON_PURPOSE


@pytest.mark.parametrize(("error", "code"), EXPECTED, ids=lambda value: type(value).__name__)
def test_each_error_ends_in_its_code(error: BaseException, code: grpc.StatusCode) -> None:
    """The codes are those of the published interface."""
    assert status_of(error, "id").code is code


@pytest.mark.parametrize(
    "error", [error for error, _ in EXPECTED[:6]], ids=lambda e: type(e).__name__
)
def test_a_domain_error_tells_its_message(error: RequestError) -> None:
    """What the domain has to say reaches the caller unchanged."""
    assert status_of(error, "id").message == str(error)


def test_bad_input_names_the_field() -> None:
    """INVALID_ARGUMENT carries BadRequest with one violation: field and description."""
    status = status_of(InvalidInput("images", "expected 1 row"), "id")
    (violation,) = detail(status, error_details_pb2.BadRequest).field_violations
    assert (violation.field, violation.description) == ("images", "expected 1 row")


def test_what_was_not_found_is_named() -> None:
    """NOT_FOUND carries ResourceInfo: kind, name, and what is available."""
    info = detail(
        status_of(NotFound("version", "7", "there is 1"), "id"), error_details_pb2.ResourceInfo
    )
    assert (info.resource_type, info.resource_name) == ("version", "7")
    assert info.description == "there is 1"


@pytest.mark.parametrize("error", [NotReady("x"), Draining("x"), QueueFull("x")])
def test_what_may_be_tried_again_says_when(error: NotReady | Draining | QueueFull) -> None:
    """UNAVAILABLE and RESOURCE_EXHAUSTED carry RetryInfo with the error's own delay."""
    delay = detail(status_of(error, "id"), error_details_pb2.RetryInfo).retry_delay
    assert delay.ToTimedelta().total_seconds() == error.retry_after_s > 0


def test_only_a_full_queue_pushes_retries_back() -> None:
    """grpc-retry-pushback-ms, in whole milliseconds, goes with QueueFull and nothing else."""
    assert dict(status_of(QueueFull("x"), "id").metadata)["grpc-retry-pushback-ms"] == "100"
    for error, _ in EXPECTED:
        pushed = "grpc-retry-pushback-ms" in dict(status_of(error, "id").metadata)
        assert pushed == isinstance(error, QueueFull)


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("secret"), InferenceFailed("secret"), KeyboardInterrupt("secret")]
)
def test_an_internal_error_tells_nothing_but_an_id(error: BaseException) -> None:
    """INTERNAL has a fixed sentence and RequestInfo with the id; nothing of the error is in it."""
    status = status_of(error, "0123abcd")
    assert status.message == (
        "the server failed on this request; its log has the cause under id 0123abcd."
    )
    assert detail(status, error_details_pb2.RequestInfo).request_id == "0123abcd"
    assert "secret" not in repr(status)


@pytest.mark.parametrize(("error", "code"), EXPECTED, ids=lambda value: type(value).__name__)
def test_only_what_nobody_foresaw_is_logged_with_a_traceback(
    error: BaseException, code: grpc.StatusCode
) -> None:
    """Of all errors only the one outside the domain is unexpected."""
    assert is_unexpected(error) == isinstance(error, ZeroDivisionError)
    assert code is not grpc.StatusCode.OK


@pytest.mark.parametrize(("error", "_code"), EXPECTED)
def test_every_status_carries_the_request_id(error: BaseException, _code: grpc.StatusCode) -> None:
    """In its trailer; and in a detail, where there are details at all."""
    status = status_of(error, "r 1")
    trailers = dict(status.metadata)
    assert trailers["x-request-id"] == "r 1"
    if "grpc-status-details-bin" in trailers:
        assert detail(status, error_details_pb2.RequestInfo).request_id == "r 1"


@given(st.text("abc-", min_size=1, max_size=128))
def test_a_refusal_is_named_when_its_call_comes(request_id: str) -> None:
    """What is the same for all such calls is made once, and is whole with the id of each."""
    refusal = refusal_of(QueueFull("busy"))
    named = status_of(QueueFull("busy"), request_id)
    assert sorted(refusal.trailers(request_id)) == sorted(named.metadata)
    assert "x-request-id" not in dict(refusal.metadata)

"""From a gRPC status to the SDK's errors."""

import pytest
from flatdense_client import (
    DeadlineExceeded,
    FlatdenseError,
    InvalidInput,
    NotFound,
    Overloaded,
    PermissionDenied,
    ServerError,
    Unauthenticated,
    Unavailable,
    Violation,
)
from flatdense_client._core.status import error_of, read_refusal
from google.protobuf.any_pb2 import Any
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

EXPECTED = {
    StatusCode.INVALID_ARGUMENT: InvalidInput,
    StatusCode.NOT_FOUND: NotFound,
    StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    StatusCode.UNAVAILABLE: Unavailable,
    StatusCode.CANCELLED: Unavailable,
    StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    StatusCode.UNAUTHENTICATED: Unauthenticated,
    StatusCode.PERMISSION_DENIED: PermissionDenied,
}


def _error(
    code: StatusCode, text: str | None, trailers: tuple[tuple[str, str | bytes], ...] = ()
) -> FlatdenseError:
    return error_of(read_refusal(code, text, trailers, address="here:1", timeout_s=2.5))


def _details(*messages: object) -> tuple[tuple[str, bytes]]:
    status = status_pb2.Status()
    for message in messages:
        status.details.add().Pack(message)
    return (("grpc-status-details-bin", status.SerializeToString()),)


@pytest.mark.parametrize(
    "code", [c for c in StatusCode if c is not StatusCode.OK], ids=lambda code: code.name
)
@pytest.mark.parametrize("text", [None, "", "told so"])
def test_every_code_is_one_error(code: StatusCode, text: str | None) -> None:
    """Each code has its error, unknown ones are a ServerError, and none has an empty message."""
    error = _error(code, text)
    assert type(error) is EXPECTED.get(code, ServerError)
    assert str(error).strip()


def test_violations_are_read() -> None:
    """Each field violation is an attribute, and the message tells what it did not say itself."""
    violations = [
        error_details_pb2.BadRequest.FieldViolation(field="images", description="row 3 is NaN"),
        error_details_pb2.BadRequest.FieldViolation(field="model", description="has no name"),
    ]
    details = _details(error_details_pb2.BadRequest(field_violations=violations))
    error = _error(StatusCode.INVALID_ARGUMENT, "row 3 is NaN; expected 0..1", details)
    assert isinstance(error, InvalidInput)
    assert error.violations == (
        Violation("images", "row 3 is NaN"),
        Violation("model", "has no name"),
    )
    assert str(error) == "row 3 is NaN; expected 0..1 (model: has no name)"


@pytest.mark.parametrize("code", [StatusCode.RESOURCE_EXHAUSTED, StatusCode.UNAVAILABLE])
def test_the_wish_to_wait_is_read(code: StatusCode) -> None:
    """RetryInfo is an attribute in seconds, and in the message."""
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromMilliseconds(1250)
    error = _error(code, "the queue is full", _details(retry))
    assert isinstance(error, Overloaded | Unavailable)
    assert error.retry_after_s == 1.25
    assert "the queue is full (try again in 1.25 s)" in str(error)


@pytest.mark.parametrize(
    "trailers",
    [
        (("grpc-status-details-bin", b"\xff\xff\xff"),),
        (("grpc-status-details-bin", b""),),
        (("other-bin", b"\x01"), ("text", "value")),
        _details(),
        (
            (
                "grpc-status-details-bin",
                status_pb2.Status(
                    details=[
                        Any(type_url="type.googleapis.com/google.rpc.BadRequest", value=b"\xff"),
                        Any(type_url="type.googleapis.com/no.such.Type", value=b"x"),
                        Any(type_url="nonsense"),
                    ]
                ).SerializeToString(),
            ),
        ),
    ],
)
def test_damaged_details_are_left_out(trailers: tuple[tuple[str, str | bytes], ...]) -> None:
    """Details that cannot be read never hide the error itself."""
    error = _error(StatusCode.INVALID_ARGUMENT, "told so", trailers)
    assert isinstance(error, InvalidInput)
    assert str(error) == "told so"
    assert error.violations == ()


def test_a_message_above_the_limit_is_no_overload() -> None:
    """Bytes that gRPC itself refuses are not worth trying again."""
    text = "CLIENT: Received message larger than max (5000000 vs. 4194304)"
    error = _error(StatusCode.RESOURCE_EXHAUSTED, text)
    assert isinstance(error, InvalidInput)
    assert "lower rows_per_message" in str(error)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "last error: UNKNOWN: Failed to connect to remote host: Connection refused (111)",
            "nothing listens there",
        ),
        ("DNS resolution failed for nowhere:8500: C-ares status", "host name is not known"),
        (
            "connections to all backends failing; last error: Failed parsing HTTP/2",
            "not speak gRPC",
        ),
        ("last error: Trying to connect an http1.x server", "not speak gRPC"),
        ("connection attempt timed out before receiving SETTINGS frame", "does not answer"),
        ("failed to connect to all addresses; last error: No route to host", "No route to host;"),
        (
            "last error: ipv6:%5B::1%5D:1: Failed to connect to remote host: Connection refused",
            "nothing listens there (at [::1]:1)",
        ),
        ("last error: UNAVAILABLE: ipv4:127.0.0.1:1: backend unhealthy", "loading, or draining"),
        ("CERTIFICATE_VERIFY_FAILED: certificate has expired: OK", "its certificate has expired"),
        ("CERTIFICATE_VERIFY_FAILED: certificate is not yet valid: OK", "not valid yet"),
        ("CERTIFICATE_VERIFY_FAILED: unable to get local issuer certificate", "give that as ca"),
        ("CERTIFICATE_VERIFY_FAILED: self signed certificate", "give that as ca"),
        ("CERTIFICATE_VERIFY_FAILED: certificate revoked", "its certificate is not accepted"),
        ("UNAUTHENTICATED: Hostname Verification Check failed.", "give that as server_name"),
        ("OPENSSL_internal:WRONG_VERSION_NUMBER", "does not speak TLS; leave tls out"),
        ("Failed to create security handshaker.", "the key does not fit the certificate"),
        ("last error: UNAVAILABLE: Socket closed", "hangs up at once; it may speak TLS alone"),
    ],
)
def test_no_connection_says_what_to_check(text: str, told: str) -> None:
    """A connection that did not come about names the address and the likely reason."""
    error = _error(StatusCode.UNAVAILABLE, text)
    assert str(error).startswith("here:1 cannot be reached")
    assert told in str(error)


@pytest.mark.parametrize("code", [StatusCode.INTERNAL, StatusCode.NOT_FOUND])
def test_an_error_has_the_servers_id_of_the_call(code: StatusCode) -> None:
    """Under which the server's log knows it; none where no server sent one."""
    assert _error(code, "no", (("x-request-id", "seven"),)).request_id == "seven"
    assert _error(code, "no").request_id is None

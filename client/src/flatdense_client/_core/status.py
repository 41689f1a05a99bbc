"""From a gRPC status to the SDK's errors: one table, and the details that come in a trailer."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar
from urllib.parse import unquote

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from flatdense_client._errors import (
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

Security = Literal["plain", "tls", "mutual"]
"""Of a connection: not encrypted, encrypted, or encrypted with a certificate of the client too."""

Trailers = Iterable[tuple[str, str | bytes]]
Detail = TypeVar("Detail", bound=Message)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A status other than OK, as it came, with its details read."""

    address: str
    timeout_s: float
    """The caller's, of the whole call: for the message of a deadline."""
    code: StatusCode
    text: str
    security: Security = "plain"
    """Of the connection: what the other side may have against it."""
    violations: tuple[Violation, ...] = ()
    retry_after_s: float | None = None
    request_id: str | None = None


def read_refusal(  # what gRPC tells, and what only the client knows
    code: StatusCode,
    text: str | None,
    trailers: Trailers | None,
    *,
    address: str,
    timeout_s: float,
    security: Security = "plain",
) -> Refusal:
    """Reads `grpc-status-details-bin`. Details that are missing or damaged are left out."""
    told = list(trailers or ())
    details = _read_details(told)
    return Refusal(
        address=address,
        timeout_s=timeout_s,
        code=code,
        text=(text or "").strip(),
        security=security,
        violations=_read_violations(details),
        retry_after_s=_read_retry_after_s(details),
        request_id=next((str(value) for key, value in told if key == "x-request-id"), None),
    )


def error_of(refusal: Refusal) -> FlatdenseError:
    """The one error that a refusal means. Codes that have no row in the table are a ServerError."""
    error = ERRORS.get(refusal.code, _server_error)(refusal)
    error.request_id = refusal.request_id
    return error


def _invalid_input(refusal: Refusal) -> FlatdenseError:
    message = refusal.text or "the server refused the request as invalid"
    untold = [v for v in refusal.violations if v.description not in message]
    told = "; ".join(f"{v.field}: {v.description}" for v in untold)
    return InvalidInput(f"{message} ({told})" if told else message, refusal.violations)


def _overloaded(refusal: Refusal) -> FlatdenseError:
    if "larger than max" in refusal.text:  # gRPC itself refused the bytes: waiting does not help
        return InvalidInput(
            f"{refusal.address} takes no message of this size ({refusal.text}): "
            "lower rows_per_message"
        )
    return Overloaded(
        f"{refusal.address} is overloaded{_because(refusal)}{_wait(refusal)}", refusal.retry_after_s
    )


def _unavailable(refusal: Refusal) -> FlatdenseError:
    trouble = connection_trouble(refusal)
    if trouble is not None and refusal.retry_after_s is None:
        return Unavailable(f"{refusal.address} cannot be reached: {trouble}")
    return Unavailable(
        f"{refusal.address} is not available{_because(refusal)}{_wait(refusal)}",
        refusal.retry_after_s,
    )


def _deadline_exceeded(refusal: Refusal) -> FlatdenseError:
    return DeadlineExceeded(late(refusal.address, refusal.timeout_s))


def _server_error(refusal: Refusal) -> FlatdenseError:
    return ServerError(f"{refusal.address} failed with {refusal.code.name}{_because(refusal)}")


def _unimplemented(refusal: Refusal) -> FlatdenseError:
    return ServerError(
        f"{refusal.address} answers, but not as a flatdense server{_because(refusal)}: "
        "check the address and that its version fits this client's"
    )


def garbled(address: str) -> FlatdenseError:
    """An answer that is no message: grpc.aio gives None for it."""
    return ServerError(
        f"{address} answered with bytes that are no answer: check the address and that its version "
        "fits this client's"
    )


def cut_off(address: str) -> FlatdenseError:
    """A call that ended and that nobody here cancelled: gRPC's servers do so when they stop."""
    return Unavailable(f"{address} cut the call off: it is probably stopping. Try again")


ERRORS: dict[StatusCode, Callable[[Refusal], FlatdenseError]] = {
    StatusCode.INVALID_ARGUMENT: _invalid_input,
    StatusCode.NOT_FOUND: lambda refusal: NotFound(
        refusal.text or f"{refusal.address} has no such model, version or label"
    ),
    StatusCode.RESOURCE_EXHAUSTED: _overloaded,
    StatusCode.UNAVAILABLE: _unavailable,
    StatusCode.CANCELLED: lambda refusal: cut_off(refusal.address),
    StatusCode.DEADLINE_EXCEEDED: _deadline_exceeded,
    StatusCode.UNAUTHENTICATED: lambda refusal: Unauthenticated(
        f"{refusal.address} wants a valid credential{_because(refusal)}"
    ),
    StatusCode.PERMISSION_DENIED: lambda refusal: PermissionDenied(
        f"{refusal.address} does not allow this{_because(refusal)}"
    ),
    StatusCode.UNIMPLEMENTED: _unimplemented,
}


def late(address: str, timeout_s: float) -> str:
    """The message of a deadline."""
    return (
        f"no complete answer from {address} within {timeout_s:g} s: "
        "the server is busy or cannot be reached, or timeout_s is too short"
    )


def connection_trouble(refusal: Refusal) -> str | None:
    """Why no connection came about, and what to check; None where the server itself spoke.

    gRPC tells this in prose alone, which changes between its versions: where a phrase is not known,
    its words are passed on.
    """
    text = refusal.text
    checks = "check the address, and that flatdense-server runs there"
    if "Connection refused" in text:
        where = _refused_at(refusal)
        return f"nothing listens there{where}; {checks} (gRPC listens on 8500 by default)"
    if "HTTP/2" in text or "http1" in text.lower():
        return "what listens there does not speak gRPC; the gRPC port is 8500 by default"
    if "before receiving SETTINGS" in text:
        return f"what listens there does not answer; {checks}"
    if re.search(r"DNS|resolving|lookup", text):
        return "the host name is not known; check the address"
    if "backend unhealthy" in text:
        return "no server there takes calls now: each is loading, or draining"
    if (trouble := _handshake_trouble(text, refusal.security)) is not None:
        return trouble
    if re.search(r"failed to connect|connections to all backends", text, re.IGNORECASE):
        return f"{text.rpartition('last error: ')[2]}; {checks}"
    return None


_CERTIFICATE_TROUBLES = (
    ("certificate has expired", "its certificate has expired"),
    ("certificate is not yet valid", "its certificate is not valid yet; check the clocks"),
    (
        r"issuer certificate|self.signed certificate",
        "its certificate is of an authority that is not trusted here; give that as ca",
    ),
    ("Hostname Verification", "its certificate is for another name; give that as server_name"),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not accepted"),
    ("WRONG_VERSION_NUMBER", "what listens there does not speak TLS; leave tls out"),
    ("security handshaker", "the key does not fit the certificate, or one of them is damaged"),
)

_CUT_SHORT: dict[Security, str] = {
    "plain": "; it may speak TLS alone: give tls",
    "tls": "; it may want a certificate of this client: give certificate and key",
    "mutual": "; it may not accept this client's certificate",
}


def _handshake_trouble(text: str, security: Security) -> str | None:
    """Why two sides that reached each other do not get along; None where it is not known."""
    for pattern, trouble in _CERTIFICATE_TROUBLES:
        if re.search(pattern, text):
            return trouble
    if re.search(r"last error: .*(Socket closed|Connection reset)", text, re.DOTALL):
        return f"what listens there hangs up at once{_CUT_SHORT[security]}"
    return None


def _refused_at(refusal: Refusal) -> str:
    """Of the addresses behind a name gRPC tells of one alone: another may have failed otherwise."""
    match = re.search(r"ipv[46]:(\S+): Failed to connect[^;]*Connection refused", refusal.text)
    where = unquote(match[1]) if match else refusal.address
    return "" if where in refusal.address else f" (at {where})"


def _because(refusal: Refusal) -> str:
    return f": {refusal.text}" if refusal.text else ""


def _wait(refusal: Refusal) -> str:
    if refusal.retry_after_s is None:
        return ""
    return f" (try again in {refusal.retry_after_s:g} s)"


def _read_details(trailers: Trailers) -> list[AnyMessage]:
    for key, value in trailers:
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            try:
                return list(status_pb2.Status.FromString(value).details)
            except DecodeError:
                return []
    return []


def _read_violations(details: list[AnyMessage]) -> tuple[Violation, ...]:
    return tuple(
        Violation(violation.field, violation.description)
        for bad_request in _unpack(details, error_details_pb2.BadRequest)
        for violation in bad_request.field_violations
    )


def _read_retry_after_s(details: list[AnyMessage]) -> float | None:
    for retry in _unpack(details, error_details_pb2.RetryInfo):
        return float(retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9)
    return None


def _unpack(details: list[AnyMessage], kind: type[Detail]) -> Iterator[Detail]:
    for detail in details:
        if detail.TypeName() == kind.DESCRIPTOR.full_name:
            try:
                yield kind.FromString(detail.value)
            except DecodeError:
                continue

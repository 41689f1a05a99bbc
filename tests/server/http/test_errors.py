"""gRPC's statuses as HTTP's."""

from typing import Any

import grpc
import httpx
import pytest
from flatdense_server.http.errors import STATUSES

EXPECTED = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


def test_every_status_of_grpc_has_one_of_http() -> None:
    """The table leaves none out."""
    assert STATUSES.keys() == {code.name for code in grpc.StatusCode} - {"OK"}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_refusal_has_the_status_and_the_workers_sentence(
    client: httpx.Client, replies: dict[str, Any], name: str
) -> None:
    """Retry-After is where the same request may be answered later."""
    replies["ServerMetadata"] = (grpc.StatusCode[name], "expected this, got that.")
    answer = client.get("/v2")
    assert answer.status_code == EXPECTED[name]
    assert answer.json() == {"error": "expected this, got that."}
    assert ("retry-after" in answer.headers) is (answer.status_code in {429, 503})


def test_what_a_worker_raised_is_not_told(client: httpx.Client, replies: dict[str, Any]) -> None:
    """The caller gets a fixed sentence, where gRPC would send the exception's message."""

    def fail(_request: bytes) -> None:
        """Not a refusal."""
        raise LookupError("secret")

    replies["ServerMetadata"] = fail
    answer = client.get("/v2")
    assert answer.status_code == 500
    assert answer.json() == {"error": "the server failed; its log has the cause."}


def test_an_answer_that_is_none_is_a_fault(client: httpx.Client, replies: dict[str, Any]) -> None:
    """It is not passed on half understood."""

    class Broken:
        """No message of the protocol."""

        def SerializeToString(self) -> bytes:  # noqa: N802
            """See Message."""
            return b"\xff\xff"

    replies["ServerMetadata"] = lambda _request: Broken()
    answer = client.get("/v2")
    assert answer.status_code == 500
    assert answer.json() == {"error": "the server failed; its log has the cause."}

"""The workers, as the HTTP routes see them: turns, ends, refusals, deadlines."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import grpc
import httpx
import pytest
from flatdense_proto.twin import inference_pb2 as pb
from flatdense_server.http.backend import Backend, BackendRefused, BackendUnavailable

METHOD = "/inference.GRPCInferenceService/ServerLive"
LIVE = pb.ServerLiveResponse(live=True)
GONE = "unix:/nowhere/worker"


def ask(backend: Backend, message: bytes = b"", **options: float) -> bytes:
    """One call, on a loop of its own."""
    return asyncio.run(backend.call(METHOD, message, **options))


def test_bytes_go_to_the_method_and_come_back(
    backend: Backend, replies: dict[str, Any], asked: list[tuple[str, bytes]]
) -> None:
    """Unchanged, in both directions."""
    replies["ServerLive"] = LIVE
    assert ask(backend, b"\x0a\x01x") == LIVE.SerializeToString()
    assert asked == [(METHOD, b"\x0a\x01x")]


def test_a_worker_that_is_gone_is_passed_over(address: str, replies: dict[str, Any]) -> None:
    """Whoever's turn it is: each call is answered."""
    replies["ServerLive"] = LIVE
    with Backend("mnist", lambda: [GONE, address, GONE]) as backend:
        assert {ask(backend) for _ in range(6)} == {LIVE.SerializeToString()}


def test_workers_take_turns() -> None:
    """Each is the first to be asked as often as the others."""
    with Backend("mnist", lambda: ["a", "b", "c"]) as backend:
        orders = ["".join(backend._order_addresses()) for _ in range(6)]
    assert orders == ["abc", "bca", "cab"] * 2


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code.value[0]])
def test_a_refusal_is_the_workers_and_is_not_repeated(
    address: str, replies: dict[str, Any], asked: list[tuple[str, bytes]], code: grpc.StatusCode
) -> None:
    """Its code and its message; only one that ends is followed by another worker."""
    replies["ServerLive"] = (code, "because")
    with Backend("mnist", lambda: [address, address]) as backend:
        if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
            with pytest.raises(BackendUnavailable, match=r"^because$"):
                ask(backend)
            assert len(asked) == 2
        else:
            with pytest.raises(BackendRefused, match=r"^because$") as refused:
                ask(backend)
            assert refused.value.code == code.name
            assert len(asked) == 1


def test_where_there_is_no_worker_the_message_says_why() -> None:
    """They load, or the server stops."""
    for draining, reason in ((False, "still loading"), (True, "stopping")):
        with (
            Backend("mnist", list, lambda now=draining: now) as backend,
            pytest.raises(BackendUnavailable, match=reason),
        ):
            ask(backend)


def test_a_worker_that_does_not_answer_is_not_waited_for(
    backend: Backend, replies: dict[str, Any]
) -> None:
    """The deadline ends the call, and the loop was free all the while."""
    done = threading.Event()

    def hang(_request: bytes) -> pb.ServerLiveResponse:
        """Until the test is over."""
        done.wait(30)
        return LIVE

    replies["ServerLive"] = hang

    async def ask_and_count() -> int:
        """Turns of the loop while the call is under way."""
        call = asyncio.ensure_future(backend.call(METHOD, b"", 0.2))
        turns = 0
        while not call.done():
            await asyncio.sleep(0)
            turns += 1
        with pytest.raises(BackendRefused) as refused:
            call.result()
        assert refused.value.code == "DEADLINE_EXCEEDED"
        return turns

    try:
        assert asyncio.run(ask_and_count()) > 10
    finally:
        done.set()


def test_a_call_that_is_given_up_is_cancelled_at_the_worker(
    backend: Backend, replies: dict[str, Any]
) -> None:
    """Nothing goes on for a caller that went away."""
    began, ended = threading.Event(), threading.Event()

    def hang(_request: bytes) -> pb.ServerLiveResponse:
        """Until it is let go."""
        began.set()
        ended.wait(30)
        return LIVE

    replies["ServerLive"] = hang

    async def give_up() -> None:
        """Once the worker has the call."""
        call = asyncio.ensure_future(backend.call(METHOD, b""))
        await asyncio.to_thread(began.wait, 30)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    try:
        asyncio.run(give_up())
    finally:
        ended.set()


def test_no_worker_is_503_and_says_when_to_come_again(
    open_client: Callable[[Backend], httpx.Client],
) -> None:
    """With Retry-After, for each route that asks a worker."""
    with Backend("mnist", list) as backend:
        client = open_client(backend)
        for method, path in (
            ("GET", "/v2"),
            ("GET", "/v2/health/ready"),
            ("GET", "/v2/models/mnist"),
            ("POST", "/v2/models/mnist/infer"),
            ("POST", "/v1/models/mnist:predict"),
            ("GET", "/v1/models/mnist"),
        ):
            body = {"inputs": []} if "infer" in path else {"instances": [[1]]}
            answer = client.request(method, path, json=body if method == "POST" else None)
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
            assert "still loading" in answer.json()["error"]

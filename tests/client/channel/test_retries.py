"""Calls that end with UNAVAILABLE are tried again, and when that stops."""

import asyncio
import threading
import time
from collections.abc import Callable

import grpc
import numpy as np
import pytest
from flatdense_client import AsyncClient, Client, FlatdenseError, Unavailable
from flatdense_client._channel.channel import RETRY_TOKENS
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierServicer

Serve = Callable[[ClassifierServicer], str]

IMAGE = np.zeros((28, 28), np.uint8)


class Refuses(ClassifierServicer):
    """Refuses the first so many messages, and notes when each came."""

    def __init__(
        self,
        times: int,
        code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE,
        push_back: str | None = None,
    ) -> None:
        self._times = times
        self._code = code
        self._push_back = push_back
        self._lock = threading.Lock()
        self.came_s: list[float] = []

    def Classify(  # noqa: N802  # gRPC's name
        self, request: pb.ClassifyRequest, context: grpc.ServicerContext
    ) -> pb.ClassifyResponse:
        """One row."""
        del request
        with self._lock:
            self.came_s.append(time.monotonic())
            is_refused = len(self.came_s) <= self._times
        if is_refused:
            if self._push_back is not None:
                context.set_trailing_metadata((("grpc-retry-pushback-ms", self._push_back),))
            context.abort(self._code, "not now")
        probabilities = np.eye(10, dtype="<f4")[7].tobytes()
        return pb.ClassifyResponse(probabilities=probabilities, classes=[7], model_version=1)

    def GetModel(  # noqa: N802  # gRPC's name
        self, request: pb.GetModelRequest, context: grpc.ServicerContext
    ) -> pb.GetModelResponse:
        """Of no interest."""
        del context
        return pb.GetModelResponse(version=request.model.version)


def test_two_refusals_are_not_seen(serve: Serve) -> None:
    """The third attempt counts."""
    refuses = Refuses(2)
    with Client(serve(refuses)) as client:
        assert client.classify(IMAGE)[0].label == "7"
    assert len(refuses.came_s) == 3


def test_three_refusals_are_an_error(serve: Serve) -> None:
    """There is no fourth attempt."""
    refuses = Refuses(1000)
    with Client(serve(refuses)) as client, pytest.raises(Unavailable, match="not now"):
        client.classify(IMAGE)
    assert len(refuses.came_s) == 3


@pytest.mark.parametrize(
    "code",
    [
        code
        for code in grpc.StatusCode
        if code not in {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
    ],
    ids=lambda code: code.name,
)
def test_nothing_else_is_tried_again(serve: Serve, code: grpc.StatusCode) -> None:
    """RESOURCE_EXHAUSTED above all: an overloaded server is not helped by more calls."""
    refuses = Refuses(1000, code)
    with Client(serve(refuses)) as client, pytest.raises(FlatdenseError):
        client.classify(IMAGE)
    assert len(refuses.came_s) == 1


def test_a_server_may_ask_for_time(serve: Serve) -> None:
    """`grpc-retry-pushback-ms` is waited for before the next attempt."""
    refuses = Refuses(1, push_back="700")
    with Client(serve(refuses)) as client:
        assert client.classify(IMAGE)[0].label == "7"
    first_s, second_s = refuses.came_s
    assert second_s - first_s >= 0.7  # by itself it would be 0.12 s at most


def test_a_server_may_ask_for_no_more(serve: Serve) -> None:
    """A negative push-back ends the attempts."""
    refuses = Refuses(1000, push_back="-1")
    with Client(serve(refuses)) as client, pytest.raises(Unavailable):
        client.classify(IMAGE)
    assert len(refuses.came_s) == 1


def test_while_most_calls_fail_nothing_is_tried_again(serve: Serve) -> None:
    """A sick server gets one attempt for each call after the first few hundred."""
    refuses = Refuses(10_000, push_back="1")
    with Client(serve(refuses)) as client:
        attempts = []
        for _ in range(RETRY_TOKENS):
            before = len(refuses.came_s)
            with pytest.raises(Unavailable):
                client.classify(IMAGE)
            attempts.append(len(refuses.came_s) - before)
            if attempts[-6:] == [1] * 6:
                break
    assert attempts[0] == 3
    assert attempts[-6:] == [1] * 6


def test_all_calls_of_one_lost_connection_are_tried_again(serve: Serve) -> None:
    """Hundreds that fail in the same moment are answered, every one."""
    refuses = Refuses(400)

    async def _law() -> None:
        async with AsyncClient(serve(refuses), coalesce=False) as client:
            said = await asyncio.gather(*(client.classify(IMAGE) for _ in range(400)))
        assert {predictions[0].label for predictions in said} == {"7"}

    asyncio.run(_law())
    assert len(refuses.came_s) == 800


def test_attempts_end_with_the_deadline(serve: Serve) -> None:
    """A push-back beyond the deadline is not waited for."""
    refuses = Refuses(1000, push_back="60000")
    with Client(serve(refuses)) as client, pytest.raises(FlatdenseError):
        client.classify(IMAGE, timeout_s=0.5)
    assert len(refuses.came_s) == 1

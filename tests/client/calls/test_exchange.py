"""Streams against a real server."""

import math
import threading
from collections.abc import Callable, Iterator

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import (
    Client,
    Closed,
    DeadlineExceeded,
    InvalidInput,
    ServerError,
    Unauthenticated,
)
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierServicer

Serve = Callable[[ClassifierServicer], str]
Probabilities = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
Answer = Callable[
    [Iterator[pb.ClassifyRequest], grpc.ServicerContext], Iterator[pb.ClassifyResponse]
]

IMAGE = np.zeros((28, 28), np.uint8)


class Streams(ClassifierServicer):
    """Answers every ClassifyStream by a function."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def ClassifyStream(  # noqa: N802  # gRPC's name
        self, request_iterator: Iterator[pb.ClassifyRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ClassifyResponse]:
        """One stream."""
        return self._answer(request_iterator, context)

    def GetModel(  # noqa: N802  # gRPC's name
        self, request: pb.GetModelRequest, context: grpc.ServicerContext
    ) -> pb.GetModelResponse:
        """No names."""
        del context
        return pb.GetModelResponse(version=request.model.version)


def _one_row() -> pb.ClassifyResponse:
    return pb.ClassifyResponse(probabilities=np.eye(10, dtype="<f4")[7].tobytes(), classes=[7])


def test_answers_come_in_order(address: str, probabilities_of: Probabilities) -> None:
    """Arrays of any size, cut or not, each get their own predictions in their own order."""
    rng = np.random.default_rng(0)
    arrays = [rng.random((rows, 784), np.float32) for rows in (1, 9, 2, 3, 30, 1)]
    with Client(address, rows_per_message=3, messages_in_flight=2) as client:
        answers = list(client.classify_stream(iter(arrays)))
    assert len(answers) == len(arrays)
    for array, answer in zip(arrays, answers, strict=True):
        assert np.allclose(answer.probabilities, probabilities_of(array), atol=1e-6)


def test_an_empty_stream_ends(address: str) -> None:
    """No arrays give no predictions."""
    with Client(address) as client:
        assert list(client.classify_stream([])) == []


def test_a_slow_caller_slows_the_arrays_down(address: str) -> None:
    """Without end of arrays, no more are read than taken and in flight."""
    read: list[int] = []

    def endless() -> Iterator[npt.NDArray[np.uint8]]:
        while True:
            read.append(len(read))
            yield IMAGE

    with Client(address, messages_in_flight=3) as client:
        stream = client.classify_stream(endless())
        for taken in range(1, 20):
            next(stream)
            assert len(read) <= taken + 3
        stream.close()


def test_what_the_arrays_raise_comes_after_the_answers(address: str) -> None:
    """An error of the caller's own iterable reaches the caller as it is, after what came before."""

    def broken() -> Iterator[npt.NDArray[np.uint8]]:
        yield IMAGE
        yield IMAGE
        raise LookupError("the camera is gone")

    with Client(address) as client:
        stream = client.classify_stream(broken())
        assert len(next(stream)) == 1
        assert len(next(stream)) == 1
        with pytest.raises(LookupError, match="the camera is gone"):
            next(stream)


def test_a_bad_array_comes_after_the_answers(address: str) -> None:
    """An array that is no image ends the stream with InvalidInput after the predictions before."""
    with Client(address) as client:
        stream = client.classify_stream([IMAGE, np.full((28, 28), 254.0)])
        assert len(next(stream)) == 1
        with pytest.raises(InvalidInput, match=r"row 0 has the value 254\.0"):
            next(stream)


def test_a_refusal_ends_the_stream_with_its_error(serve: Serve) -> None:
    """The server's error is typed, after the answers before it."""

    def answer(
        requests: Iterator[pb.ClassifyRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ClassifyResponse]:
        next(requests)
        yield _one_row()
        next(requests)
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token ran out")

    with Client(serve(Streams(answer))) as client:
        stream = client.classify_stream([IMAGE] * 9)
        assert next(stream)[0].class_index == 7
        with pytest.raises(Unauthenticated, match="the token ran out"):
            next(stream)


def test_a_silent_server_is_a_deadline(serve: Serve) -> None:
    """An answer that is due and does not come is DeadlineExceeded, and the call is cancelled."""
    cancelled = threading.Event()

    def answer(
        requests: Iterator[pb.ClassifyRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ClassifyResponse]:
        context.add_callback(cancelled.set)
        next(requests)
        yield _one_row()
        cancelled.wait(60)

    with Client(serve(Streams(answer))) as client:
        stream = client.classify_stream([IMAGE, IMAGE], timeout_s=2)
        next(stream)
        with pytest.raises(DeadlineExceeded, match=r"within 2 s"):
            next(stream)
        assert cancelled.wait(30)


def test_slow_arrays_are_no_deadline(address: str) -> None:
    """While no answer is due, the arrays may take longer than the timeout."""
    never = threading.Event()

    def slow() -> Iterator[npt.NDArray[np.uint8]]:
        yield IMAGE
        never.wait(1.5)
        yield IMAGE

    with Client(address) as client:
        list(client.classify_stream([IMAGE]))  # connected, and the names known
        assert len(list(client.classify_stream(slow(), timeout_s=1))) == 2


@pytest.mark.parametrize(("answers", "told"), [(0, "unanswered"), (2, "never sent")])
def test_a_server_that_miscounts_is_the_servers_error(
    serve: Serve, answers: int, told: str
) -> None:
    """Too few or too many answers are never taken for predictions."""

    def answer(
        requests: Iterator[pb.ClassifyRequest], _context: grpc.ServicerContext
    ) -> Iterator[pb.ClassifyResponse]:
        for _ in requests:
            yield from [_one_row()] * answers

    with Client(serve(Streams(answer))) as client, pytest.raises(ServerError, match=told):
        list(client.classify_stream([IMAGE]))


def test_leaving_the_stream_cancels_the_call(serve: Serve) -> None:
    """A caller that stops early leaves nothing running on the server or in the arrays."""
    cancelled = threading.Event()

    def answer(
        requests: Iterator[pb.ClassifyRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ClassifyResponse]:
        context.add_callback(cancelled.set)
        for _ in requests:
            yield _one_row()

    with Client(serve(Streams(answer))) as client:
        for _ in client.classify_stream(IMAGE for _ in iter(int, 1)):
            break
        assert cancelled.wait(30)


def test_closing_the_client_ends_its_streams(address: str) -> None:
    """A stream of a client that was closed raises Closed."""
    client = Client(address)
    stream = client.classify_stream((IMAGE for _ in iter(int, 1)), timeout_s=math.inf)
    next(stream)
    client.close()
    with pytest.raises(Closed):
        for _ in stream:
            pass

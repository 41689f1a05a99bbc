"""What callers are told while a call goes on."""

import asyncio
import threading
from collections.abc import Callable

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import AsyncClient, Client
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierServicer

Serve = Callable[[ClassifierServicer], str]
Progress = Callable[[int, int], object]
Call = Callable[[str, str, int, Progress], None]


def _images(rows: int) -> npt.NDArray[np.float32]:
    """Ink in the first image alone."""
    images = np.zeros((rows, 784), np.float32)
    images[0, 0] = 1
    return images


def _by_client(address: str, method: str, rows: int, progress: Progress) -> None:
    with Client(address, rows_per_message=4, messages_in_flight=2, coalesce=True) as client:
        getattr(client, method)(_images(rows), timeout_s=600, progress=progress)


def _by_async_client(address: str, method: str, rows: int, progress: Progress) -> None:
    async def _call() -> None:
        options = {"rows_per_message": 4, "messages_in_flight": 2}
        async with AsyncClient(address, **options) as client:
            await getattr(client, method)(_images(rows), timeout_s=600, progress=progress)

    asyncio.run(_call())


BOTH = pytest.mark.parametrize("call", [_by_client, _by_async_client])


@BOTH
@pytest.mark.parametrize("method", ["classify", "explain"])
@pytest.mark.parametrize(
    ("rows", "expected"), [(10, [4, 8, 10]), (8, [4, 8]), (3, [3]), (1, [1]), (70, None)]
)
def test_progress_follows_each_message(
    address: str, call: Call, method: str, rows: int, expected: list[int] | None
) -> None:
    """After each message the rows by then and in all are told, on the caller's thread."""
    told: list[tuple[int, int]] = []
    threads: set[int] = set()

    def progress(answered: int, total: int) -> None:
        told.append((answered, total))
        threads.add(threading.get_ident())

    call(address, method, rows, progress)
    assert threads == {threading.get_ident()}
    assert told == [(by_then, rows) for by_then in expected or [*range(4, rows, 4), rows]]


class Holds(ClassifierServicer):
    """Answers the message with ink, once there is another, and holds the others."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.cancelled = threading.Event()

    def Classify(  # noqa: N802  # gRPC's name
        self, request: pb.ClassifyRequest, context: grpc.ServicerContext
    ) -> pb.ClassifyResponse:
        """One message."""
        if any(request.images):
            self.entered.wait(60)
        else:
            context.add_callback(self.cancelled.set)
            self.entered.set()
            self.cancelled.wait(60)
        rows = len(request.images) // 3136
        return pb.ClassifyResponse(probabilities=bytes(rows * 40), classes=[0] * rows)


@BOTH
def test_what_progress_raises_ends_the_call(serve: Serve, call: Call) -> None:
    """The caller's own error arrives as it is, and the messages under way are cancelled."""
    holds = Holds()

    def progress(_answered: int, _total: int) -> None:
        raise LookupError("the window is gone")

    with pytest.raises(LookupError, match="the window is gone"):
        call(serve(holds), "classify", 90, progress)
    assert holds.cancelled.wait(30)

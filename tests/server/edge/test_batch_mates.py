"""Calls that share a batch on the standard lane: none of them can hurt another.

tests/server/edge/test_express.py has the same laws of the express lane.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue

import grpc
import numpy as np
import pytest
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from flatdense_server.batching.queue import QueueLimits
from flatdense_server.edge.server import LaneChoice
from flatdense_server.models.servable import Servable
from flatdense_server.tensors import FLOAT32, Outputs, Rows
from google.protobuf.message import Message
from google.rpc import error_details_pb2

RequestOf = Callable[..., pb.ClassifyRequest]
CheckAnswer = Callable[[pb.ClassifyResponse, Rows], None]
Submissions = SimpleQueue[Future[Outputs]]

ROOMY = QueueLimits(max_rows=1000, max_tasks=1000)


@pytest.fixture
def lane() -> LaneChoice:
    """The one whose queue can be watched."""
    return "standard"


class Mates:
    """Calls that gather behind a batch that is held inside the engine."""

    def __init__(
        self, stub: ClassifierStub, request_of: RequestOf, submissions: Submissions
    ) -> None:
        self._stub, self._request_of, self._submissions = stub, request_of, submissions
        self._calls: list[grpc.Future] = []  # grpc cancels a call that nobody holds

    def queue(self, rows: Rows, **options: float) -> tuple[grpc.Future, Future[Outputs]]:
        """Sends one call; comes back when its rows are in the queue."""
        call = self._stub.Classify.future(self._request_of(rows), **options)
        self._calls.append(call)
        return call, self._submissions.get()

    def refusal(self, rows: Rows) -> grpc.RpcError:
        """The error that a call ends with, while the engine is held."""
        with pytest.raises(grpc.RpcError) as caught:
            self._stub.Classify(self._request_of(rows))
        return caught.value


@pytest.fixture
def hold(
    stub: ClassifierStub,
    publish: Callable[..., None],
    make_servable: Callable[..., Servable],
    request_of: RequestOf,
    submissions: Submissions,
    draw_rows: Callable[..., Rows],
    gate: threading.Event,
    running: threading.Semaphore,
) -> Callable[[QueueLimits], Mates]:
    """Serves with these limits; the engine is inside a batch of one row until gate.set()."""

    def begin(limits: QueueLimits) -> Mates:
        """Holds the engine."""
        publish(make_servable(limits=limits))
        gate.clear()
        mates = Mates(stub, request_of, submissions)
        mates.queue(draw_rows(1, seed=1234))
        running.acquire()
        return mates

    return begin


@pytest.fixture
def mates(hold: Callable[[QueueLimits], Mates]) -> Mates:
    """Calls behind a held engine, with room in the queue."""
    return hold(ROOMY)


def end_of(future: Future[Outputs]) -> threading.Event:
    """Set once a future has any outcome, being cancelled included."""
    ended = threading.Event()
    future.add_done_callback(lambda _future: ended.set())
    return ended


def test_a_bad_request_does_not_hurt_its_batch_mates(
    mates: Mates,
    check_answer: CheckAnswer,
    draw_rows: Callable[..., Rows],
    gate: threading.Event,
    batches: list[Rows],
) -> None:
    """Good, bad, good: the bad one is refused before any queue, the good ones share a batch."""
    rows = [draw_rows(2, FLOAT32, seed=1), draw_rows(3, FLOAT32, seed=2)]
    first, _ = mates.queue(rows[0])
    bad = draw_rows(1, FLOAT32, seed=3)
    bad[0, 7] = np.nan
    error = mates.refusal(bad)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "row 0, value 7 is nan" in error.details()
    second, _ = mates.queue(rows[1])
    gate.set()
    check_answer(first.result(), rows[0])
    check_answer(second.result(), rows[1])
    assert [len(batch) for batch in batches] == [1, 5]


@pytest.mark.parametrize("lost", range(4))
def test_with_one_of_four_callers_cancelled_the_other_three_get_their_own_answers(
    mates: Mates,
    check_answer: CheckAnswer,
    draw_rows: Callable[..., Rows],
    gate: threading.Event,
    batches: list[Rows],
    lost: int,
) -> None:
    """Whichever caller hangs up, its rows leave the queue and its mates are answered."""
    rows = [draw_rows(1, seed=seed) for seed in range(4)]
    queued = [mates.queue(each) for each in rows]
    rows.pop(lost)
    call, submitted = queued.pop(lost)
    call.cancel()
    end_of(submitted).wait()
    gate.set()
    for (mate, _), own_rows in zip(queued, rows, strict=True):
        check_answer(mate.result(), own_rows)
    assert np.array_equal(batches[1], np.concatenate(rows))
    with pytest.raises(grpc.FutureCancelledError):
        call.result()


def test_a_call_whose_deadline_passes_in_the_queue_never_reaches_the_engine(
    mates: Mates,
    draw_rows: Callable[..., Rows],
    gate: threading.Event,
    batches: list[Rows],
) -> None:
    """It ends with DEADLINE_EXCEEDED while it waits, and its rows are dropped."""
    late, submitted = mates.queue(draw_rows(7), timeout=1)
    assert late.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    end_of(submitted).wait()
    mate, _ = mates.queue(draw_rows(2))
    gate.set()
    assert len(mate.result().classes) == 2
    assert [len(batch) for batch in batches] == [1, 2]


def test_a_full_queue_refuses_at_once_and_says_when_to_come_again(
    hold: Callable[[QueueLimits], Mates],
    sample: Callable[..., float | None],
    draw_rows: Callable[..., Rows],
    detail_of: Callable[..., Message],
    gate: threading.Event,
) -> None:
    """While the engine is held: RESOURCE_EXHAUSTED, RetryInfo, pushback; the accepted are fine."""
    mates = hold(QueueLimits(max_rows=4, max_tasks=9))
    accepted, _ = mates.queue(draw_rows(3))
    error = mates.refusal(draw_rows(2))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "3 rows are waiting and the limit is 4" in error.details()
    assert detail_of(error, error_details_pb2.RetryInfo).retry_delay.ToMilliseconds() == 100
    assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "100"
    assert sample("flatdense_rejected_total", {"reason": "queue_full"}) == 1
    gate.set()
    assert len(accepted.result().classes) == 3


def test_calls_in_flight_are_counted(
    mates: Mates,
    sample: Callable[..., float | None],
    draw_rows: Callable[..., Rows],
    gate: threading.Event,
) -> None:
    """The held call and one in the queue are two in flight; after their answers there is none."""
    call, _ = mates.queue(draw_rows(1))
    assert sample("flatdense_inflight_requests") == 2
    gate.set()
    call.result()
    assert sample("flatdense_inflight_requests") == 0

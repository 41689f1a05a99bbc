"""ClassifyStream over the wire: order, ends, places, and the window that holds a caller back."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue

import grpc
import pytest
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from flatdense_server.edge.server import GrpcServer
from flatdense_server.edge.stream import WINDOW
from flatdense_server.models.servable import Servable
from flatdense_server.tensors import FLOAT32, UINT8, Outputs, Rows
from google.protobuf.message import Message
from google.rpc import error_details_pb2

RequestOf = Callable[..., pb.ClassifyRequest]
Submissions = SimpleQueue[Future[Outputs]]
Requests = SimpleQueue[pb.ClassifyRequest | None]

STANDARD = pytest.mark.parametrize("lane", ["standard"], indirect=True)
"""What stands behind these tests is the public way; test_conversation.py has the other's."""

METHOD = "flatdense.v1.Classifier/ClassifyStream"
BAD = pb.ClassifyRequest(images=b"x", data_type=pb.DATA_TYPE_UINT8)


@pytest.fixture
def requests() -> Iterator[Requests]:
    """What an open stream sends: each put() is one request, None half-closes."""
    queue: Requests = SimpleQueue()
    yield queue
    queue.put(None)


def end_of(future: Future[Outputs]) -> threading.Event:
    """Set once a future has any outcome, being cancelled included."""
    ended = threading.Event()
    future.add_done_callback(lambda _future: ended.set())
    return ended


def answers_until_error(
    stream: Iterator[pb.ClassifyResponse],
) -> tuple[list[pb.ClassifyResponse], grpc.RpcError]:
    """The answers of a stream, and the error that ends it."""
    answers = []
    with pytest.raises(grpc.RpcError) as caught:
        answers.extend(iter(stream.__next__, None))
    return answers, caught.value


@pytest.mark.usefixtures("served")
def test_answers_come_in_the_order_of_the_requests(
    stub: ClassifierStub,
    request_of: RequestOf,
    check_answer: Callable[[pb.ClassifyResponse, Rows], None],
    draw_rows: Callable[..., Rows],
) -> None:
    """One answer for each request, its own, though types and sizes go to different batches."""
    sent = [draw_rows(seed % 9 + 1, (UINT8, FLOAT32)[seed % 2], seed) for seed in range(50)]
    answers = list(stub.ClassifyStream(map(request_of, sent)))
    for rows, answer in zip(sent, answers, strict=True):
        check_answer(answer, rows)


@pytest.mark.usefixtures("served")
def test_a_stream_without_requests_has_no_answers(
    stub: ClassifierStub, sample: Callable[..., float | None]
) -> None:
    """Half-closing at once is a good end, counted once."""
    stream = stub.ClassifyStream(iter(()))
    assert list(stream) == []
    assert stream.code() is grpc.StatusCode.OK
    labels = {"method": METHOD, "model": "", "version": "", "code": "OK"}
    assert sample("flatdense_requests_total", labels) == 1


@pytest.mark.usefixtures("served")
def test_an_answer_comes_before_the_next_request(
    stub: ClassifierStub, requests: Requests, request_of: RequestOf, draw_rows: Callable[..., Rows]
) -> None:
    """A caller may wait for each answer before it sends on: nothing waits for company."""
    stream = stub.ClassifyStream(iter(requests.get, None))
    for rows in (1, 3, 2):
        requests.put(request_of(draw_rows(rows)))
        assert len(next(stream).classes) == rows


@pytest.mark.usefixtures("served")
def test_a_refused_request_ends_the_stream_after_the_answers_before_it(
    stub: ClassifierStub,
    request_of: RequestOf,
    draw_rows: Callable[..., Rows],
    detail_of: Callable[..., Message],
    batches: list[Rows],
) -> None:
    """Good, good, bad, good: two answers, then the bad one's error; the last is never run."""
    sent = [request_of(draw_rows(2)), request_of(draw_rows(3)), BAD, request_of(draw_rows(7))]
    answers, error = answers_until_error(stub.ClassifyStream(iter(sent)))
    assert [len(answer.classes) for answer in answers] == [2, 3]
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    (violation,) = detail_of(error, error_details_pb2.BadRequest).field_violations
    assert violation.field == "images"
    assert sum(map(len, batches)) == 5


@pytest.mark.usefixtures("served")
def test_an_engine_that_fails_ends_the_stream_with_an_id_alone(
    stub: ClassifierStub,
    requests: Requests,
    request_of: RequestOf,
    draw_rows: Callable[..., Rows],
    faults: list[Exception],
) -> None:
    """The answer before the fault came; the fault is INTERNAL without a word of its cause."""
    stream = stub.ClassifyStream(iter(requests.get, None))
    requests.put(request_of(draw_rows(1)))
    next(stream)
    faults.append(RuntimeError("secret"))
    requests.put(request_of(draw_rows(1)))
    answers, error = answers_until_error(stream)
    assert answers == []
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in error.details()


@STANDARD
@pytest.mark.usefixtures("served")
def test_a_cancelled_stream_takes_its_rows_out_of_the_queue(
    stub: ClassifierStub,
    requests: Requests,
    request_of: RequestOf,
    draw_rows: Callable[..., Rows],
    submissions: Submissions,
    gate: threading.Event,
    running: threading.Semaphore,
    batches: list[Rows],
) -> None:
    """What waited when the caller went away is never run; what ran already harms nobody."""
    gate.clear()
    stream = stub.ClassifyStream(iter(requests.get, None))
    requests.put(request_of(draw_rows(1)))
    running.acquire()
    in_engine = submissions.get()
    for rows in (2, 3):
        requests.put(request_of(draw_rows(rows)))
    waiting = [submissions.get(), submissions.get()]
    stream.cancel()
    for future in waiting:
        end_of(future).wait()
        assert future.cancelled()
    gate.set()
    assert len(in_engine.result().classes) == 1
    assert len(stub.Classify(request_of(draw_rows(4))).classes) == 4
    assert [len(batch) for batch in batches] == [1, 4]


def test_a_stream_too_many_is_refused_at_once_and_a_cancelled_one_frees_its_place(
    start_server: Callable[..., GrpcServer],
    connect: Callable[[GrpcServer], grpc.Channel],
    publish: Callable[..., None],
    make_servable: Callable[..., Servable],
    requests: Requests,
    request_of: RequestOf,
    draw_rows: Callable[..., Rows],
    detail_of: Callable[..., Message],
) -> None:
    """Beyond max_streams: RESOURCE_EXHAUSTED with RetryInfo; unary calls go on; then it fits."""
    publish(make_servable())
    stub = ClassifierStub(connect(start_server(max_streams=1)))
    stream = stub.ClassifyStream(iter(requests.get, None))
    requests.put(request_of(draw_rows(1)))
    next(stream)
    for _ in range(5):
        _, error = answers_until_error(stub.ClassifyStream(iter([request_of(draw_rows(1))])))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "1 streams are open, which is the limit" in error.details()
        assert detail_of(error, error_details_pb2.RetryInfo).retry_delay.ToMilliseconds() == 100
    assert len(stub.Classify(request_of(draw_rows(2))).classes) == 2
    stream.cancel()
    while True:  # the server learns of it in its own time
        retried = stub.ClassifyStream(iter([request_of(draw_rows(3))]))
        answers = [len(answer.classes) for answer in answers_or_none(retried)]
        if retried.code() is grpc.StatusCode.OK:
            assert answers == [3]
            return
        assert retried.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def answers_or_none(stream: Iterator[pb.ClassifyResponse]) -> Iterator[pb.ClassifyResponse]:
    """The answers of a stream, whatever ends it."""
    try:
        yield from stream
    except grpc.RpcError:
        return


@STANDARD
@pytest.mark.usefixtures("served")
def test_a_stream_reads_no_further_than_its_window(
    stub: ClassifierStub,
    request_of: RequestOf,
    draw_rows: Callable[..., Rows],
    submissions: Submissions,
    gate: threading.Event,
) -> None:
    """While nothing is answered WINDOW requests are taken and no more; then all are answered."""
    gate.clear()
    sent = [draw_rows(1, seed=seed) for seed in range(4 * WINDOW)]
    stream = stub.ClassifyStream(map(request_of, sent))
    for _ in range(WINDOW):
        submissions.get()
    for _ in range(20):  # round trips: time enough to read more, if it could
        stub.GetModel(pb.GetModelRequest())
    assert submissions.empty()
    gate.set()
    assert len(list(stream)) == len(sent)


@STANDARD
@pytest.mark.usefixtures("served")
def test_requests_of_one_stream_share_batches(
    stub: ClassifierStub,
    requests: Requests,
    request_of: RequestOf,
    draw_rows: Callable[..., Rows],
    submissions: Submissions,
    gate: threading.Event,
    running: threading.Semaphore,
    batches: list[Rows],
) -> None:
    """Requests are read ahead: what arrives behind a running batch is one batch after it."""
    gate.clear()
    stream = stub.ClassifyStream(iter(requests.get, None))
    requests.put(request_of(draw_rows(1)))
    running.acquire()
    for _ in range(4):
        requests.put(request_of(draw_rows(1)))
    for _ in range(5):
        submissions.get()
    requests.put(None)
    gate.set()
    assert len(list(stream)) == 5
    assert [len(batch) for batch in batches] == [1, 4]

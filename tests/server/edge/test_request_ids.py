"""Each call has an id: in its error, its trailer, its line in the log."""

import logging
import threading
from collections.abc import Callable

import grpc
import pytest
from flatdense_proto.twin import inference_pb2 as oip
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from flatdense_server.batching.queue import QueueLimits
from flatdense_server.edge.server import GrpcServer
from flatdense_server.models.servable import Servable
from flatdense_server.request_id import HEADER
from flatdense_server.security.access import Access
from flatdense_server.security.tokens import Token, hash_token
from flatdense_server.tensors import Rows
from google.protobuf.message import Message
from google.rpc import error_details_pb2

NAMED = ((HEADER, "caller 7/a"),)
UNUSABLE = ((HEADER, "x" * 129),)

Failing = Callable[[ClassifierStub, tuple[tuple[str, str], ...]], object]

FAILURES: dict[str, tuple[Failing, grpc.StatusCode]] = {
    "no message": (
        lambda stub, metadata: stub.Classify(pb.ClassifyRequest(), timeout=30, metadata=metadata),
        grpc.StatusCode.INVALID_ARGUMENT,
    ),
    "another model": (
        lambda stub, metadata: stub.GetModel(
            pb.GetModelRequest(model=pb.ModelSelector(name="nope")), timeout=30, metadata=metadata
        ),
        grpc.StatusCode.NOT_FOUND,
    ),
    "in a stream": (
        lambda stub, metadata: list(
            stub.ClassifyStream(iter([pb.ClassifyRequest()]), timeout=30, metadata=metadata)
        ),
        grpc.StatusCode.INVALID_ARGUMENT,
    ),
}


def id_of(error: grpc.RpcError) -> str:
    """In its trailer."""
    found = [value for key, value in error.trailing_metadata() if key == HEADER]
    assert len(found) == 1
    return str(found[0])


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("failure", FAILURES)
def test_an_error_has_the_callers_id(
    stub: ClassifierStub, failure: str, detail_of: Callable[..., Message]
) -> None:
    """As it was sent: in the trailer, and in the details beside what they say of the error."""
    fail, code = FAILURES[failure]
    with pytest.raises(grpc.RpcError) as caught:
        fail(stub, NAMED)
    assert caught.value.code() is code
    assert id_of(caught.value) == NAMED[0][1]
    told = detail_of(caught.value, error_details_pb2.RequestInfo)
    assert told.request_id == NAMED[0][1]


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("metadata", [(), UNUSABLE], ids=["none", "unusable"])
def test_an_error_has_an_id_in_any_case(
    stub: ClassifierStub, failure: str, metadata: tuple[tuple[str, str], ...]
) -> None:
    """Where the caller sent none, or one that cannot be used: a new one each time."""
    ids = set()
    for _ in range(3):
        with pytest.raises(grpc.RpcError) as caught:
            FAILURES[failure][0](stub, metadata)
        ids.add(id_of(caught.value))
    assert len(ids) == 3
    assert UNUSABLE[0][1] not in ids


@pytest.mark.usefixtures("served")
def test_an_answer_has_the_id_that_was_sent(
    stub: ClassifierStub, draw_rows: Callable[..., Rows], request_of: Callable[..., Message]
) -> None:
    """A good answer says the caller's id again, and another one where that cannot be used."""
    request = request_of(draw_rows(1))
    for call, asked in (
        (stub.Classify, request),
        (stub.Explain, pb.ExplainRequest(images=request.images, data_type=request.data_type)),
        (stub.GetModel, pb.GetModelRequest()),
    ):
        for metadata in (NAMED, UNUSABLE):
            _, ended = call.with_call(asked, timeout=30, metadata=metadata)
            told = dict(ended.trailing_metadata())[HEADER]
            assert (told == metadata[0][1]) == (metadata is NAMED)
    stream = stub.ClassifyStream(iter([request]), timeout=30, metadata=NAMED)
    assert len(list(stream)) == 1
    assert dict(stream.trailing_metadata())[HEADER] == NAMED[0][1]


@pytest.mark.usefixtures("served")
def test_who_sends_none_gets_none(
    stub: ClassifierStub, draw_rows: Callable[..., Rows], request_of: Callable[..., Message]
) -> None:
    """With a good answer: nothing is made for it."""
    _, ended = stub.Classify.with_call(request_of(draw_rows(1)), timeout=30)
    assert HEADER not in dict(ended.trailing_metadata())


@pytest.mark.usefixtures("served")
def test_an_unexpected_failure_is_logged_under_the_callers_id(
    stub: ClassifierStub,
    faults: list[Exception],
    draw_rows: Callable[..., Rows],
    request_of: Callable[..., Message],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Error, trailer and log have the one id."""
    faults.append(ValueError("the engine is tired"))
    with caplog.at_level(logging.ERROR), pytest.raises(grpc.RpcError) as caught:
        stub.Classify(request_of(draw_rows(1)), timeout=30, metadata=NAMED)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert id_of(caught.value) == NAMED[0][1]
    assert NAMED[0][1] in caught.value.details()
    (record,) = [each for each in caplog.records if each.getMessage() == "request failed"]
    assert record.request_id == NAMED[0][1]


def test_who_may_not_call_has_an_id(
    start_server: Callable[..., GrpcServer],
    connect: Callable[[GrpcServer], grpc.Channel],
    detail_of: Callable[..., Message],
) -> None:
    """It says nothing more of why; by any method."""
    access = Access((Token("one", frozenset({"inference"}), hash_token(b"secret")),))
    stub = ClassifierStub(connect(start_server(access=access)))
    for fail in (
        lambda: stub.Classify(pb.ClassifyRequest(), timeout=30, metadata=NAMED),
        lambda: stub.GetModel(pb.GetModelRequest(), timeout=30, metadata=NAMED),
        lambda: list(stub.ClassifyStream(iter([]), timeout=30, metadata=NAMED)),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            fail()
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert id_of(caught.value) == NAMED[0][1]
        with pytest.raises(AssertionError):
            detail_of(caught.value, error_details_pb2.RequestInfo)


@pytest.fixture
def busy_stub(
    start_server: Callable[..., GrpcServer],
    connect: Callable[[GrpcServer], grpc.Channel],
    publish: Callable[..., None],
    make_servable: Callable[..., Servable],
) -> ClassifierStub:
    """Callers of a server with room for two that wait."""
    limits = QueueLimits(max_rows=2, max_tasks=2)
    publish(make_servable(limits=limits))
    return ClassifierStub(connect(start_server(queue=limits)))


def test_who_comes_when_the_queue_is_full_has_an_id(
    busy_stub: ClassifierStub,
    gate: threading.Event,
    running: threading.Semaphore,
    draw_rows: Callable[..., Rows],
    request_of: Callable[..., Message],
    detail_of: Callable[..., Message],
) -> None:
    """Refused before its message is read, or after: the same."""
    gate.clear()
    request = request_of(draw_rows(1))
    first = busy_stub.Classify.future(request, timeout=30)
    running.acquire(timeout=20)
    waiting = [busy_stub.Classify.future(request, timeout=30, metadata=NAMED) for _ in range(20)]
    busy_stub.GetModel(pb.GetModelRequest(), timeout=30)  # behind them on the one connection
    gate.set()
    errors = [call.exception(timeout=30) for call in waiting]
    first.result(timeout=30)
    full = [error for error in errors if error is not None]
    assert full
    for error in full:
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert id_of(error) == NAMED[0][1]
        told = detail_of(error, error_details_pb2.RequestInfo)
        assert told.request_id == NAMED[0][1]
        assert detail_of(error, error_details_pb2.RetryInfo)


@pytest.mark.usefixtures("served")
def test_a_message_of_a_stream_that_fails_is_logged_under_the_streams_id(
    channel: grpc.Channel,
    faults: list[Exception],
    draw_rows: Callable[..., Rows],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where the stream goes on, the text that it is told has the id, too."""
    rows = draw_rows(1)
    request = oip.ModelInferRequest(
        inputs=[{"name": "images", "datatype": "UINT8", "shape": rows.shape}],
        raw_input_contents=[rows.tobytes()],
    )
    faults.append(ValueError("tired"))
    infer = channel.stream_stream(
        "/inference.GRPCInferenceService/ModelStreamInfer",
        request_serializer=oip.ModelInferRequest.SerializeToString,
        response_deserializer=oip.ModelStreamInferResponse.FromString,
    )
    with caplog.at_level(logging.ERROR):
        answers = list(infer(iter([request, request]), timeout=30, metadata=NAMED))
    failed = [answer.error_message for answer in answers if answer.error_message]
    assert failed
    assert all(NAMED[0][1] in text for text in failed)
    logged = [each for each in caplog.records if each.getMessage() == "request failed"]
    assert [each.request_id for each in logged] == [NAMED[0][1]] * len(failed)

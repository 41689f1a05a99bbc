"""What a caller is told when its request is not answered: code, sentence and details."""

import logging
from collections.abc import Callable

import grpc
import pytest
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from flatdense_server.models.registry import Registry
from flatdense_server.models.servable import Servable
from flatdense_server.tensors import PIXELS, Rows
from google.protobuf.message import Message
from google.rpc import error_details_pb2

RequestOf = Callable[..., pb.ClassifyRequest]

METHOD = "flatdense.v1.Classifier/Classify"


def refusal(call: Callable[..., object], *arguments: object) -> grpc.RpcError:
    """The error that a call ends with."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments)
    return caught.value


def test_before_anything_is_published_a_call_may_be_tried_again(
    stub: ClassifierStub,
    sample: Callable[..., float | None],
    request_of: RequestOf,
    draw_rows: Callable[..., Rows],
    detail_of: Callable[..., Message],
) -> None:
    """UNAVAILABLE with RetryInfo for Classify and GetModel while the model is loading."""
    for error in (
        refusal(stub.Classify, request_of(draw_rows(1))),
        refusal(stub.GetModel, pb.GetModelRequest()),
    ):
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "still loading" in error.details()
        assert detail_of(error, error_details_pb2.RetryInfo).retry_delay.ToMilliseconds() == 1000
    assert sample("flatdense_rejected_total", {"reason": "not_ready"}) == 2


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ({"name": "fashion"}, "no model 'fashion': this server has 'mnist'"),
        ({"version": 2}, "no version 2: available: 1"),
        ({"version": 0}, "no version 0: available: 1"),
        ({"name": "mnist", "label": "canary"}, "no label 'canary': none is set"),
    ],
)
@pytest.mark.usefixtures("served")
def test_what_is_not_there_is_named_beside_what_is(
    stub: ClassifierStub,
    request_of: RequestOf,
    draw_rows: Callable[..., Rows],
    detail_of: Callable[..., Message],
    selector: dict[str, str | int],
    message: str,
) -> None:
    """NOT_FOUND for an unknown model, version or label, from both methods, with ResourceInfo."""
    model = pb.ModelSelector(**selector)
    for error in (
        refusal(stub.Classify, request_of(draw_rows(1), model=model)),
        refusal(stub.GetModel, pb.GetModelRequest(model=model)),
    ):
        assert error.code() is grpc.StatusCode.NOT_FOUND
        assert message in error.details()
        info = detail_of(error, error_details_pb2.ResourceInfo)
        assert {info.resource_type: info.resource_name}.items() <= {
            key if key != "name" else "model": str(value) for key, value in selector.items()
        }.items()


@pytest.mark.parametrize(
    ("request_fields", "field", "message"),
    [
        ({"images": bytes(PIXELS)}, "data_type", "got 0"),
        ({"images": b"", "data_type": pb.DATA_TYPE_UINT8}, "images", "got 0 rows"),
        (
            {"images": bytes(PIXELS + 1), "data_type": pb.DATA_TYPE_UINT8},
            "images",
            "multiple of 784 bytes",
        ),
        (
            {"images": bytes(33 * PIXELS), "data_type": pb.DATA_TYPE_UINT8},
            "images",
            "at most 32 rows",
        ),
        (
            {"images": bytes(33 * 4 * PIXELS), "data_type": pb.DATA_TYPE_FP32},
            "images",
            "at most 32 rows",
        ),
    ],
)
@pytest.mark.usefixtures("served")
def test_bad_input_is_named_and_never_reaches_the_engine(
    stub: ClassifierStub,
    detail_of: Callable[..., Message],
    batches: list[Rows],
    request_fields: dict[str, object],
    field: str,
    message: str,
) -> None:
    """INVALID_ARGUMENT with a BadRequest that names the field and what was expected."""
    error = refusal(stub.Classify, pb.ClassifyRequest(**request_fields))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    (violation,) = detail_of(error, error_details_pb2.BadRequest).field_violations
    assert violation.field == field
    assert message in violation.description
    assert batches == []


@pytest.mark.parametrize("method", ["Classify", "GetModel"])
@pytest.mark.usefixtures("served")
def test_bytes_that_are_no_message_are_bad_input(channel: grpc.Channel, method: str) -> None:
    """What is not protobuf ends with INVALID_ARGUMENT, not with a fault of the server."""
    error = refusal(channel.unary_unary(f"/flatdense.v1.Classifier/{method}"), b"\x0a\xff\x01")
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "3 bytes that are not valid protobuf" in error.details()


@pytest.mark.usefixtures("served")
def test_a_message_too_big_for_grpc_is_refused_and_the_next_one_answered(
    stub: ClassifierStub, request_of: RequestOf, draw_rows: Callable[..., Rows], batches: list[Rows]
) -> None:
    """RESOURCE_EXHAUSTED, from gRPC itself; the connection lives on."""
    big = pb.ClassifyRequest(images=bytes(2 << 20), data_type=pb.DATA_TYPE_UINT8)
    assert refusal(stub.Classify, big).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert batches == []
    assert len(stub.Classify(request_of(draw_rows(1))).classes) == 1


@pytest.mark.usefixtures("served")
def test_an_engine_that_fails_tells_the_caller_nothing_but_an_id(
    stub: ClassifierStub,
    request_of: RequestOf,
    draw_rows: Callable[..., Rows],
    detail_of: Callable[..., Message],
    faults: list[Exception],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """INTERNAL with an id that the log has too, no word of the cause; the next call works."""
    faults.append(RuntimeError("secret path /etc/model"))
    error = refusal(stub.Classify, request_of(draw_rows(1)))
    assert error.code() is grpc.StatusCode.INTERNAL
    told = error.details() + repr(error.trailing_metadata())
    assert "secret" not in told
    assert "Traceback" not in told
    request_id = detail_of(error, error_details_pb2.RequestInfo).request_id
    assert request_id in error.details()
    assert [r.request_id for r in caplog.records if r.getMessage() == "request failed"] == [
        request_id
    ]
    assert "secret path /etc/model" in caplog.text
    assert len(stub.Classify(request_of(draw_rows(1))).classes) == 1


@pytest.mark.usefixtures("served")
def test_a_fault_of_the_server_is_logged_with_its_traceback_under_the_id(
    stub: ClassifierStub,
    request_of: RequestOf,
    draw_rows: Callable[..., Rows],
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Even an error that nobody foresaw ends the call with INTERNAL and an id alone."""

    def fail(*_arguments: object) -> Servable:
        """Something that nobody foresaw."""
        raise LookupError("secret table")

    with monkeypatch.context() as patch:
        patch.setattr(registry, "resolve", fail)
        error = refusal(stub.Classify, request_of(draw_rows(1)))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in error.details() + repr(error.trailing_metadata())
    (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert record.request_id in error.details()
    assert record.method == METHOD
    assert "secret table" in caplog.text
    assert len(stub.Classify(request_of(draw_rows(1))).classes) == 1


@pytest.mark.usefixtures("served")
def test_after_drain_calls_are_refused(
    stub: ClassifierStub,
    registry: Registry,
    request_of: RequestOf,
    draw_rows: Callable[..., Rows],
    detail_of: Callable[..., Message],
) -> None:
    """UNAVAILABLE with RetryInfo, so that a client goes to another server."""
    registry.drain()
    error = refusal(stub.Classify, request_of(draw_rows(1)))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert detail_of(error, error_details_pb2.RetryInfo).retry_delay.ToMilliseconds() == 1000

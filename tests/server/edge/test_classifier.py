"""Classify and GetModel over the wire: each caller's own answers, and exact counts."""

from collections.abc import Callable

import grpc
import pytest
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from flatdense_server.edge.server import GrpcServer
from flatdense_server.models.servable import Servable
from flatdense_server.tensors import FLOAT32, UINT8, DType, Rows

RequestOf = Callable[..., pb.ClassifyRequest]
CheckAnswer = Callable[[pb.ClassifyResponse, Rows], None]

METHOD = "flatdense.v1.Classifier/Classify"


@pytest.mark.parametrize("dtype", [UINT8, FLOAT32])
@pytest.mark.parametrize("rows", [1, 2, 3, 8, 9, 32])
@pytest.mark.usefixtures("served")
def test_an_answer_has_the_probabilities_and_classes_of_each_row(
    stub: ClassifierStub,
    request_of: RequestOf,
    check_answer: CheckAnswer,
    draw_rows: Callable[..., Rows],
    dtype: DType,
    rows: int,
) -> None:
    """Any number of rows up to the limit, in both types, beyond the ladder's top too."""
    images = draw_rows(rows, dtype)
    answer = stub.Classify(request_of(images))
    check_answer(answer, images)
    assert (answer.model_name, answer.model_version) == ("mnist", 1)


def test_a_version_is_chosen_by_its_number(
    stub: ClassifierStub,
    publish: Callable[..., None],
    make_servable: Callable[..., Servable],
    request_of: RequestOf,
    draw_rows: Callable[..., Rows],
) -> None:
    """The answer names the version that the selector meant; the highest where it named none."""
    for version in (1, 2, 3):
        publish(make_servable(version))
    for wanted in (1, 2, 3):
        selector = pb.ModelSelector(name="mnist", version=wanted)
        assert stub.Classify(request_of(draw_rows(1), model=selector)).model_version == wanted
    assert stub.Classify(request_of(draw_rows(1))).model_version == 3
    assert list(stub.GetModel(pb.GetModelRequest()).available_versions) == [1, 2, 3]


@pytest.mark.usefixtures("served")
def test_get_model_describes_the_version_and_how_it_is_served(stub: ClassifierStub) -> None:
    """Everything a client needs to send good requests is in the answer."""
    model = stub.GetModel(pb.GetModelRequest())
    assert (model.name, model.version) == ("mnist", 1)
    assert [layer.kind for layer in model.layers] == ["Flatten", "Dense", "Dense"]
    assert len(model.class_names) == 10
    assert model.serving.max_request_rows == 32
    assert list(model.serving.ladder_rows) == [1, 2, 4, 8]
    assert model.serving.engine == "numpy"


@pytest.mark.usefixtures("served")
def test_many_concurrent_calls_each_get_their_own_answers(
    stub: ClassifierStub,
    request_of: RequestOf,
    check_answer: CheckAnswer,
    draw_rows: Callable[..., Rows],
) -> None:
    """Eighty calls of mixed sizes and types at once are all answered, each with its own."""
    rows = [draw_rows(seed % 7 + 1, (UINT8, FLOAT32)[seed % 2], seed) for seed in range(80)]
    calls = [stub.Classify.future(request_of(each)) for each in rows]
    for call, own_rows in zip(calls, rows, strict=True):
        check_answer(call.result(), own_rows)


@pytest.mark.usefixtures("served")
def test_known_calls_are_counted_exactly(
    stub: ClassifierStub,
    server: GrpcServer,
    sample: Callable[..., float | None],
    request_of: RequestOf,
    draw_rows: Callable[..., Rows],
) -> None:
    """Three answered, two bad and one for no model: each under its method, version and code."""
    for _ in range(3):
        stub.Classify(request_of(draw_rows(2)))
    bad = pb.ClassifyRequest(images=b"x", data_type=pb.DATA_TYPE_UINT8)
    lost = request_of(draw_rows(1), model=pb.ModelSelector(name="none"))
    for refused in (bad, bad, lost):
        with pytest.raises(grpc.RpcError):
            stub.Classify(refused)
    stub.GetModel(pb.GetModelRequest())
    assert server.wait_idle(10)
    known = {"model": "mnist", "version": "1"}

    def count(method: str, code: str, **labels: str) -> float | None:
        """Of one method, code and version."""
        method = f"flatdense.v1.Classifier/{method}"
        return sample("flatdense_requests_total", {"method": method, "code": code, **labels})

    assert count("Classify", "OK", **known) == 3
    assert count("Classify", "INVALID_ARGUMENT", **known) == 2
    assert count("Classify", "NOT_FOUND", model="", version="") == 1
    assert count("GetModel", "OK", **known) == 1
    labels = {"method": METHOD, **known}
    assert sample("flatdense_request_duration_seconds_count", labels) == 5
    assert sample("flatdense_rows_total", known) == 6
    assert sample("flatdense_inflight_requests") == 0

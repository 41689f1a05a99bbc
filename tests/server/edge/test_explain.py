"""Explain over the wire, on both lanes."""

from collections.abc import Callable

import grpc
import numpy as np
import pytest
from flatdense_artifact import Weights
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from flatdense_server.explanation import explain
from flatdense_server.models.servable import Servable
from flatdense_server.tensors import Outputs, Rows

UINT8 = pb.DATA_TYPE_UINT8


def floats(data: bytes, rows: int) -> np.ndarray:
    """The values of a field, row by row."""
    return np.frombuffer(data, "<f4").reshape(rows, -1)


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("class_index", [None, 0, 9])
def test_images_are_classified_and_taken_apart(
    stub: ClassifierStub,
    weights: Weights,
    predict: Callable[[Rows], Outputs],
    draw_rows: Callable[..., Rows],
    class_index: int | None,
) -> None:
    """Of more rows than the ladder's top, with the numbers of the network itself."""
    pixels = draw_rows(11)
    answer = stub.Explain(
        pb.ExplainRequest(images=pixels.tobytes(), data_type=UINT8, class_index=class_index)
    )
    images = pixels.astype(np.float32) / np.float32(255)
    outputs = predict(images)
    expected = explain(weights, images, outputs, class_index)
    for data, values in (
        (answer.probabilities, outputs.probabilities),
        (answer.hidden, outputs.hidden),
        (answer.logits, expected.logits),
        (answer.contributions, expected.contributions),
        (answer.bias_contributions, expected.bias_contributions[:, None]),
    ):
        np.testing.assert_allclose(floats(data, 11), values, atol=1e-4)
    assert list(answer.classes) == outputs.classes.tolist()
    assert list(answer.explained_classes) == expected.classes.tolist()
    assert (answer.model_name, answer.model_version) == ("mnist", 1)


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (pb.ExplainRequest(images=bytes(784)), "expected DATA_TYPE_UINT8"),
        (pb.ExplainRequest(images=bytes(783), data_type=UINT8), "multiple of 784 bytes"),
        (
            pb.ExplainRequest(images=bytes(784), data_type=UINT8, class_index=10),
            "class_index: expected a class of 0 to 9, got 10",
        ),
        (pb.ExplainRequest(images=bytes(784), data_type=UINT8, class_index=-1), "got -1"),
    ],
)
@pytest.mark.usefixtures("served")
def test_what_is_wrong_is_named(
    stub: ClassifierStub, request_: pb.ExplainRequest, says: str, batches: list[Rows]
) -> None:
    """As for Classify, and the engine does not see it."""
    with pytest.raises(grpc.RpcError) as caught:
        stub.Explain(request_)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert says in caught.value.details()
    assert batches == []


def test_a_network_without_known_layers_cannot_be_explained(
    stub: ClassifierStub,
    publish: Callable[..., None],
    make_servable: Callable[..., Servable],
) -> None:
    """It classifies, and says why it does no more."""
    publish(make_servable(known=False))
    with pytest.raises(grpc.RpcError) as caught:
        stub.Explain(pb.ExplainRequest(images=bytes(784), data_type=UINT8))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "its layers are not known" in caught.value.details()

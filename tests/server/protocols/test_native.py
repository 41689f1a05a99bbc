"""The codec of flatdense.v1.Classifier: messages to rows, outputs to messages."""

from collections.abc import Callable

import numpy as np
import pytest
from flatdense_artifact import Manifest
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_server.errors import InvalidInput
from flatdense_server.protocols import native
from flatdense_server.protocols.messages import parse
from flatdense_server.summary import Identity, ModelFacts, ModelSummary, VersionStatus
from flatdense_server.tensors import FLOAT32, PIXELS, UINT8, DType, Outputs, Rows
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

WIRE_TYPES = {UINT8: pb.DATA_TYPE_UINT8, FLOAT32: pb.DATA_TYPE_FP32}

CODEC = native.NativeCodec("Classify")
QUESTION = CODEC.parse(b"")
"""Answers of this protocol are the same for all requests."""


@given(dtype=st.sampled_from([UINT8, FLOAT32]), rows=st.integers(1, 9), seed=st.integers(0, 99))
def test_rows_survive_the_wire(
    draw_rows: Callable[..., Rows], dtype: DType, rows: int, seed: int
) -> None:
    """What a caller packs row-major and little-endian is what the engine gets."""
    sent = draw_rows(rows, dtype, seed)
    data = sent.astype(sent.dtype.newbyteorder("<")).tobytes()
    message = pb.ClassifyRequest(images=data, data_type=WIRE_TYPES[dtype])
    got = CODEC.parse(message.SerializeToString()).rows(max_rows=9)
    assert got.dtype == dtype
    assert np.array_equal(got, sent)


@pytest.mark.parametrize("rows", [1, 8])
@pytest.mark.parametrize("dtype", [UINT8, FLOAT32])
def test_pixels_are_not_copied(draw_rows: Callable[..., Rows], dtype: DType, rows: int) -> None:
    """The engine gets a view of the message that came."""
    sent = pb.ClassifyRequest(
        images=draw_rows(rows, dtype).tobytes(), data_type=WIRE_TYPES[dtype]
    ).SerializeToString()
    got = CODEC.parse(sent).rows(max_rows=9)
    assert np.shares_memory(got, np.frombuffer(sent, np.uint8))


@pytest.mark.parametrize("data_type", [pb.DATA_TYPE_UNSPECIFIED, 3, 250])
def test_a_type_that_is_not_stated_or_not_known_is_refused(data_type: int) -> None:
    """The data type is never guessed: the message names the field, both types and what came."""
    request = pb.ClassifyRequest(images=bytes(PIXELS), data_type=data_type)
    with pytest.raises(InvalidInput) as caught:
        CODEC.parse(request.SerializeToString()).rows(max_rows=1)
    assert caught.value.field == "data_type"
    assert caught.value.description == (
        f"expected DATA_TYPE_UINT8 (1) or DATA_TYPE_FP32 (2), got {data_type}."
    )


FIELDS = st.one_of(
    st.builds(pb.ClassifyRequest, images=st.binary(max_size=300)),
    st.integers(1, 3).map(lambda pixels: pb.ClassifyRequest(images=bytes([pixels]) * 5000)),
    st.builds(pb.ClassifyRequest, data_type=st.integers(0, 300)),
    st.builds(
        pb.ClassifyRequest,
        model=st.builds(pb.ModelSelector, name=st.text(max_size=3), version=st.integers(0, 9)),
    ),
).map(pb.ClassifyRequest.SerializeToString)
"""One field each; after one another they are one message, in which the last of a kind counts."""

STRANGE = st.sampled_from(
    [b"", b"\x0a\x00", b"\x0a\x81\x00x", b"\x10\x81\x00", b"\x7a\x01x", b"\x0a"]
)
"""Empty, not written as protobuf would, unknown, cut off."""


@given(
    parts=st.lists(FIELDS | STRANGE, max_size=5),
    tail=st.binary(max_size=4),
)
def test_a_request_is_read_as_protobuf_reads_it(parts: list[bytes], tail: bytes) -> None:
    """Whatever the bytes are: the same pixels, type and selector, or the same refusal."""
    data = b"".join(parts) + tail
    try:
        expected = pb.ClassifyRequest.FromString(data)
    except DecodeError:
        with pytest.raises(InvalidInput, match=f"got {len(data)} bytes"):
            CODEC.parse(data)
        return
    question = CODEC.parse(data)
    assert bytes(question.images) == expected.images
    assert question.message.data_type == expected.data_type
    assert question.selector == native.read_selector(expected)


@given(rows=st.sampled_from([1, 3, 4, 12, 13, 127, 128, 409, 410, 1024]), version=st.integers(1))
def test_answers_are_written_as_protobuf_writes_them(rows: int, version: int) -> None:
    """Byte for byte, whatever the lengths."""
    version %= 1 << 62
    random = np.random.default_rng(rows)
    outputs = Outputs(random.random((rows, 10), np.float32), random.integers(0, 10, rows))
    data = QUESTION.answer(outputs, Identity("mnist", version, ()))
    assert data == (
        pb.ClassifyResponse(
            probabilities=outputs.probabilities.tobytes(),
            classes=outputs.classes.tolist(),
            model_name="mnist",
            model_version=version,
        ).SerializeToString()
    )


@pytest.mark.parametrize("kind", [pb.ClassifyRequest, pb.GetModelRequest])
def test_bytes_that_are_no_message_are_refused(kind: type) -> None:
    """What is not protobuf of the method's type is bad input, named by type and length."""
    with pytest.raises(InvalidInput, match=f"expected a {kind.DESCRIPTOR.full_name} .*3 bytes"):
        parse(kind, b"\x0a\xff\x01")


@given(rows=st.integers(1, 20), seed=st.integers(0, 99))
def test_answers_survive_the_wire(rows: int, seed: int) -> None:
    """Probabilities are little-endian float32 row after row, classes numbers, both exact."""
    probabilities = np.random.default_rng(seed).random((rows, 10), np.float32)
    outputs = Outputs(probabilities, probabilities.argmax(axis=1))
    data = QUESTION.answer(outputs, Identity("mnist", 7, ()))
    got = pb.ClassifyResponse.FromString(data)
    assert np.array_equal(np.frombuffer(got.probabilities, "<f4").reshape(-1, 10), probabilities)
    assert list(got.classes) == outputs.classes.tolist()
    assert (got.model_name, got.model_version) == ("mnist", 7)


def test_a_slice_of_a_batch_is_encoded_alone(predict: Callable[[Rows], Outputs]) -> None:
    """Of outputs that are a view into a batch only the caller's own rows go out."""
    outputs = predict(np.eye(6, PIXELS, dtype=np.float32))
    data = QUESTION.answer(outputs.cut(2, 4), Identity("m", 1, ()))
    answer = pb.ClassifyResponse.FromString(data)
    assert answer.probabilities == outputs.probabilities[2:4].tobytes()
    assert list(answer.classes) == outputs.classes[2:4].tolist()


@pytest.fixture
def described(facts: ModelFacts) -> pb.GetModelResponse:
    """What GetModel says of a version."""
    return native.describe(
        ModelSummary(
            name="mnist",
            version=3,
            available_versions=(2, 3),
            versions=(
                VersionStatus(version=2, state="failed", reason="its files were cut short"),
                VersionStatus(version=3, state="ready", labels=("canary", "stable")),
            ),
            facts=facts,
            engine="jit",
            device="cpu",
            ladder_rows=(1, 2, 4),
            hidden_count=16,
            max_request_rows=32,
            batch_wait_us=0,
        )
    )


def test_describe_tells_the_network(described: pb.GetModelResponse, manifest: Manifest) -> None:
    """Layers, parameters and class names are the manifest's, in its order."""
    assert [
        (layer.name, layer.kind, layer.activation, list(layer.output_shape), layer.parameters)
        for layer in described.layers
    ] == [
        ("flatten", "Flatten", "", [784], 0),
        ("hidden", "Dense", "relu", [16], 12_560),
        ("output", "Dense", "softmax", [10], 170),
    ]
    assert described.parameters == 12_730
    assert list(described.class_names) == manifest.classes


def test_describe_tells_the_tensors(described: pb.GetModelResponse) -> None:
    """Inputs and outputs have the names, types and shapes that every protocol uses."""

    def lines(tensors: object) -> list[tuple[str, str, list[int]]]:
        return [(tensor.name, tensor.data_type, list(tensor.shape)) for tensor in tensors]

    assert lines(described.inputs) == [
        ("images", "UINT8", [-1, 784]),
        ("images", "FP32", [-1, 784]),
    ]
    assert lines(described.outputs) == [
        ("probabilities", "FP32", [-1, 10]),
        ("classes", "INT64", [-1]),
    ]


def test_describe_tells_the_training_run(described: pb.GetModelResponse) -> None:
    """Data set, sizes, seed, time and every metric of the run are there."""
    training = described.training
    assert training.dataset == "seeded noise"
    assert training.created_at.ToJsonString() == "2026-01-02T03:04:05Z"
    assert (training.seed, training.epochs) == (7, 3)
    assert (training.train_rows, training.validation_rows, training.test_rows) == (300, 20, 10)
    assert dict(training.metrics) == {
        "test_accuracy": 0.9,
        "test_loss": 0.3,
        "validation_accuracy": 0.8,
        "validation_loss": 0.4,
    }


def test_describe_tells_how_it_is_served(described: pb.GetModelResponse) -> None:
    """Name, versions, engine, device, ladder and limit are the server's."""
    serving = described.serving
    assert (described.name, described.version) == ("mnist", 3)
    assert list(described.available_versions) == [2, 3]
    assert (serving.engine, serving.device) == ("jit", "cpu")
    assert (list(serving.ladder_rows), serving.max_request_rows) == ([1, 2, 4], 32)


def test_describe_tells_where_each_version_is(described: pb.GetModelResponse) -> None:
    """State, reason and labels of every version are there; nothing was left unchecked."""
    assert [
        (status.version, status.state, status.reason, list(status.labels))
        for status in described.versions
    ] == [
        (2, "failed", "its files were cut short", []),
        (3, "ready", "", ["canary", "stable"]),
    ]
    assert list(described.unchecked) == []


def test_describe_says_nothing_of_an_unknown_training_run() -> None:
    """A version without a manifest has no training, no layers, and says what was not checked."""
    facts = ModelFacts(
        class_names=["0", "1"],
        layers=[],
        parameters=5,
        training=None,
        metrics=None,
        created_at=None,
        unchecked=["No manifest."],
    )
    model = native.describe(
        ModelSummary(
            name="mnist",
            version=3,
            available_versions=(3,),
            versions=(),
            facts=facts,
            engine="jit",
            device="cpu",
            ladder_rows=(1,),
            hidden_count=16,
            max_request_rows=32,
            batch_wait_us=0,
        )
    )
    assert not model.HasField("training")
    assert list(model.layers) == []
    assert list(model.unchecked) == ["No manifest."]

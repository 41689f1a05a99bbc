"""Requests of every protocol with any of their fields wrong in any way: told why, and no harm done.

Each begins as a request that is answered; then fields of it, however deep, are cleared or get
anything that their type can hold.
"""

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Final

import grpc
import numpy as np
import pytest
from flatdense_proto.twin import inference_pb2 as oip
from flatdense_proto.twin import tensorflow_pb2 as tf
from flatdense_proto.twin import tensorflow_serving_pb2 as tfs
from flatdense_proto.v1 import classifier_pb2 as pb
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from server_process import ServerProcess

pytestmark = pytest.mark.xdist_group("server")

ROW: Final = bytes(range(256)) * 3 + bytes(16)

SAYINGS: Final = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.DEADLINE_EXCEEDED,  # a request's own timeout, which may be of no time
}

NAMES = ["", "images", "mnist", "classes", "probabilities", "explain", "1", "stable", "timeout"]
TYPES = ["UINT8", "FP32", "FP16", "BF16", "BYTES", "INT64"]
STRINGS = st.sampled_from(NAMES + TYPES) | st.text(max_size=5)

BYTES = st.sampled_from(
    [
        b"",
        ROW,
        ROW[1:],
        ROW * 2,
        np.full(784, np.nan, "<f4").tobytes(),
        np.full(784, -np.inf, "<f4").tobytes(),
        np.full(784, 0.5, "<f4").tobytes(),
        b"\xff" * 784,
    ]
) | st.binary(max_size=9)

SIZES = [0, 1, -1, 2, 28, 255, 256, 784, 1 << 31, (1 << 62) + 1, -(1 << 63), (1 << 63) - 1]

DEEPEST: Final = 8
"""Messages that hold messages of their own kind have no end."""

FLOATS = st.floats(width=32) | st.sampled_from([0.0, 0.5, 1.0])


def whole_numbers(lowest: int, highest: int) -> st.SearchStrategy[int]:
    """Any, and often those that mean something here."""
    fitting = [size for size in SIZES if lowest <= size <= highest]
    return st.sampled_from(fitting) | st.integers(lowest, highest)


SCALARS: Final[dict[int, st.SearchStrategy[Any]]] = {
    FieldDescriptor.CPPTYPE_INT32: whole_numbers(-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.CPPTYPE_INT64: whole_numbers(-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.CPPTYPE_UINT32: whole_numbers(0, (1 << 32) - 1),
    FieldDescriptor.CPPTYPE_UINT64: whole_numbers(0, (1 << 64) - 1),
    FieldDescriptor.CPPTYPE_DOUBLE: FLOATS,
    FieldDescriptor.CPPTYPE_FLOAT: FLOATS,
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_ENUM: st.integers(-1, 25) | st.just(1 << 30),
}


def scalar(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """Anything that a field's type can hold."""
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return BYTES if field.type == FieldDescriptor.TYPE_BYTES else STRINGS
    return SCALARS[field.cpp_type]


def spoil(draw: st.DrawFn, message: Message, depth: int = 0) -> None:
    """Clears a field, or gives it anything, or goes into it."""
    fields = list(message.DESCRIPTOR.fields)
    if not fields or depth == DEEPEST:
        return
    field = draw(st.sampled_from(fields))
    if draw(st.integers(0, 3)) == 0:
        message.ClearField(field.name)
        return
    held = getattr(message, field.name)
    entry = field.message_type
    if entry is None and not field.is_repeated:
        setattr(message, field.name, draw(scalar(field)))
    elif entry is None:
        held.extend([draw(scalar(field))] * draw(st.sampled_from([1, 1, 2, 3, 783, 784])))
    elif entry.GetOptions().map_entry:
        spoil_map(draw, held, entry.fields_by_name, depth)
    elif field.is_repeated:
        inner = held[0] if held and draw(st.booleans()) else held.add()
        spoil(draw, inner, depth + 1)
    else:
        held.SetInParent()
        spoil(draw, held, depth + 1)


def spoil_map(
    draw: st.DrawFn, held: MutableMapping[Any, Any], fields: dict[str, FieldDescriptor], depth: int
) -> None:
    """Puts an entry into a map, or changes one of it."""
    key = draw(scalar(fields["key"]))
    if fields["value"].message_type is None:
        held[key] = draw(scalar(fields["value"]))
    else:
        spoil(draw, held[key], depth + 1)


def infer() -> oip.ModelInferRequest:
    """A ModelInferRequest that is answered."""
    tensor = oip.ModelInferRequest.InferInputTensor(name="images", datatype="UINT8", shape=[1, 784])
    return oip.ModelInferRequest(inputs=[tensor], raw_input_contents=[ROW])


def predict() -> tfs.PredictRequest:
    """A PredictRequest that is answered."""
    shape = tf.TensorShapeProto(dim=[{"size": 1}, {"size": 784}])
    tensor = tf.TensorProto(dtype=tf.DT_UINT8, tensor_shape=shape, tensor_content=ROW)
    return tfs.PredictRequest(inputs={"images": tensor})


def classify_examples() -> tfs.ClassificationRequest:
    """A ClassificationRequest that is answered."""
    pixels = tf.Feature(float_list=tf.FloatList(value=[0.5] * 784))
    request = tfs.ClassificationRequest()
    example = request.input.example_list.examples.add()
    example.features.feature["images"].CopyFrom(pixels)
    return request


METHODS: Final[dict[str, Callable[[], Message]]] = {
    "flatdense.v1.Classifier/Classify": lambda: pb.ClassifyRequest(
        images=ROW, data_type=pb.DATA_TYPE_UINT8
    ),
    "flatdense.v1.Classifier/Explain": lambda: pb.ExplainRequest(
        images=ROW, data_type=pb.DATA_TYPE_UINT8
    ),
    "inference.GRPCInferenceService/ModelInfer": infer,
    "tensorflow.serving.PredictionService/Predict": predict,
    "tensorflow.serving.PredictionService/Classify": classify_examples,
}


@st.composite
def spoiled(draw: st.DrawFn) -> tuple[str, Message]:
    """A method and a request of it, with one to three things wrong."""
    method = draw(st.sampled_from(sorted(METHODS)))
    message = METHODS[method]()
    for _ in range(draw(st.integers(1, 3))):
        spoil(draw, message)
    return method, message


@pytest.fixture(scope="module")
def channel(server: ServerProcess) -> Iterator[grpc.Channel]:
    """A connection that sends whatever bytes it is given."""
    with grpc.insecure_channel(server.address) as channel:
        yield channel


@settings(max_examples=400, deadline=None)
@given(asked=spoiled())
def test_a_spoiled_request_is_told_why_and_hurts_no_other(
    channel: grpc.Channel, asked: tuple[str, Message]
) -> None:
    """It is answered, or ends with a caller's code and a sentence; the next call works."""
    method, message = asked
    call = channel.unary_unary(f"/{method}")
    code, text = outcome(call, message)
    assert code in SAYINGS | {grpc.StatusCode.OK}, text
    assert text or code is grpc.StatusCode.OK
    assert outcome(call, METHODS[method]())[0] is grpc.StatusCode.OK


def outcome(call: Callable[..., bytes], message: Message) -> tuple[grpc.StatusCode, str]:
    """How a call ends, and what is said of it."""
    try:
        call(message.SerializeToString(), timeout=30)
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""

"""The codec of Classify: examples to rows, classes and their scores to messages."""

from collections.abc import Callable

import numpy as np
import pytest
from flatdense_proto.twin import tensorflow_pb2 as tf
from flatdense_proto.twin import tensorflow_serving_pb2 as pb
from flatdense_server.errors import InvalidInput, NoSignature
from flatdense_server.protocols.tf_serving.classify import ClassifyCodec
from flatdense_server.summary import Identity
from flatdense_server.tensors import FLOAT32, PIXELS, UINT8, Outputs, Rows
from hypothesis import given
from hypothesis import strategies as st

CODEC = ClassifyCodec()
KINDS = st.sampled_from(["float_list", "int64_list", "bytes_list"])


def example(row: Rows, kind: str, name: str = "images") -> tf.Example:
    """An example with one feature; floats are scaled."""
    feature = tf.Feature()
    if kind == "bytes_list":
        feature.bytes_list.value.append(row.tobytes())
    elif kind == "int64_list":
        feature.int64_list.value.extend(row.tolist())
    else:
        feature.float_list.value.extend((row.astype(np.float32) / np.float32(255)).tolist())
    return tf.Example(features=tf.Features(feature={name: feature}))


def ask(*examples: tf.Example, signature: str = "") -> Rows:
    """The rows of a request."""
    request = pb.ClassificationRequest(
        model_spec=pb.ModelSpec(signature_name=signature),
        input=pb.Input(example_list=pb.ExampleList(examples=examples)),
    )
    return CODEC.parse(request.SerializeToString()).rows(max_rows=9)


@given(kinds=st.lists(KINDS, min_size=1, max_size=9), seed=st.integers(0, 99))
def test_rows_survive_the_wire(draw_rows: Callable[..., Rows], kinds: list[str], seed: int) -> None:
    """Pixels stay pixels; where one example has floats, all are scaled as the network does."""
    sent = draw_rows(len(kinds), seed=seed)
    got = ask(*map(example, sent, kinds))
    assert got.dtype == (FLOAT32 if "float_list" in kinds else UINT8)
    expected = sent / np.float32(255) if got.dtype == FLOAT32 else sent
    assert np.array_equal(got, expected.astype(got.dtype))


def test_a_context_is_part_of_every_example(draw_rows: Callable[..., Rows]) -> None:
    """What an example says itself goes before it."""
    rows = draw_rows(2)
    given_ = pb.ExampleListWithContext(
        context=example(rows[0], "bytes_list"),
        examples=[tf.Example(), example(rows[1], "bytes_list")],
    )
    request = pb.ClassificationRequest(input=pb.Input(example_list_with_context=given_))
    got = CODEC.parse(request.SerializeToString()).rows(max_rows=9)
    assert np.array_equal(got, rows)


@pytest.mark.parametrize(
    ("examples", "says"),
    [
        ([], "input.examples: expected 1 to 9 rows, got 0"),
        ([example(np.zeros(PIXELS, int), "int64_list")] * 10, "expected at most 9 rows"),
        (
            [tf.Example()],
            r"input.examples\[0\].features\[images\]: expected this feature, got \[\]",
        ),
        ([example(np.zeros(PIXELS, int), "int64_list", "pixels")], r"got \['pixels'\]"),
        ([example(np.zeros(783, int), "int64_list")], "expected 784 values, got 783"),
        ([example(np.full(PIXELS, 256), "int64_list")], "row 0, value 0 is 256"),
        ([example(np.full(PIXELS, np.nan), "float_list")], "row 0, value 0 is nan"),
        (
            [tf.Example(features=tf.Features(feature={"images": tf.Feature()}))],
            "expected a float_list, int64_list or bytes_list, got none",
        ),
    ],
)
def test_what_is_wrong_is_named(examples: list[tf.Example], says: str) -> None:
    """The example, what was expected, and what came."""
    with pytest.raises(InvalidInput, match=says):
        ask(*examples)


def test_a_request_without_examples_is_refused() -> None:
    """There is nothing to classify."""
    with pytest.raises(InvalidInput, match="expected an example_list, got none"):
        CODEC.parse(b"").rows(max_rows=1)


def test_a_signature_that_is_not_there_is_named(draw_rows: Callable[..., Rows]) -> None:
    """As by Predict."""
    with pytest.raises(NoSignature, match='"x" not found'):
        ask(example(draw_rows(1)[0], "bytes_list"), signature="x")


def test_every_class_has_its_score(predict: Callable[[Rows], Outputs]) -> None:
    """By name, in the order of the classes."""
    outputs = predict(np.eye(3, PIXELS, dtype=np.float32))
    names = tuple(f"class {index}" for index in range(10))
    data = CODEC.parse(b"").answer(outputs, Identity("mnist", 3, names))
    answer = pb.ClassificationResponse.FromString(data)
    found = answer.result.classifications
    assert [[each.label for each in row.classes] for row in found] == [list(names)] * 3
    scores = np.array([[each.score for each in row.classes] for row in found], np.float32)
    assert np.array_equal(scores, outputs.probabilities)
    assert answer.model_spec.version.value == 3

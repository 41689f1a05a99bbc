"""TensorFlow Serving's predict: what a worker is asked, and what its answer becomes."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
from flatdense_proto.twin import tensorflow_pb2 as tf
from flatdense_proto.twin import tensorflow_serving_pb2 as pb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

PATH = "/v1/models/mnist:predict"

SEVERAL = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

Images = npt.NDArray[Any]
Refusal = Callable[..., tuple[int, str]]
Predict = Callable[..., pb.PredictRequest]

FLOATS = np.random.default_rng(1).random((3, 10), np.float32)
INTEGERS = np.arange(3, dtype=np.int64) - (1 << 62)


def make_tensor(array: Images) -> tf.TensorProto:
    """An output, as workers write it."""
    kind = tf.DT_INT64 if array.dtype == np.int64 else tf.DT_FLOAT
    dim = [tf.TensorShapeProto.Dim(size=size) for size in array.shape]
    shape = tf.TensorShapeProto(dim=dim)
    return tf.TensorProto(dtype=kind, tensor_shape=shape, tensor_content=array.tobytes())


ANSWER = pb.PredictResponse(
    outputs={"probabilities": make_tensor(FLOATS), "classes": make_tensor(INTEGERS)}
)


@pytest.fixture(autouse=True)
def _answering(replies: dict[str, Any]) -> None:
    """The worker answers every request."""
    replies["Predict"] = ANSWER


@pytest.fixture
def predict(client: httpx.Client, asked: list[tuple[str, bytes]]) -> Predict:
    """Posts a request that is answered, and gives what the worker was asked."""

    def post(body: dict[str, Any], path: str = PATH) -> pb.PredictRequest:
        """See the fixture."""
        got = client.post(path, json=body)
        assert got.status_code == 200, got.text
        method, request = asked[-1]
        assert method == "/tensorflow.serving.PredictionService/Predict"
        return pb.PredictRequest.FromString(request)

    return post


# What a worker is asked


@SEVERAL
@given(
    images=arrays.arrays(
        np.float32,
        arrays.array_shapes(min_dims=1, max_dims=3, max_side=4),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    )
)
def test_every_form_of_the_same_images_is_the_same_request(
    predict: Predict, images: Images
) -> None:
    """Rows or columns, bare or by name; each float32 with its bits, in the shape of its lists."""
    values = images.tolist()
    forms = [
        {"instances": values},
        {"instances": [{"images": row} for row in values]},
        {"inputs": values},
        {"inputs": {"images": values}},
    ]
    first, *others = [predict(form) for form in forms]
    tensor = first.inputs["images"]
    assert (tensor.dtype, tensor.tensor_content) == (tf.DT_FLOAT, images.tobytes())
    assert [dim.size for dim in tensor.tensor_shape.dim] == [*images.shape]
    assert all(other == first for other in others)


def test_pixels_are_bytes_under_their_signature(predict: Predict) -> None:
    """JSON's numbers have no type: the signature says it."""
    body = {"instances": [[0, 128, 255]], "signature_name": "serving_uint8"}
    asked = predict(body)
    assert asked.model_spec.signature_name == "serving_uint8"
    assert asked.inputs["images"].dtype == tf.DT_UINT8
    assert asked.inputs["images"].tensor_content == bytes([0, 128, 255])


def test_whole_numbers_are_floats_elsewhere(predict: Predict) -> None:
    """JavaScript writes 1.0 as 1."""
    for signature in ({}, {"signature_name": "serving_default"}, {"signature_name": "explain"}):
        tensor = predict({"instances": [[0, 1, 0.5]], **signature}).inputs["images"]
        assert tensor.tensor_content == np.array([0, 1, 0.5], np.float32).tobytes()


def test_inputs_keep_their_names(predict: Predict) -> None:
    """A worker knows which there are."""
    for body in (
        {"instances": [{"a": [1], "b": 2}, {"b": 4, "a": [3]}]},
        {"inputs": {"a": [[1], [3]], "b": [2, 4]}},
    ):
        inputs = predict(body).inputs
        assert inputs["a"].tensor_content == np.array([1, 3], np.float32).tobytes()
        assert inputs["b"].tensor_content == np.array([2, 4], np.float32).tobytes()
        assert [dim.size for dim in inputs["a"].tensor_shape.dim] == [2, 1]
        assert [dim.size for dim in inputs["b"].tensor_shape.dim] == [2]


@pytest.mark.parametrize(
    ("path", "spec"),
    [
        ("", {}),
        ("/versions/7", {"version": {"value": 7}}),
        ("/versions/0", {"version": {"value": 0}}),
        ("/labels/stable", {"version_label": "stable"}),
        ("/labels/7", {"version_label": "7"}),
    ],
)
def test_the_path_names_the_version(predict: Predict, path: str, spec: dict[str, Any]) -> None:
    """By its number, or by a label, which may look like one."""
    asked = predict({"instances": [[1]]}, f"/v1/models/other{path}:predict")
    assert asked.model_spec == pb.ModelSpec(name="other", **spec)
    assert asked.model_spec.HasField("version") is ("version" in spec)


# What the answer becomes


def test_rows_are_answered_by_rows(client: httpx.Client) -> None:
    """Each with all outputs by name; floats and integers with every bit."""
    rows = client.post(PATH, json={"instances": [[1]]}).json()["predictions"]
    probabilities = np.array([row["probabilities"] for row in rows], np.float32)
    np.testing.assert_array_equal(probabilities, FLOATS)
    assert [row["classes"] for row in rows] == INTEGERS.tolist()


def test_columns_are_answered_by_columns(client: httpx.Client) -> None:
    """Each output once, nested as its shape is."""
    outputs = client.post(PATH, json={"inputs": [[1]]}).json()["outputs"]
    assert outputs == {"probabilities": FLOATS.tolist(), "classes": INTEGERS.tolist()}


def test_a_single_output_has_no_name(client: httpx.Client, replies: dict[str, Any]) -> None:
    """Its values stand alone, in either form."""
    replies["Predict"] = pb.PredictResponse(outputs={"only": make_tensor(FLOATS)})
    rows = client.post(PATH, json={"instances": [[1]]}).json()
    columns = client.post(PATH, json={"inputs": [[1]]}).json()
    assert (rows, columns) == ({"predictions": FLOATS.tolist()}, {"outputs": FLOATS.tolist()})


# What is refused

LONG = "x" * 1025


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body: expected JSON, got none"),
        ([], "the body: expected `object`, got `array`."),
        ({}, 'the body: expected "instances" or "inputs", got neither.'),
        ({"instances": [1], "inputs": [1]}, 'expected "instances" or "inputs", got both.'),
        ({"instances": 1}, "instances: expected a list, got a number."),
        ({"instances": None}, "instances: expected `float`, got `null`."),
        ({"instances": "abc"}, "instances: expected `float`, got `str`."),
        ({"instances": []}, "instances: expected at least one value, got none."),
        ({"instances": {"images": [1]}}, "instances: expected `float`, got `object`."),
        ({"instances": [[1], [1, 2]]}, "instances: expected lists of equal lengths, got unequal"),
        ({"instances": [1, {"images": 1}]}, "instances[1]: expected `float`, got `object`."),
        ({"instances": [{"images": 1}, 1]}, "instances[1]: expected `object`, got `int`."),
        ({"instances": [{"a": 1}, {"b": 1}]}, "expected the names of the first, a, got b."),
        ({"instances": [{"a": 1}, {}]}, "expected the names of the first, a, got none."),
        ({"instances": [{"a": [1]}, {"a": 1}]}, "instances[1].a: expected the shape of the first,"),
        ({"instances": [{"a": {"b64": "AA=="}}]}, "instances[0].a: expected `float`, got `object`"),
        ({"instances": [dict.fromkeys(map(str, range(65)), 1)]}, "at most 64, got 65."),
        ({"instances": [{LONG: 1}]}, "instances: expected at most 1024 characters, got 1025."),
        ({"instances": [["1"]]}, "instances[0][0]: expected `float`, got `str`."),
        ({"instances": [[1e39]]}, "instances[0][0]: expected float32 from"),
        ({"inputs": None}, "inputs: expected `float`, got `null`."),
        ({"inputs": {"a": "x"}}, "inputs.a: expected `float`, got `str`."),
        ({"inputs": dict.fromkeys(map(str, range(65)), 1)}, "inputs: expected at most 64, got 65."),
        ({"instances": [1], "signature_name": 1}, "signature_name: expected `str`, got `int`."),
        ({"instances": [1], "signature_name": LONG}, "signature_name: expected at most 1024"),
        (
            {"instances": [[0, 256]], "signature_name": "serving_uint8"},
            "instances[0][1]: expected uint8 from 0 to 255, got 256.",
        ),
        (
            {"instances": [[0.5]], "signature_name": "serving_uint8"},
            "instances[0][0]: expected `int`, got `float`.",
        ),
    ],
)
def test_what_is_wrong_is_named(
    refusal: Refusal, asked: list[tuple[str, bytes]], body: object, said: str
) -> None:
    """The entry, what was expected and what came; no worker is asked."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, message = refusal(PATH, content=content)
    assert status == 400
    assert said in message
    assert not asked


@pytest.mark.parametrize("version", ["x", "-1", "1.5", "9223372036854775808", "9" * 5000, "٣"])
def test_a_version_is_a_number(refusal: Refusal, version: str) -> None:
    """Labels have a path of their own."""
    status, message = refusal(f"/v1/models/mnist/versions/{version}:predict", json={})
    assert status == 400
    assert message.startswith("the version: expected a number from 0 to 9223372036854775807, got")

"""TensorFlow Serving's classify: examples of features, to classes and their scores."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from flatdense_proto.twin import tensorflow_pb2 as tf
from flatdense_proto.twin import tensorflow_serving_pb2 as pb

PATH = "/v1/models/mnist:classify"

SCORE = float(np.float32(0.1))


@pytest.fixture(autouse=True)
def _answering(replies: dict[str, Any]) -> None:
    """The worker answers every request."""
    row = pb.Classifications(classes=[pb.Class(label="0", score=SCORE), pb.Class(score=1)])
    replies["Classify"] = pb.ClassificationResponse(
        result=pb.ClassificationResult(classifications=[row, row])
    )


@pytest.fixture
def classify(
    client: httpx.Client, asked: list[tuple[str, bytes]]
) -> Callable[..., pb.ClassificationRequest]:
    """Posts a request that is answered, and gives what the worker was asked."""

    def post(body: dict[str, Any], path: str = PATH) -> pb.ClassificationRequest:
        """See the fixture."""
        got = client.post(path, json=body)
        assert got.status_code == 200, got.text
        method, request = asked[-1]
        assert method == "/tensorflow.serving.PredictionService/Classify"
        return pb.ClassificationRequest.FromString(request)

    return post


@pytest.mark.parametrize(
    ("value", "feature"),
    [
        ([0, 255], {"int64_list": {"value": [0, 255]}}),
        (7, {"int64_list": {"value": [7]}}),
        ([0.5, 0.25], {"float_list": {"value": [0.5, 0.25]}}),
        ([0, 0.5, 1], {"float_list": {"value": [0, 0.5, 1]}}),
        ({"b64": "AP8="}, {"bytes_list": {"value": [b"\x00\xff"]}}),
        ("é", {"bytes_list": {"value": ["é".encode()]}}),
        (["a", {"b64": ""}], {"bytes_list": {"value": [b"a", b""]}}),
        ([], {"int64_list": {}}),
    ],
)
def test_features_have_the_type_of_their_values(
    classify: Callable[..., pb.ClassificationRequest], value: object, feature: dict[str, Any]
) -> None:
    """Integers, or numbers, or bytes; one value is a list of one."""
    asked = classify({"examples": [{"images": value}, {}]})
    expected = tf.Example(features=tf.Features(feature={"images": tf.Feature(**feature)}))
    examples = [*asked.input.example_list.examples]
    assert examples == [expected, tf.Example(features=tf.Features())]


def test_what_surrounds_the_examples_is_passed_on(
    classify: Callable[..., pb.ClassificationRequest],
) -> None:
    """The signature, the version, and what all examples have in common."""
    body = {"examples": [{"images": [1]}], "context": {"pen": "blue"}, "signature_name": "c"}
    asked = classify(body, "/v1/models/mnist/versions/3:classify")
    assert asked.model_spec.version.value == 3
    assert asked.model_spec.signature_name == "c"
    given = asked.input.example_list_with_context
    assert len(given.examples) == 1
    assert given.context.features.feature["pen"].bytes_list.value == [b"blue"]


def test_results_are_pairs_of_label_and_score(client: httpx.Client) -> None:
    """A list of them for each example; the score has the bits of the worker's."""
    got = client.post(PATH, json={"examples": [{"images": [1]}]}).json()
    assert got == {"results": [[["0", SCORE], ["", 1.0]]] * 2}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "the body: object missing required field `examples`."),
        ({"examples": 1}, "examples: expected `array`, got `int`."),
        ({"examples": [1]}, "examples[0]: expected `object`, got `int`."),
        (
            {"examples": [{"a": [1, "x"]}]},
            "examples[0].a: expected numbers, or text and bytes, got",
        ),
        ({"examples": [{"a": [[1]]}]}, "expected `int | float | str | object`, got `array`."),
        ({"examples": [{"a": None}]}, "got `null`."),
        ({"examples": [{"a": True}]}, "got `bool`."),
        ({"examples": [{"a": {"b64": "*"}}]}, "expected base64, got something else."),
        ({"examples": [{"a": {"b65": ""}}]}, "object contains unknown field `b65`."),
        ({"examples": [{"a": 1 << 63}]}, "examples[0].a: expected an integer of 64 bits, got"),
        ({"examples": [{"a": [0.5, 1e39]}]}, "examples[0].a: expected numbers of at most"),
        ({"examples": [], "context": []}, "context: expected `object | null`, got `array`."),
        ({"examples": [], "signature_name": 1}, "signature_name: expected `str`, got `int`."),
    ],
)
def test_what_is_wrong_is_named(
    client: httpx.Client, asked: list[tuple[str, bytes]], body: object, said: str
) -> None:
    """The feature, what was expected and what came; no worker is asked."""
    got = client.post(PATH, content=json.dumps(body))
    assert got.status_code == 400
    assert said in got.json()["error"]
    assert not asked

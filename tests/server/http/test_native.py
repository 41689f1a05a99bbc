"""Explain and the summary by REST."""

from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from flatdense_proto.v1 import classifier_pb2 as pb

EXPLAIN = "/v1/models/mnist:explain"

BYTES = {"signature_name": "serving_uint8"}


def floats(*values: float) -> bytes:
    """As the wire has them."""
    return np.array(values, "<f4").tobytes()


ANSWER = pb.ExplainResponse(
    model_name="mnist",
    model_version=7,
    classes=[1, 0],
    probabilities=floats(0.25, 0.75, 0.5, 0.5),
    logits=floats(1, 2, 3, 4),
    hidden=floats(1, 2, 3, 4, 5, 6),
    explained_classes=[1, 1],
    contributions=floats(*range(8)),
    bias_contributions=floats(0.5, -0.5),
)


@pytest.fixture
def question(
    client: httpx.Client, replies: dict[str, Any], asked: list[tuple[str, bytes]]
) -> Callable[..., pb.ExplainRequest]:
    """Posts to a path, and gives what the worker was asked."""
    replies["Explain"] = ANSWER

    def post(path: str = EXPLAIN, **document: Any) -> pb.ExplainRequest:  # noqa: ANN401
        """See the fixture."""
        assert client.post(path, json=document).status_code == 200
        method, message = asked[-1]
        assert method == "/flatdense.v1.Classifier/Explain"
        return pb.ExplainRequest.FromString(message)

    return post


def test_explain_gives_each_row_its_own(client: httpx.Client, replies: dict[str, Any]) -> None:
    """Every field of the native answer, a row at a time."""
    replies["Explain"] = ANSWER
    answer = client.post(EXPLAIN, json={"instances": [[0] * 784] * 2})
    assert answer.json() == {
        "model_name": "mnist",
        "model_version": "7",
        "explanations": [
            {
                "class": 1,
                "probabilities": [0.25, 0.75],
                "logits": [1, 2],
                "hidden": [1, 2, 3],
                "explained_class": 1,
                "contributions": [0, 1, 2, 3],
                "bias_contribution": 0.5,
            },
            {
                "class": 0,
                "probabilities": [0.5, 0.5],
                "logits": [3, 4],
                "hidden": [4, 5, 6],
                "explained_class": 1,
                "contributions": [4, 5, 6, 7],
                "bias_contribution": -0.5,
            },
        ],
    }


def test_images_are_floats_or_bytes(question: Callable[..., pb.ExplainRequest]) -> None:
    """As with :predict, the signature says which; flat or 28 by 28."""
    row = [i % 256 for i in range(784)]
    asked = question(instances=[row], **BYTES)
    assert (asked.images, asked.data_type) == (bytes(row), pb.DATA_TYPE_UINT8)
    square = np.linspace(0, 1, 784, dtype=np.float32).reshape(1, 28, 28)
    asked = question(instances=square.tolist())
    assert (asked.images, asked.data_type) == (square.tobytes(), pb.DATA_TYPE_FP32)


@pytest.mark.parametrize(
    ("path", "choice"),
    [
        (EXPLAIN, None),
        ("/v1/models/mnist/versions/3:explain", "version"),
        ("/v1/models/mnist/labels/stable:explain", "label"),
    ],
)
def test_paths_name_a_version(
    question: Callable[..., pb.ExplainRequest], path: str, choice: str | None
) -> None:
    """By its number, by its label, or not at all."""
    asked = question(path, instances=[[0] * 784])
    assert asked.model.name == "mnist"
    assert asked.model.WhichOneof("choice") == choice


def test_a_class_may_be_named(question: Callable[..., pb.ExplainRequest]) -> None:
    """0 too; without it, none is."""
    assert question(instances=[[0] * 784], class_index=0).HasField("class_index")
    assert question(instances=[[0] * 784], class_index=9).class_index == 9
    assert not question(instances=[[0] * 784]).HasField("class_index")


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({}, "instances"),
        ({"instances": 3}, "expected a list"),
        ({"instances": [[0] * 783]}, "expected rows of [784] or [28, 28], got [783]."),
        ({"instances": [0] * 784}, "expected rows of [784]"),
        ({"instances": [{"other": [0] * 784}]}, "expected images alone"),
        ({"instances": [[256] * 784], **BYTES}, "expected uint8 from 0 to 255"),
        ({"instances": [[0] * 784], "class_index": 1 << 63}, "64 bits"),
        ({"instances": [[0] * 784], "class_index": "3"}, "class_index"),
        ({"instances": [[0] * 784], "signature_name": 3}, "signature_name"),
    ],
)
def test_what_is_not_understood_is_refused(
    refusal: Callable[..., tuple[int, str]], document: dict[str, Any], told: str
) -> None:
    """400 with a sentence that names the field."""
    status, sentence = refusal(EXPLAIN, json=document)
    assert status == 400
    assert told in sentence


@pytest.mark.parametrize("path", ["", "/versions/7", "/labels/stable"])
def test_the_summary_is_what_get_model_says(
    client: httpx.Client, replies: dict[str, Any], path: str
) -> None:
    """Every field under its name, and numbers as numbers."""
    replies["GetModel"] = pb.GetModelResponse(
        name="mnist",
        version=7,
        available_versions=[6, 7],
        layers=[pb.Layer(name="hidden", kind="Dense", output_shape=[256], parameters=200_960)],
        versions=[pb.VersionStatus(version=7, state="ready", labels=["stable"])],
    )
    told = client.get(f"/v1/models/mnist{path}/summary").json()
    assert (told["name"], told["version"], told["available_versions"]) == ("mnist", 7, [6, 7])
    assert told["layers"][0]["parameters"] == 200_960
    assert told["versions"] == [
        {"version": 7, "state": "ready", "reason": "", "labels": ["stable"]}
    ]
    assert "training" not in told

"""`curl`, as a person types it, against a running server: both REST protocols."""

import gzip
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import Predictions
from server_process import ServerProcess

CURL = shutil.which("curl")

pytestmark = [
    pytest.mark.xdist_group("stock"),
    pytest.mark.skipif(CURL is None, reason="no curl: apt-get install curl"),
]

Images: TypeAlias = npt.NDArray[Any]
Native: TypeAlias = Callable[[Images], Predictions]
Curl: TypeAlias = Callable[..., tuple[int, Any]]

PREDICT = "v1/models/mnist:predict"
INFER = "v2/models/mnist/infer"
ROW = [0.0] * 784


@pytest.fixture(scope="module")
def curl(server: ServerProcess) -> Curl:
    """Calls a path of the HTTP port; gives the status and what the JSON says, None where empty."""

    def call(path: str, *options: str | Path, body: object = None) -> tuple[int, Any]:
        command = [CURL, "--silent", "--show-error", "--write-out", "\n%{http_code}", *options]
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            command += ["--header", "Content-Type: application/json", "--data-binary", "@-"]
        done = subprocess.run(
            [*command, server.page + path], input=data, capture_output=True, check=True, timeout=60
        )
        text, _, status = done.stdout.rpartition(b"\n")
        return int(status), json.loads(text) if text else None

    return call


def check(probabilities: object, classes: object, expected: Predictions) -> None:
    """Numbers of a JSON text have the bits of the native ones."""
    np.testing.assert_array_equal(np.array(probabilities, np.float32), expected.probabilities)
    np.testing.assert_array_equal(np.array(classes, np.int64), expected.classes)


def signature(images: Images) -> str:
    """The one that takes values of this type."""
    return "serving_uint8" if images.dtype == np.uint8 else "serving_default"


# TensorFlow Serving's REST


def test_rows_are_predicted_row_by_row(curl: Curl, images: Images, native: Native) -> None:
    """`instances`, bare or named, flat or not, give one prediction each: the native one."""
    square = images.reshape(-1, 28, 28).tolist()
    for instances in (images.tolist(), square, [{"images": row} for row in images.tolist()]):
        body = {"signature_name": signature(images), "instances": instances}
        status, told = curl(PREDICT, body=body)
        assert status == 200, told
        rows = told["predictions"]
        probabilities = [row["probabilities"] for row in rows]
        check(probabilities, [row["classes"] for row in rows], native(images))


def test_rows_are_predicted_column_by_column(curl: Curl, images: Images, native: Native) -> None:
    """`inputs`, bare or named, give each output once, for all rows."""
    for inputs in (images.tolist(), {"images": images.tolist()}):
        body = {"signature_name": signature(images), "inputs": inputs}
        status, told = curl(PREDICT, body=body)
        assert status == 200, told
        check(told["outputs"]["probabilities"], told["outputs"]["classes"], native(images))


def test_whole_numbers_may_be_floats(curl: Curl, native: Native) -> None:
    """JavaScript writes 1.0 as 1: in the default signature both are 1.0, black or white."""
    ink = np.random.default_rng(2).integers(0, 2, (3, 784))
    status, told = curl(PREDICT, body={"instances": ink.tolist()})
    assert status == 200, told
    rows = told["predictions"]
    probabilities = [row["probabilities"] for row in rows]
    check(probabilities, [row["classes"] for row in rows], native(ink.astype(np.float32)))


def test_examples_are_classified(curl: Curl, pixels: npt.NDArray[np.uint8], native: Native) -> None:
    """Each example gets every class with its native probability, in the order of the classes."""
    images = pixels.astype(np.float32) / np.float32(255)
    body = {"examples": [{"images": row} for row in images.tolist()]}
    status, told = curl("v1/models/mnist:classify", body=body)
    assert status == 200, told
    expected = native(images)
    scores = [[score for _, score in row] for row in told["results"]]
    np.testing.assert_array_equal(np.array(scores, np.float32), expected.probabilities)
    assert [label for label, _ in told["results"][0]] == list(expected[0].class_names)


def test_the_status_of_versions_is_told(curl: Curl) -> None:
    """All of them, or one by its number or label."""
    available = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    first, second = ({"version": version, **available} for version in ("1", "2"))
    status, told = curl("v1/models/mnist")
    assert (status, sorted(told["model_version_status"], key=lambda one: one["version"])) == (
        200,
        [first, second],
    )
    for path in ("versions/2", "labels/canary"):
        status, told = curl(f"v1/models/mnist/{path}")
        assert (status, told) == (200, {"model_version_status": [second]})


def test_metadata_has_the_signatures(curl: Curl) -> None:
    """In the JSON that TensorFlow Serving makes of GetModelMetadata."""
    status, told = curl("v1/models/mnist/metadata")
    assert status == 200, told
    assert told["model_spec"] == {"name": "mnist", "signature_name": "", "version": "1"}
    signatures = told["metadata"]["signature_def"]["signature_def"]
    given = signatures["serving_default"]["inputs"]["images"]
    assert given["dtype"] == "DT_FLOAT"
    assert [dim["size"] for dim in given["tensor_shape"]["dim"]] == ["-1", "784"]
    assert {"serving_uint8", "explain"} <= set(signatures)
    assert set(signatures["explain"]["outputs"]) == {"probabilities", "classes", "hidden"}


@pytest.mark.parametrize("path", ["", "/versions/1", "/versions/2", "/labels/canary"])
def test_a_version_is_chosen_by_the_path(curl: Curl, path: str) -> None:
    """By its number or its label, in either protocol's way of writing it."""
    status, told = curl(f"v1/models/mnist{path}:predict", body={"instances": [ROW]})
    assert (status, len(told["predictions"])) == (200, 1)


# The Open Inference Protocol's REST


def question(images: Images) -> dict[str, Any]:
    """An infer request with its values in the JSON."""
    kind = "UINT8" if images.dtype == np.uint8 else "FP32"
    shape = list(images.shape)
    data = images.tolist()
    return {"inputs": [{"name": "images", "shape": shape, "datatype": kind, "data": data}]}


def test_tensors_are_inferred(curl: Curl, images: Images, native: Native) -> None:
    """Values nested or in a row give the native answer; so do the same bytes compressed."""
    body = question(images)
    flat = question(images)
    flat["inputs"][0]["data"] = images.ravel().tolist()
    zipped = ("--header", "Content-Encoding: gzip", "--compressed")
    for told in (
        curl(INFER, body=body),
        curl(INFER, body=flat),
        curl(INFER, *zipped, body=gzip.compress(json.dumps(body).encode())),
        curl(INFER, "--header", "Transfer-Encoding: chunked", body=body),
    ):
        status, answer = told
        assert status == 200, answer
        outputs = {output["name"]: output for output in answer["outputs"]}
        assert outputs["probabilities"]["shape"] == [len(images), 10]
        assert outputs["classes"]["datatype"] == "INT64"
        got = np.array(outputs["probabilities"]["data"], np.float32).reshape(-1, 10)
        check(got, outputs["classes"]["data"], native(images))


def test_values_may_stand_behind_the_json(
    curl: Curl, pixels: npt.NDArray[np.uint8], native: Native
) -> None:
    """With the length of the JSON in a header, as Triton's binary extension has it."""
    values = pixels.tobytes()
    body = question(pixels)
    del body["inputs"][0]["data"]
    body["inputs"][0]["parameters"] = {"binary_data_size": len(values)}
    head = json.dumps(body).encode()
    length = f"Inference-Header-Content-Length: {len(head)}"
    status, answer = curl(INFER, "--header", length, body=head + values)
    assert status == 200, answer
    outputs = {output["name"]: output for output in answer["outputs"]}
    got = np.array(outputs["probabilities"]["data"], np.float32).reshape(-1, 10)
    check(got, outputs["classes"]["data"], native(pixels))


@pytest.mark.parametrize(
    "path",
    [
        "v2/health/live",
        "v2/health/ready",
        "v2",
        "v2/models/mnist",
        "v2/models/mnist/ready",
        "v2/models/mnist/config",
        "v2/models/mnist/stats",
        "v2/models/mnist/versions/2",
        "v2/models/mnist/versions/2/ready",
    ],
)
def test_what_is_told_is_told_to_a_get(curl: Curl, path: str) -> None:
    """Each path of the protocol that needs no body."""
    status, _ = curl(path)
    assert status == 200


# Refusals


BAD = {
    "no JSON": (PREDICT, b"{", 400),
    "no object": (PREDICT, [], 400),
    "neither instances nor inputs": (PREDICT, {}, 400),
    "both": (PREDICT, {"instances": [ROW], "inputs": [ROW]}, 400),
    "a short row": (PREDICT, {"instances": [ROW[1:]]}, 400),
    "ragged rows": (PREDICT, {"instances": [ROW, ROW[1:]]}, 400),
    "words": (PREDICT, {"instances": ["seven"]}, 400),
    "not a number": (PREDICT, b'{"instances": [[NaN]]}', 400),
    "an unknown input": (PREDICT, {"inputs": {"image": [ROW]}}, 400),
    "an unknown model": ("v1/models/other:predict", {"instances": [ROW]}, 404),
    "an unknown version": ("v1/models/mnist/versions/9:predict", {"instances": [ROW]}, 404),
    "an unknown label": ("v1/models/mnist/labels/nightly:predict", {"instances": [ROW]}, 404),
    "an unknown verb": ("v1/models/mnist:guess", {"instances": [ROW]}, 404),
    "no JSON for v2": (INFER, b"{", 400),
    "no inputs": (INFER, {}, 400),
    "a wrong shape": (INFER, {"inputs": [{**question(np.zeros((1, 783)))["inputs"][0]}]}, 400),
    "another model": ("v2/models/other/infer", question(np.zeros((1, 784), np.uint8)), 404),
    "another path": ("v2/models/mnist/guess", {}, 404),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_request_is_refused_in_json(curl: Curl, case: str) -> None:
    """With its status, and one sentence under `error`."""
    path, body, expected = BAD[case]
    status, told = curl(path, body=body)
    assert (status, set(told)) == (expected, {"error"}), told
    assert len(told["error"]) > 10


def test_an_unknown_signature_is_refused_as_tensorflow_serving_does(curl: Curl) -> None:
    """400, and its words."""
    status, told = curl(PREDICT, body={"signature_name": "logits", "instances": [ROW]})
    assert status == 400
    assert told["error"].startswith('Serving signature key "logits" not found.')


@pytest.mark.parametrize("path", [PREDICT, INFER])
def test_another_method_is_not_allowed(curl: Curl, path: str) -> None:
    """A GET of what wants a POST is refused as that."""
    status, told = curl(path)
    assert status == 405
    assert set(told) == {"error"}

"""TensorFlow Serving's REST without a body: status and metadata."""

from typing import Any

import grpc
import httpx
import pytest
from flatdense_proto.twin import tensorflow_pb2 as tf
from flatdense_proto.twin import tensorflow_serving_pb2 as pb
from google.protobuf.any_pb2 import Any as Packed


@pytest.mark.parametrize(
    ("path", "spec"),
    [
        ("", pb.ModelSpec(name="mnist")),
        ("/versions/2", pb.ModelSpec(name="mnist", version={"value": 2})),
        ("/labels/stable", pb.ModelSpec(name="mnist", version_label="stable")),
    ],
)
def test_the_status_is_that_of_the_protocol(
    client: httpx.Client,
    replies: dict[str, Any],
    asked: list[tuple[str, bytes]],
    path: str,
    spec: pb.ModelSpec,
) -> None:
    """Versions as text, states and codes by name; OK where there is no fault."""
    status = pb.ModelVersionStatus
    replies["GetModelStatus"] = pb.GetModelStatusResponse(
        model_version_status=[
            status(version=2, state="AVAILABLE"),
            status(version=1, state="END", status={"error_code": 13, "error_message": "damaged"}),
        ]
    )
    got = client.get(f"/v1/models/mnist{path}")
    ok = {"error_code": "OK", "error_message": ""}
    damaged = {"error_code": "INTERNAL", "error_message": "damaged"}
    assert got.json() == {
        "model_version_status": [
            {"version": "2", "state": "AVAILABLE", "status": ok},
            {"version": "1", "state": "END", "status": damaged},
        ]
    }
    ((method, request),) = asked
    assert method == "/tensorflow.serving.ModelService/GetModelStatus"
    assert pb.GetModelStatusRequest.FromString(request).model_spec == spec


def test_the_metadata_are_the_signatures(
    client: httpx.Client, replies: dict[str, Any], asked: list[tuple[str, bytes]]
) -> None:
    """Sizes as text, types by name, every field; the number of the version that answered."""
    shape = tf.TensorShapeProto(dim=[{"size": -1}, {"size": 784}])
    signature = tf.SignatureDef(
        inputs={"images": tf.TensorInfo(name="x:0", dtype="DT_FLOAT", tensor_shape=shape)},
        method_name="tensorflow/serving/predict",
    )
    packed = Packed(
        type_url="type.googleapis.com/tensorflow.serving.SignatureDefMap",
        value=pb.SignatureDefMap(signature_def={"serving_default": signature}).SerializeToString(),
    )
    replies["GetModelMetadata"] = pb.GetModelMetadataResponse(
        model_spec={"name": "mnist", "version": {"value": 2}}, metadata={"signature_def": packed}
    )
    got = client.get("/v1/models/mnist/labels/stable/metadata").json()
    assert got["model_spec"] == {"name": "mnist", "signature_name": "", "version": "2"}
    dims = [{"size": "-1", "name": ""}, {"size": "784", "name": ""}]
    images = {
        "name": "x:0",
        "dtype": "DT_FLOAT",
        "tensor_shape": {"dim": dims, "unknown_rank": False},
    }
    default = {
        "inputs": {"images": images},
        "outputs": {},
        "method_name": "tensorflow/serving/predict",
    }
    expected = {"signature_def": {"signature_def": {"serving_default": default}}}
    assert got["metadata"] == expected
    ((_, request),) = asked
    sent = pb.GetModelMetadataRequest.FromString(request)
    assert [*sent.metadata_field] == ["signature_def"]
    assert sent.model_spec.version_label == "stable"


def test_what_a_worker_refuses_keeps_its_words(
    client: httpx.Client, replies: dict[str, Any]
) -> None:
    """They are TensorFlow Serving's, where it has some."""
    replies["GetModelStatus"] = (grpc.StatusCode.NOT_FOUND, "Could not find any versions of x")
    got = client.get("/v1/models/x")
    expected = (404, {"error": "Could not find any versions of x"})
    assert (got.status_code, got.json()) == expected

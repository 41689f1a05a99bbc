"""The stubs of `tensorflow-serving-api`, unchanged, against a running server: run as a script.

Called with the server's address and the folder of the SavedModel that it serves; test_tf_serving.py
does so. TensorFlow is in this process alone: it takes seconds and a gigabyte, and its messages are
registered under names that nothing else here may then have.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from flatdense_client import Client, Predictions
from google.protobuf.wrappers_pb2 import Int64Value
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

Images: TypeAlias = npt.NDArray[Any]
Native: TypeAlias = Callable[[Images], Predictions]

MODEL = "mnist"
IMAGE = np.random.default_rng(0).integers(0, 256, (1, 784), dtype=np.uint8)
SIGNATURES = ("serving_default", "serving_uint8", "explain")

Stub: TypeAlias = prediction_service_pb2_grpc.PredictionServiceStub
Status: TypeAlias = get_model_status_pb2.ModelVersionStatus


class Given:
    """What this is called with, as fixtures."""

    def __init__(self, address: str, folder: str) -> None:
        self._address = address
        self._folder = folder

    @pytest.fixture(scope="session")
    def address(self) -> str:
        """Where the server is."""
        return self._address

    @pytest.fixture(scope="session")
    def folder(self) -> Path:
        """The SavedModel that is served as both versions."""
        return Path(self._folder)


@pytest.fixture(scope="session")
def native(address: str) -> Iterator[Native]:
    """What the native protocol answers to rows."""
    with Client(address) as client:
        yield client.classify


@pytest.fixture(scope="session")
def channel(address: str) -> Iterator[grpc.Channel]:
    """One connection."""
    with grpc.insecure_channel(address) as channel:
        yield channel


@pytest.fixture(scope="session")
def stub(channel: grpc.Channel) -> Stub:
    """The stock stubs of PredictionService."""
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="session")
def get_status(channel: grpc.Channel) -> Callable[..., list[Status]]:
    """The stock stub of ModelService's one method, by what its ModelSpec has."""
    stub = model_service_pb2_grpc.ModelServiceStub(channel)

    def call(**spec: Any) -> list[Status]:  # noqa: ANN401 -- the message's fields
        asked = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
        return list(stub.GetModelStatus(asked).model_version_status)

    return call


def ask(
    tensor: TensorProto | Images, *outputs: str, name: str = MODEL, **spec: object
) -> predict_pb2.PredictRequest:
    """A request as users of the stubs write it."""
    request = predict_pb2.PredictRequest(output_filter=outputs)
    request.model_spec.CopyFrom(model_pb2.ModelSpec(name=name, **spec))
    made = tf.make_tensor_proto(tensor) if isinstance(tensor, np.ndarray) else tensor
    request.inputs["images"].CopyFrom(made)
    return request


def listed(images: Images) -> TensorProto:
    """A tensor whose values stand one by one."""
    made = tf.make_tensor_proto(images[:0], shape=images[:0].shape)
    made.tensor_shape.dim[0].size = len(images)
    field = "float_val" if images.dtype == np.float32 else "int_val"
    getattr(made, field).extend(images.ravel().tolist())
    return made


def arrays(response: predict_pb2.PredictResponse) -> dict[str, Images]:
    """The outputs as TensorFlow reads them."""
    return {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}


def check(response: predict_pb2.PredictResponse, expected: Predictions) -> None:
    """An answer has the bits of the native one."""
    got = arrays(response)
    assert (got["probabilities"].dtype, got["classes"].dtype) == (np.float32, np.int64)
    np.testing.assert_array_equal(got["probabilities"], expected.probabilities)
    np.testing.assert_array_equal(got["classes"], expected.classes)


# Predict


def test_an_answer_is_the_native_one(stub: Stub, images: Images, native: Native) -> None:
    """Whatever the rows and their type, each bit is the native protocol's."""
    response = stub.Predict(ask(images))
    check(response, native(images))
    assert set(response.outputs) == {"probabilities", "classes"}
    spec = response.model_spec
    assert (spec.name, spec.version.value) == (MODEL, 1)
    assert spec.signature_name == "serving_default"


def test_values_may_stand_one_by_one(stub: Stub, images: Images, native: Native) -> None:
    """The answer is the same, and has its values in the form that the request has."""
    for tensor, as_content in ((listed(images), False), (tf.make_tensor_proto(images), True)):
        response = stub.Predict(ask(tensor))
        check(response, native(images))
        for output in response.outputs.values():
            assert bool(output.tensor_content) == as_content


def test_one_value_stands_for_all_that_are_missing(stub: Stub, native: Native) -> None:
    """TensorFlow's shorthand for a constant is understood."""
    tensor = tf.make_tensor_proto(np.float32(0.5), shape=[3, 784])
    assert len(tensor.float_val) == 1
    check(stub.Predict(ask(tensor)), native(np.full((3, 784), 0.5, np.float32)))


def test_images_need_not_be_flat(stub: Stub, images: Images, native: Native) -> None:
    """[N, 28, 28] is answered as [N, 784]."""
    check(stub.Predict(ask(images.reshape(-1, 28, 28))), native(images))


@pytest.mark.parametrize("kind", [np.float16, np.float64, np.int32, np.int64])
def test_other_types_are_answered_as_the_nearest(
    stub: Stub, pixels: npt.NDArray[np.uint8], native: Native, kind: type[np.generic]
) -> None:
    """DT_HALF and DT_DOUBLE as the float32 that they round to, DT_INT32 and DT_INT64 as pixels."""
    if issubclass(kind, np.floating):
        images: Images = (pixels / 255).astype(kind)
        check(stub.Predict(ask(images)), native(images.astype(np.float32)))
    else:
        check(stub.Predict(ask(pixels.astype(kind))), native(pixels))


def test_pixels_have_a_signature_of_their_own(
    stub: Stub, pixels: npt.NDArray[np.uint8], native: Native
) -> None:
    """serving_uint8 takes DT_UINT8, gives the native answer, and is named in it."""
    response = stub.Predict(ask(pixels, signature_name="serving_uint8"))
    check(response, native(pixels))
    assert response.model_spec.signature_name == "serving_uint8"
    with pytest.raises(grpc.RpcError) as refused:
        stub.Predict(ask(pixels.astype(np.float32), signature_name="serving_uint8"))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_explain_adds_the_hidden_activations(
    stub: Stub, images: Images, native: Native, folder: Path
) -> None:
    """They are those of the SavedModel in TensorFlow; the other outputs are as for float rows."""
    response = stub.Predict(ask(images, signature_name="explain"))
    assert set(response.outputs) == {"probabilities", "classes", "hidden"}
    scaled = images if images.dtype == np.float32 else images.astype(np.float32) / np.float32(255)
    check(response, native(scaled))
    hidden = arrays(response)["hidden"]
    truth = tf.saved_model.load(str(folder)).signatures["explain"](images=tf.constant(scaled))
    assert hidden.shape == (len(images), 256)
    # Each is a sum of 784 products, which TensorFlow adds in another order.
    np.testing.assert_allclose(hidden, truth["hidden"].numpy(), rtol=1e-5, atol=5e-5)


@pytest.mark.parametrize("signature", SIGNATURES)
def test_a_filter_leaves_what_it_names(stub: Stub, signature: str) -> None:
    """One output, of whatever signature."""
    response = stub.Predict(ask(IMAGE, "classes", signature_name=signature))
    assert set(response.outputs) == {"classes"}


@pytest.mark.parametrize(
    ("choice", "answered"),
    [
        ({}, 1),
        ({"version": Int64Value(value=1)}, 1),
        ({"version": Int64Value(value=2)}, 2),
        ({"version_label": "canary"}, 2),
        ({"version_label": "stable"}, 1),
    ],
)
def test_a_version_is_chosen_by_number_or_label(
    stub: Stub, choice: dict[str, Any], answered: int
) -> None:
    """The answer says which version it is from."""
    assert stub.Predict(ask(IMAGE, **choice)).model_spec.version.value == answered


def test_compressed_requests_are_understood(stub: Stub, images: Images, native: Native) -> None:
    """The answer is the same."""
    check(stub.Predict(ask(images), compression=grpc.Compression.Gzip), native(images))


def test_the_stubs_work_in_asyncio(address: str, images: Images, native: Native) -> None:
    """Over a channel of grpc.aio each call is answered."""

    async def call() -> predict_pb2.PredictResponse:
        """Over a channel of its own."""
        async with grpc.aio.insecure_channel(address) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            return await stub.Predict(ask(images))

    check(asyncio.run(call()), native(images))


# Classify


def example(row: Images, kind: str) -> Any:  # noqa: ANN401 -- a tf.train.Example
    """One row as a feature of this kind."""
    if kind == "float_list":
        feature = tf.train.Feature(float_list=tf.train.FloatList(value=row))
    elif kind == "int64_list":
        feature = tf.train.Feature(int64_list=tf.train.Int64List(value=row))
    else:
        feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[row.tobytes()]))
    return tf.train.Example(features=tf.train.Features(feature={"images": feature}))


@pytest.mark.parametrize("kind", ["float_list", "int64_list", "bytes_list"])
def test_examples_are_classified(
    stub: Stub, pixels: npt.NDArray[np.uint8], native: Native, kind: str
) -> None:
    """Each gets every class and its native probability, in the order of the classes."""
    rows: Images = pixels.astype(np.float32) / np.float32(255) if kind == "float_list" else pixels
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = MODEL
    request.input.example_list.examples.extend(example(row, kind) for row in rows)
    response = stub.Classify(request)
    expected = native(rows)
    told = response.result.classifications
    scores = np.array([[one.score for one in row.classes] for row in told], np.float32)
    np.testing.assert_array_equal(scores, expected.probabilities)
    labels = {tuple(one.label for one in row.classes) for row in told}
    assert labels == {expected[0].class_names}
    assert (response.model_spec.name, response.model_spec.version.value) == (MODEL, 1)


def test_a_bad_example_is_refused(stub: Stub) -> None:
    """One without the feature, one of another length, and no example at all."""
    for examples in (
        [],
        [tf.train.Example()],
        [example(IMAGE[0], "int64_list"), example(IMAGE[0, 1:], "int64_list")],
        [example(np.full(784, np.nan, np.float32), "float_list")],
    ):
        request = classification_pb2.ClassificationRequest()
        request.model_spec.name = MODEL
        request.input.example_list.examples.extend(examples)
        with pytest.raises(grpc.RpcError) as refused:
            stub.Classify(request)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


# What the server says of the model


def test_metadata_has_the_signatures_of_the_saved_model(stub: Stub, folder: Path) -> None:
    """What comes in the Any is what saved_model.pb says of each signature that is served."""
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = MODEL
    response = stub.GetModelMetadata(request)
    told = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(told)
    assert (response.model_spec.name, response.model_spec.version.value) == (MODEL, 1)
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    truth = saved.meta_graphs[0].signature_def
    assert set(told.signature_def) >= set(SIGNATURES)
    for name in SIGNATURES:
        ours, theirs = told.signature_def[name], truth[name]
        assert ours.method_name == theirs.method_name
        for side in ("inputs", "outputs"):
            assert describe(getattr(ours, side)) == describe(getattr(theirs, side)), name


def describe(tensors: Any) -> dict[str, tuple[int, list[int]]]:  # noqa: ANN401 -- a map of messages
    """Each tensor's type and shape."""
    return {
        name: (info.dtype, [dim.size for dim in info.tensor_shape.dim])
        for name, info in tensors.items()
    }


def test_metadata_of_other_kinds_is_refused(stub: Stub) -> None:
    """INVALID_ARGUMENT without a field, and for another one than signature_def."""
    for fields in ([], ["graph_def"]):
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
        request.model_spec.name = MODEL
        with pytest.raises(grpc.RpcError) as refused:
            stub.GetModelMetadata(request)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_the_status_of_versions_is_told(get_status: Callable[..., list[Status]]) -> None:
    """All of them, or the one that is named; each available and without an error."""
    everything = get_status(name=MODEL)
    assert {status.version for status in everything} == {1, 2}
    named = get_status(name=MODEL, version=Int64Value(value=2))
    assert [status.version for status in named] == [2]
    for status in (*everything, *named):
        assert status.state == Status.AVAILABLE
        assert (status.status.error_code, status.status.error_message) == (0, "")


# Refusals


CODE = grpc.StatusCode
BAD_INPUT = "input size does not match signature: "

REFUSED = {
    "an unknown signature": (
        ask(IMAGE, signature_name="logits"),
        CODE.FAILED_PRECONDITION,
        'Serving signature key "logits" not found.',
    ),
    "an unknown output": (
        ask(IMAGE, "logits"),
        CODE.INVALID_ARGUMENT,
        "output tensor alias not found in signature: logits",
    ),
    "no input": (
        predict_pb2.PredictRequest(model_spec=model_pb2.ModelSpec(name=MODEL)),
        CODE.INVALID_ARGUMENT,
        BAD_INPUT + "0!=1",
    ),
    "an unknown model": (ask(IMAGE, name="other"), CODE.NOT_FOUND, "other"),
    "an unknown version": (ask(IMAGE, version=Int64Value(value=9)), CODE.NOT_FOUND, "9"),
    "an unknown label": (ask(IMAGE, version_label="nightly"), CODE.NOT_FOUND, "nightly"),
    "a wrong shape": (ask(IMAGE[:, 1:]), CODE.INVALID_ARGUMENT, "784"),
    "no rows": (ask(tf.make_tensor_proto(IMAGE[:0], shape=[0, 784])), CODE.INVALID_ARGUMENT, "0"),
    "too many rows": (ask(np.zeros((1025, 784), np.uint8)), CODE.INVALID_ARGUMENT, "1024"),
    "text": (ask(tf.make_tensor_proto(["seven"])), CODE.INVALID_ARGUMENT, "DT_STRING"),
    "what is no number": (
        ask(np.full((1, 784), np.nan, np.float32)),
        CODE.INVALID_ARGUMENT,
        "images",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_request_is_refused_as_tensorflow_serving_does(stub: Stub, case: str) -> None:
    """With its code, and its words where clients look for them."""
    request, code, said = REFUSED[case]
    with pytest.raises(grpc.RpcError) as refused:
        stub.Predict(request)
    assert refused.value.code() is code
    assert said in refused.value.details()


def test_an_input_too_many_is_named(stub: Stub) -> None:
    """As is one that is missing."""
    request = ask(IMAGE)
    request.inputs["more"].CopyFrom(request.inputs["images"])
    with pytest.raises(grpc.RpcError, match=BAD_INPUT + "2!=1") as refused:
        stub.Predict(request)
    assert refused.value.code() is CODE.INVALID_ARGUMENT
    assert "Sent extra: {more}" in refused.value.details()
    del request.inputs["images"]
    with pytest.raises(grpc.RpcError) as refused:
        stub.Predict(request)
    assert "Missing but required: {images}" in refused.value.details()


def test_every_method_refuses_what_is_not_there(
    stub: Stub, get_status: Callable[..., list[Status]]
) -> None:
    """NOT_FOUND for an unknown model, version or label."""
    specs: list[dict[str, Any]] = [
        {"name": "other"},
        {"name": MODEL, "version": Int64Value(value=9)},
        {"name": MODEL, "version_label": "nightly"},
    ]
    for spec in specs:
        metadata = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        metadata.model_spec.CopyFrom(model_pb2.ModelSpec(**spec))
        classify = classification_pb2.ClassificationRequest(model_spec=metadata.model_spec)
        classify.input.example_list.examples.append(example(IMAGE[0], "int64_list"))
        calls: list[Callable[[], object]] = [
            lambda metadata=metadata: stub.GetModelMetadata(metadata),
            lambda classify=classify: stub.Classify(classify),
            lambda spec=spec: get_status(**spec),
        ]
        for call in calls:
            with pytest.raises(grpc.RpcError) as refused:
                call()
            assert refused.value.code() is CODE.NOT_FOUND


def test_a_call_that_is_late_is_not_answered(stub: Stub) -> None:
    """DEADLINE_EXCEEDED; gRPC counts in milliseconds, and so many rows take some."""
    with pytest.raises(grpc.RpcError) as refused:
        stub.Predict(ask(np.zeros((1000, 784), np.float32)), timeout=1e-6)
    assert refused.value.code() is CODE.DEADLINE_EXCEEDED


def test_what_a_classifier_has_not_is_unimplemented(stub: Stub) -> None:
    """Regress and MultiInference are no silent success."""
    for call, request in (
        (stub.Regress, regression_pb2.RegressionRequest()),
        (stub.MultiInference, inference_pb2.MultiInferenceRequest()),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            call(request)
        assert refused.value.code() is CODE.UNIMPLEMENTED


if __name__ == "__main__":
    options = ["-p", "no:cacheprovider", "-p", "no:xdist", "--timeout", "120"]
    sys.exit(pytest.main([__file__, *options], plugins=[Given(*sys.argv[1:])]))

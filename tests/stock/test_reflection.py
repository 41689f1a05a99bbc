"""A client that knows no message of ours: it learns them all by reflection."""

from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import Client
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from server_process import ServerProcess

pytestmark = pytest.mark.xdist_group("stock")

PIXELS = np.random.default_rng(5).integers(0, 256, (3, 784), dtype=np.uint8)

SERVICES = {
    "flatdense.v1.Classifier",
    "inference.GRPCInferenceService",
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1alpha.ServerReflection",
}

DT_UINT8 = 4


class Stranger:
    """Calls methods by their names, with messages made of what the server says they are."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        database = ProtoReflectionDescriptorDatabase(channel)
        self.services = set(database.get_services())
        self._pool = DescriptorPool(database)

    def methods(self, service: str) -> dict[str, MethodDescriptor]:
        """What a service is said to have, by name."""
        return dict(self._pool.FindServiceByName(service).methods_by_name)

    def request(self, method: MethodDescriptor) -> Any:  # noqa: ANN401 -- of whatever type
        """An empty message to send."""
        return GetMessageClass(method.input_type)()

    def call(self, method: MethodDescriptor, request: Any) -> Iterator[Any]:  # noqa: ANN401
        """What is answered."""
        path = f"/{method.containing_service.full_name}/{method.name}"
        kind = "stream" if method.client_streaming else "unary"
        kind += "_stream" if method.server_streaming else "_unary"
        answer = GetMessageClass(method.output_type).FromString
        call = getattr(self._channel, kind)(path, type(request).SerializeToString, answer)
        sent = iter([request]) if method.client_streaming else request
        answered = call(sent, timeout=30)
        return iter(answered if method.server_streaming else [answered])


@pytest.fixture(scope="module")
def stranger(server: ServerProcess) -> Iterator[Stranger]:
    """Connected, and knowing which services there are."""
    with grpc.insecure_channel(server.address) as channel:
        yield Stranger(channel)


def expect(server: ServerProcess, probabilities: npt.ArrayLike, classes: npt.ArrayLike) -> None:
    """An answer has the bits of the native one."""
    with Client(server.address) as client:
        expected = client.classify(PIXELS)
    got = np.asarray(probabilities, np.float32).reshape(-1, 10)
    np.testing.assert_array_equal(got, expected.probabilities)
    np.testing.assert_array_equal(np.asarray(classes), expected.classes)


def test_every_service_is_listed(stranger: Stranger) -> None:
    """Under the names by which clients call them, and no other."""
    named = {service for service in stranger.services if not service.startswith("grpc.reflection")}
    assert named == SERVICES - {"grpc.reflection.v1alpha.ServerReflection"}
    assert stranger.services >= SERVICES


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_every_method_that_is_described_is_there(stranger: Stranger, service: str) -> None:
    """An empty request by each of them is answered or refused, never unknown."""
    methods = stranger.methods(service)
    assert methods
    ends = {method.name: end_of_an_empty_call(stranger, method) for method in methods.values()}
    bad = {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
    assert {name: end for name, end in ends.items() if end in bad} == {}


def end_of_an_empty_call(stranger: Stranger, method: MethodDescriptor) -> grpc.StatusCode:
    """The status, or OK as soon as there is a first answer."""
    try:
        next(stranger.call(method, stranger.request(method)), None)
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


def test_the_native_protocol_is_described(server: ServerProcess, stranger: Stranger) -> None:
    """Classify, called by its description, gives the SDK's answer."""
    method = stranger.methods("flatdense.v1.Classifier")["Classify"]
    request = stranger.request(method)
    request.images, request.data_type = PIXELS.tobytes(), 1
    (answer,) = stranger.call(method, request)
    expect(server, np.frombuffer(answer.probabilities, "<f4"), answer.classes)


@pytest.mark.parametrize("name", ["ModelInfer", "ModelStreamInfer"])
def test_the_open_inference_protocol_is_described(
    server: ServerProcess, stranger: Stranger, name: str
) -> None:
    """ModelInfer and its stream, called by their descriptions, give the native answer."""
    method = stranger.methods("inference.GRPCInferenceService")[name]
    request = stranger.request(method)
    request.model_name = "mnist"
    request.inputs.add(name="images", datatype="UINT8", shape=PIXELS.shape)
    request.raw_input_contents.append(PIXELS.tobytes())
    (answer,) = stranger.call(method, request)
    response = answer if name == "ModelInfer" else answer.infer_response
    assert [output.name for output in response.outputs] == ["probabilities", "classes"]
    probabilities, classes = response.raw_output_contents
    expect(server, np.frombuffer(probabilities, "<f4"), np.frombuffer(classes, "<i8"))


def test_tensorflow_servings_protocol_is_described(
    server: ServerProcess, stranger: Stranger
) -> None:
    """Predict, called by its description, gives the native answer."""
    method = stranger.methods("tensorflow.serving.PredictionService")["Predict"]
    request = stranger.request(method)
    request.model_spec.name = "mnist"
    request.model_spec.signature_name = "serving_uint8"
    given = request.inputs["images"]
    given.dtype = DT_UINT8
    for size in PIXELS.shape:
        given.tensor_shape.dim.add(size=size)
    given.tensor_content = PIXELS.tobytes()
    (answer,) = stranger.call(method, request)
    probabilities, classes = (answer.outputs[name] for name in ("probabilities", "classes"))
    expect(
        server,
        np.frombuffer(probabilities.tensor_content, "<f4"),
        np.frombuffer(classes.tensor_content, "<i8"),
    )


def test_metadata_in_an_any_can_be_read(stranger: Stranger) -> None:
    """The message inside GetModelMetadata's Any is described too, by the name that it has there."""
    method = stranger.methods("tensorflow.serving.PredictionService")["GetModelMetadata"]
    request = stranger.request(method)
    request.model_spec.name = "mnist"
    request.metadata_field.append("signature_def")
    (answer,) = stranger.call(method, request)
    inside = answer.metadata["signature_def"]
    name = inside.TypeName()
    assert name == "tensorflow.serving.SignatureDefMap"
    described = method.containing_service.file.pool.FindMessageTypeByName(name)
    signatures = GetMessageClass(described).FromString(inside.value).signature_def
    assert {"serving_default", "serving_uint8", "explain"} <= set(signatures)

"""The server's services through Ray Serve, as `serve run` starts it, for clients as they are."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from flatdense_artifact import read_manifest
from flatdense_client import Client, InvalidInput, NotFound
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from google.rpc.error_details_pb2 import BadRequest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_status import rpc_status
from prometheus_client.parser import text_string_to_metric_families
from ray_process import configure, serve_run
from tritonclient import grpc as triton

pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.usefixtures("compiled")]

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def ports(repository: Path, exported_model: Path) -> Iterator[tuple[int, int]]:
    """Of a running application with one replica: gRPC, HTTP."""
    config = configure(
        repository / "deploy" / "ray" / "flatdense.yaml", exported_model, num_replicas=1
    )
    with serve_run(config):
        yield config["grpc_options"]["port"], config["http_options"]["port"]


@pytest.fixture(scope="module")
def address(ports: tuple[int, int]) -> str:
    """For gRPC."""
    return f"127.0.0.1:{ports[0]}"


@pytest.fixture
def channel(address: str) -> Iterator[grpc.Channel]:
    """A bare one."""
    with grpc.insecure_channel(address) as channel:
        yield channel


@pytest.fixture
def stub(channel: grpc.Channel) -> ClassifierStub:
    """For calls as a service makes them."""
    return ClassifierStub(channel)


def test_the_sdk_works_unchanged(address: str, exported_model: Path) -> None:
    """It gets the model's answers, its description and its explanations."""
    golden = read_manifest(exported_model / "1").golden
    with Client(address) as client:
        predictions = client.classify(golden.inputs())
        model = client.model()
        explained = client.explain(golden.inputs()[:1])
    np.testing.assert_allclose(predictions.probabilities, golden.outputs(), rtol=0, atol=1e-5)
    assert model.parameters == 203_530
    assert len(explained) == 1


def test_the_stock_client_of_the_open_inference_protocol_works(
    address: str, exported_model: Path
) -> None:
    """ModelInfer, ready, metadata."""
    golden = read_manifest(exported_model / "1").golden
    images = triton.InferInput("images", list(golden.inputs().shape), "UINT8")
    images.set_data_from_numpy(golden.inputs())
    with triton.InferenceServerClient(address) as client:
        assert client.is_model_ready("mnist")
        assert client.get_model_metadata("mnist").name == "mnist"
        told = client.infer("mnist", [images]).as_numpy("probabilities")
    np.testing.assert_allclose(told, golden.outputs(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("messages", [0, 1, 20])
def test_a_stream_is_answered_message_by_message_in_order(
    stub: ClassifierStub, messages: int
) -> None:
    """As many answers as requests, each with as many rows, whatever their number."""
    requests = [
        pb.ClassifyRequest(images=bytes(784 * rows), data_type=pb.DATA_TYPE_UINT8)
        for rows in itertools.islice(itertools.cycle((1, 3, 2)), messages)
    ]
    answers = list(stub.ClassifyStream(iter(requests), timeout=PATIENCE_S))
    assert [len(answer.classes) for answer in answers] == [
        len(request.images) // 784 for request in requests
    ]


def test_a_refusal_keeps_its_code_and_its_details(stub: ClassifierStub) -> None:
    """What the server says of a wrong request arrives as it says it."""
    with pytest.raises(grpc.RpcError) as caught:
        stub.Classify(pb.ClassifyRequest(images=b"12345", data_type=pb.DATA_TYPE_UINT8))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    status = rpc_status.from_call(caught.value)
    assert status
    violations = BadRequest()
    assert any(detail.Unpack(violations) for detail in status.details)
    assert violations.field_violations[0].field == "images"


def test_a_stream_is_refused_in_the_servers_words(stub: ClassifierStub) -> None:
    """The answers before a wrong message arrive, and then its refusal."""
    good = pb.ClassifyRequest(images=bytes(784), data_type=pb.DATA_TYPE_UINT8)
    bad = pb.ClassifyRequest(images=b"12345", data_type=pb.DATA_TYPE_UINT8)
    answers = stub.ClassifyStream(iter([good, bad]), timeout=PATIENCE_S)
    assert len(next(answers).classes) == 1
    with pytest.raises(grpc.RpcError) as caught:
        next(answers)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_the_sdks_errors_are_its_own(address: str) -> None:
    """A version that nobody serves is not found; an image of another size is refused here."""
    with Client(address, model_version=99) as client, pytest.raises(NotFound, match="99"):
        client.classify(np.zeros((1, 784), np.uint8))
    with Client(address) as client, pytest.raises(InvalidInput):
        client.classify(np.zeros((1, 700), np.uint8))


def test_a_method_that_no_server_has(channel: grpc.Channel) -> None:
    """Is not implemented."""
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/flatdense.v1.Classifier/Guess")(b"", timeout=PATIENCE_S)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_health_and_reflection_are_the_servers(channel: grpc.Channel) -> None:
    """Probes and tools see what they see of one server."""
    health = health_pb2_grpc.HealthStub(channel)
    serving = health_pb2.HealthCheckResponse.SERVING
    request = health_pb2.HealthCheckRequest(service="flatdense.v1.Classifier")
    assert health.Check(request, timeout=PATIENCE_S).status == serving
    watched = health.Watch(request, timeout=PATIENCE_S)
    assert next(watched).status == serving
    watched.cancel()
    services = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert {"flatdense.v1.Classifier", "inference.GRPCInferenceService"} <= set(services)


def test_metadata_comes_and_goes(stub: ClassifierStub) -> None:
    """A caller's request id is echoed, as the server does it."""
    request = pb.ClassifyRequest(images=bytes(784), data_type=pb.DATA_TYPE_UINT8)
    _, call = stub.Classify.with_call(
        request, timeout=PATIENCE_S, metadata=(("x-request-id", "from-far-away"),)
    )
    assert ("x-request-id", "from-far-away") in tuple(call.trailing_metadata())


def count_requests(url: str) -> dict[str, float]:
    """Calls that classified, by replica, as a scraper reads them."""
    return {
        sample.labels["replica"]: sample.value
        for family in text_string_to_metric_families(httpx.get(url).raise_for_status().text)
        for sample in family.samples
        if sample.name == "flatdense_requests_total"
        and sample.labels["method"] == "flatdense.v1.Classifier/Classify"
        and sample.labels["code"] == "OK"
    }


def test_every_call_is_in_the_metrics(ports: tuple[int, int], stub: ClassifierStub) -> None:
    """Those of the replicas, under their names, at Serve's own HTTP port."""
    url = f"http://127.0.0.1:{ports[1]}/metrics"
    request = pb.ClassifyRequest(images=bytes(784), data_type=pb.DATA_TYPE_UINT8)
    stub.Classify(request, timeout=PATIENCE_S)
    end_s = time.monotonic() + PATIENCE_S
    while not (before := count_requests(url)) or sum(before.values()) < 1:
        assert time.monotonic() < end_s
    for _ in range(10):
        stub.Classify(request, timeout=PATIENCE_S)
    while sum(count_requests(url).values()) < sum(before.values()) + 10:
        assert time.monotonic() < end_s
    assert len(count_requests(url)) == 1


def test_nothing_else_is_at_the_http_port(ports: tuple[int, int]) -> None:
    """A sentence says where calls go."""
    answer = httpx.get(f"http://127.0.0.1:{ports[1]}/v2/models/mnist")
    assert answer.status_code == 404
    assert "gRPC" in answer.text

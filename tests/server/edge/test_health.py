"""grpc.health.v1 over the wire: the server, its service and its model."""

import threading
from collections.abc import Callable

import grpc
import pytest
from flatdense_proto.v1.classifier_pb2 import ClassifyRequest
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from flatdense_server.edge.server import GrpcServer
from flatdense_server.models.servable import Servable
from flatdense_server.tensors import Rows
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

NAMES = ["", "flatdense.v1.Classifier", "mnist"]


@pytest.fixture
def health(channel: grpc.Channel) -> HealthStub:
    """The health service of `server`."""
    return HealthStub(channel)


def state(health: HealthStub, name: str) -> str:
    """What Check says of a name."""
    status = health.Check(HealthCheckRequest(service=name)).status
    return HealthCheckResponse.ServingStatus.Name(status)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_serving_from_ready_to_drain(
    server: GrpcServer, health: HealthStub, name: str
) -> None:
    """NOT_SERVING before ready, SERVING after, NOT_SERVING from drain on, for good."""
    assert state(health, name) == "NOT_SERVING"
    server.health.set_serving(serving=True)
    assert state(health, name) == "SERVING"
    server.health.drain()
    assert state(health, name) == "NOT_SERVING"
    server.health.set_serving(serving=True)
    assert state(health, name) == "NOT_SERVING"


@pytest.mark.parametrize("name", NAMES)
def test_a_watcher_is_told_of_every_change(
    server: GrpcServer, health: HealthStub, name: str
) -> None:
    """Watch gives the state now and each one after it, until the watcher leaves."""
    watch = health.Watch(HealthCheckRequest(service=name))
    states = HealthCheckResponse
    assert next(watch).status == states.NOT_SERVING
    server.health.set_serving(serving=True)
    assert next(watch).status == states.SERVING
    server.health.drain()
    assert next(watch).status == states.NOT_SERVING
    watch.cancel()


def test_an_unknown_name_is_not_found(health: HealthStub) -> None:
    """Check refuses a name that nobody set; Watch says SERVICE_UNKNOWN and stays open."""
    with pytest.raises(grpc.RpcError) as caught:
        state(health, "fashion")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    watch = health.Watch(HealthCheckRequest(service="fashion"))
    assert next(watch).status == HealthCheckResponse.SERVICE_UNKNOWN
    watch.cancel()


def test_health_is_answered_while_every_handler_is_busy(
    start_server: Callable[..., GrpcServer],
    connect: Callable[[GrpcServer], grpc.Channel],
    publish: Callable[..., None],
    make_servable: Callable[..., Servable],
    request_of: Callable[..., ClassifyRequest],
    draw_rows: Callable[..., Rows],
    gate: threading.Event,
    running: threading.Semaphore,
) -> None:
    """With all threads held by the engine, and calls waiting for one, a probe is answered."""
    publish(make_servable())
    server = start_server(max_inflight=2)
    server.health.set_serving(serving=True)
    channel = connect(server)
    gate.clear()
    stub = ClassifierStub(channel)
    held = [stub.Classify.future(request_of(draw_rows(1))) for _ in range(5)]
    running.acquire()
    for name in NAMES:
        assert state(HealthStub(channel), name) == "SERVING"
    assert not any(call.done() for call in held)
    gate.set()
    assert [len(call.result().classes) for call in held] == [1] * 5

"""The gRPC server's port, its reflection, and its end."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

import grpc
import pytest
from flatdense_proto.v1.classifier_pb2 import ClassifyRequest, GetModelRequest
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from flatdense_server.batching.queue import QueueLimits
from flatdense_server.edge.lane import LaneUnavailable
from flatdense_server.edge.server import EdgeOptions, GrpcServer, LaneChoice
from flatdense_server.listen import PortUnavailable
from flatdense_server.models.registry import Registry
from flatdense_server.models.servable import Servable
from flatdense_server.observe.metrics.metrics import Metrics
from flatdense_server.tensors import Rows
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

RequestOf = Callable[..., ClassifyRequest]

FOR_EVER_S = 3600.0
"""Far beyond the time that a test may take: what waits for it fails."""


@pytest.fixture
def idle() -> Iterator[Callable[[], object]]:
    """Gives request iterators that stay open until the test is over."""
    queues: list[SimpleQueue[None]] = []

    def stay() -> Iterator[None]:
        """One such iterator."""
        queues.append(SimpleQueue())
        return iter(queues[-1].get, None)

    yield stay
    for queue in queues:
        queue.put(None)


@pytest.fixture
def begin_stop(server: GrpcServer, stub: ClassifierStub) -> Iterator[Callable[[], Future[bool]]]:
    """Stops the server on a thread of its own; comes back once the stop has begun."""
    with ThreadPoolExecutor(1) as pool:

        def begin() -> Future[bool]:
            """New calls hear of it."""
            stopped = pool.submit(server.stop, FOR_EVER_S)
            while is_answered(stub):
                continue
            return stopped

        yield begin


def is_answered(stub: ClassifierStub) -> bool:
    """Whether the server still takes a call.

    One that comes in the very moment of the stop may be held by gRPC until its deadline.
    """
    return stub.GetModel.future(GetModelRequest(), timeout=5).code() is grpc.StatusCode.OK


def code_of_end(stream: Iterator[object]) -> grpc.StatusCode:
    """Waits for the end of a stream."""
    with pytest.raises(grpc.RpcError) as caught:
        next(stream)
    return caught.value.code()


@pytest.mark.usefixtures("served")
def test_stop_answers_the_accepted_calls_and_refuses_new_ones(
    stub: ClassifierStub,
    request_of: RequestOf,
    draw_rows: Callable[..., Rows],
    gate: threading.Event,
    running: threading.Semaphore,
    begin_stop: Callable[[], Future[bool]],
) -> None:
    """A call inside the engine is answered though the stop began, and stop() says that all were."""
    gate.clear()
    accepted = stub.Classify.future(request_of(draw_rows(3)))
    running.acquire()
    stopped = begin_stop()
    assert not accepted.done()
    gate.set()
    assert len(accepted.result().classes) == 3
    assert stopped.result() is True
    with pytest.raises(grpc.RpcError) as caught:
        stub.Classify(request_of(draw_rows(1)))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.usefixtures("served")
def test_stop_answers_what_a_stream_sent_before_it(
    stub: ClassifierStub,
    request_of: RequestOf,
    draw_rows: Callable[..., Rows],
    gate: threading.Event,
    running: threading.Semaphore,
    begin_stop: Callable[[], Future[bool]],
) -> None:
    """A stream whose request is inside the engine gets its answer, then UNAVAILABLE."""
    gate.clear()
    requests: SimpleQueue[ClassifyRequest | None] = SimpleQueue()
    requests.put(request_of(draw_rows(2)))
    stream = stub.ClassifyStream(iter(requests.get, None))
    running.acquire()
    stopped = begin_stop()
    gate.set()
    assert len(next(stream).classes) == 2
    assert code_of_end(stream) is grpc.StatusCode.UNAVAILABLE
    assert stopped.result() is True
    requests.put(None)


@pytest.mark.parametrize("method", ["Classify", "ClassifyStream"])
@pytest.mark.usefixtures("served")
def test_stop_says_when_a_call_was_cut_off(
    server: GrpcServer,
    stub: ClassifierStub,
    request_of: RequestOf,
    draw_rows: Callable[..., Rows],
    gate: threading.Event,
    running: threading.Semaphore,
    method: str,
) -> None:
    """Where the grace ends before the engine does, stop() is False, of unary calls and streams."""
    gate.clear()
    request = request_of(draw_rows(1))
    if method == "Classify":
        call = stub.Classify.future(request)
    else:
        call = stub.ClassifyStream(iter([request]))
    running.acquire()
    assert server.stop(0) is False
    gate.set()
    assert call.code() in {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}


def test_watchers_and_idle_reflection_do_not_hold_up_the_stop(
    server: GrpcServer, channel: grpc.Channel
) -> None:
    """What would never end by itself is ended, long before the grace."""
    watch = HealthStub(channel).Watch(HealthCheckRequest(service=""))
    next(watch)
    questions: SimpleQueue[ServerReflectionRequest | None] = SimpleQueue()
    questions.put(ServerReflectionRequest(list_services=""))
    reflection = ServerReflectionStub(channel).ServerReflectionInfo(iter(questions.get, None))
    next(reflection)
    assert server.stop(FOR_EVER_S) is True
    questions.put(None)


def test_idle_reflection_does_not_starve_calls(
    start_server: Callable[..., GrpcServer],
    connect: Callable[[GrpcServer], grpc.Channel],
    publish: Callable[..., None],
    make_servable: Callable[..., Servable],
    request_of: RequestOf,
    draw_rows: Callable[..., Rows],
) -> None:
    """With as many idle reflection streams as there are handlers a call is still answered."""
    publish(make_servable())
    channel = connect(start_server(max_inflight=2))
    questions = [SimpleQueue() for _ in range(2)]
    for each in questions:
        each.put(ServerReflectionRequest(list_services=""))
    streams = [
        ServerReflectionStub(channel).ServerReflectionInfo(iter(each.get, None))
        for each in questions
    ]
    for stream in streams:
        next(stream)
    assert len(ClassifierStub(channel).Classify(request_of(draw_rows(1))).classes) == 1
    for each in questions:
        each.put(None)


def listed(channel: grpc.Channel) -> set[str]:
    """The services that reflection lists."""
    question = ServerReflectionRequest(list_services="")
    (answer,) = ServerReflectionStub(channel).ServerReflectionInfo(iter([question]))
    return {service.name for service in answer.list_services_response.service}


def test_reflection_lists_every_service(channel: grpc.Channel) -> None:
    """Every protocol, health and reflection are listed, and the classifier is described."""
    assert listed(channel) == {
        "flatdense.v1.Classifier",
        "inference.GRPCInferenceService",
        "tensorflow.serving.ModelService",
        "tensorflow.serving.PredictionService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    question = ServerReflectionRequest(file_containing_symbol="flatdense.v1.Classifier")
    (answer,) = ServerReflectionStub(channel).ServerReflectionInfo(iter([question]))
    assert b"ClassifyStream" in b"".join(answer.file_descriptor_response.file_descriptor_proto)


def test_reflection_can_be_off(
    start_server: Callable[..., GrpcServer], connect: Callable[[GrpcServer], grpc.Channel]
) -> None:
    """Without it the service is not there."""
    with pytest.raises(grpc.RpcError) as caught:
        listed(connect(start_server(reflection=False)))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_port_in_use_is_refused(registry: Registry, metrics: Metrics) -> None:
    """A second server never shares a port in silence: the option to change is named."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        options = EdgeOptions(
            host="127.0.0.1",
            port=port,
            max_request_rows=1,
            max_inflight=1,
            max_streams=1,
            max_connections=100,
            reflection=False,
            lane="auto",
            queue=QueueLimits(max_rows=1, max_tasks=1),
            max_batch_rows=1,
            batch_wait_s=0,
        )
        with pytest.raises(PortUnavailable, match=f"127.0.0.1:{port} is in use.*--grpc-port"):
            GrpcServer(options, registry=registry, metrics=metrics)


def test_the_message_limit_leaves_room_to_refuse_by_rows() -> None:
    """Twice the biggest request and more gets in: one row too many is refused in our own words."""
    options = EdgeOptions(
        host="",
        port=0,
        max_request_rows=100,
        max_inflight=1,
        max_streams=1,
        max_connections=100,
        reflection=False,
        lane="auto",
        queue=QueueLimits(max_rows=1, max_tasks=1),
        max_batch_rows=1,
        batch_wait_s=0,
    )
    assert options.max_message_bytes > 2 * 100 * 784 * 4


class NoLane:
    """What a grpcio looks like that lacks what the lane needs."""

    def __init__(self, *_arguments: object) -> None:
        raise LaneUnavailable("grpcio 9.9: no such thing")


def lane_options(lane: LaneChoice) -> EdgeOptions:
    """A server on a free port."""
    return EdgeOptions(
        host="127.0.0.1",
        port=0,
        max_request_rows=32,
        max_inflight=4,
        max_streams=1,
        max_connections=100,
        reflection=False,
        lane=lane,
        queue=QueueLimits(max_rows=100, max_tasks=100),
        max_batch_rows=8,
        batch_wait_s=0,
    )


@pytest.mark.usefixtures("served")
def test_without_a_lane_calls_go_the_public_way_and_it_is_said(
    registry: Registry,
    metrics: Metrics,
    sample: Callable[..., float | None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    connect: Callable[[GrpcServer], grpc.Channel],
    request_of: Callable[..., ClassifyRequest],
    draw_rows: Callable[..., Rows],
) -> None:
    """`auto` answers all the same, with a warning that has the reason, and a metric."""
    monkeypatch.setattr("flatdense_server.edge.server.Lane", NoLane)
    server = GrpcServer(lane_options("auto"), registry=registry, metrics=metrics)
    server.start()
    stub = ClassifierStub(connect(server))
    assert len(stub.Classify(request_of(draw_rows(3))).classes) == 3
    server.stop(1)
    assert server.lane == "standard"
    (warning,) = (record for record in caplog.records if record.levelname == "WARNING")
    assert warning.reason == "grpcio 9.9: no such thing"
    assert sample("flatdense_lane", {"lane": "standard"}) == 1


def test_a_lane_that_is_insisted_on_is_not_given_up(
    registry: Registry, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`express` raises where it cannot be had."""
    monkeypatch.setattr("flatdense_server.edge.server.Lane", NoLane)
    with pytest.raises(LaneUnavailable, match="no such thing"):
        GrpcServer(lane_options("express"), registry=registry, metrics=metrics)


@pytest.mark.parametrize(("choice", "lane"), [("auto", "express"), ("standard", "standard")])
def test_a_server_says_which_lane_it_has(
    registry: Registry, metrics: Metrics, choice: LaneChoice, lane: str
) -> None:
    """The grpcio that is installed has what the express lane needs."""
    server = GrpcServer(lane_options(choice), registry=registry, metrics=metrics)
    server.start()
    server.stop(0)
    assert server.lane == lane

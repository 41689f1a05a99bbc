"""Traces: from the caller's span to those of the queue and the engine, and across batches."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from flatdense_client import Client
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from flatdense_server.edge.scribe import make_scribe
from flatdense_server.edge.server import GrpcServer
from flatdense_server.models.servable import Servable
from flatdense_server.observe.traces.journey import Tracer, open_tracer
from flatdense_server.tensors import Rows
from google.protobuf.message import Message
from opentelemetry.instrumentation.grpc import GrpcInstrumentorClient
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import TracerProvider
from otlp_collector import Collector, read_attributes

CLASSIFY = "flatdense.v1.Classifier/Classify"
STREAM = "flatdense.v1.Classifier/ClassifyStream"

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
KEPT = ("traceparent", f"00-{TRACE}-{PARENT}-01")
NOT_KEPT = ("traceparent", f"00-{TRACE}-{PARENT}-00")


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Where spans go."""
    with Collector() as collector:
        yield collector


@pytest.fixture
def tracer(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracer]:
    """Sends to the collector all that is not decided elsewhere."""
    for name, value in collector.variables.items():
        monkeypatch.setenv(name, value)
    tracer = open_tracer("otlp", lambda _spans: None)
    assert tracer
    yield tracer
    tracer.close(5)


@pytest.fixture
def traced(
    tracer: Tracer,
    start_server: Callable[..., GrpcServer],
    make_servable: Callable[..., Servable],
    publish: Callable[..., None],
) -> GrpcServer:
    """A server whose calls are traced, with a version."""
    publish(make_servable(tracer=tracer))
    return start_server(scribe=make_scribe(None, tracer), max_inflight=64)


@pytest.fixture
def traced_stub(
    traced: GrpcServer, connect: Callable[[GrpcServer], grpc.Channel]
) -> ClassifierStub:
    """Its callers."""
    return ClassifierStub(connect(traced))


def is_within(inner: Span, outer: Span) -> bool:
    """Whether one begins and ends in the time of the other."""
    return (
        outer.start_time_unix_nano
        <= inner.start_time_unix_nano
        <= inner.end_time_unix_nano
        <= outer.end_time_unix_nano
    )


def test_one_trace_goes_from_the_caller_to_the_engine(
    traced: GrpcServer, tracer: Tracer, collector: Collector
) -> None:
    """The SDK's own call, under OpenTelemetry's instrumentation, is the parent of ours."""
    provider, instrumentor = TracerProvider(shutdown_on_exit=False), GrpcInstrumentorClient()
    instrumentor.instrument(tracer_provider=provider)
    try:
        span = provider.get_tracer("test").start_as_current_span("caller")
        with span as caller, Client(f"127.0.0.1:{traced.port}") as client:
            client.classify(np.zeros((3, 28, 28), np.uint8))
    finally:
        instrumentor.uninstrument()
    tracer.close(5)
    (call,) = collector.named(CLASSIFY)
    assert int.from_bytes(call.trace_id) == caller.get_span_context().trace_id
    assert call.parent_span_id
    assert call.kind == Span.SPAN_KIND_SERVER
    below = collector.below(call, 2)
    assert below.keys() == {"queue", "inference"}
    queue, inference = below["queue"], below["inference"]
    assert is_within(queue, call)
    assert is_within(inference, call)
    assert queue.end_time_unix_nano == inference.start_time_unix_nano
    (batch,) = collector.named("batch")
    assert is_within(inference, batch)
    assert is_within(batch, inference)


def test_a_span_says_what_a_call_was(
    traced_stub: ClassifierStub,
    tracer: Tracer,
    collector: Collector,
    draw_rows: Callable[..., Rows],
    request_of: Callable[..., Message],
) -> None:
    """In the words of OpenTelemetry's conventions, and in ours."""
    metadata = (KEPT, ("x-request-id", "seven"), ("tracestate", "vendor=1"))
    traced_stub.Classify(request_of(draw_rows(3)), timeout=30, metadata=metadata)
    (call,) = collector.named(CLASSIFY)
    tracer.close(5)
    assert call.trace_id.hex() == TRACE
    assert call.parent_span_id.hex() == PARENT
    assert call.trace_state == "vendor=1"
    assert call.status.code == Status.STATUS_CODE_UNSET
    assert read_attributes(call.attributes) == {
        "rpc.system.name": "grpc",
        "rpc.method": CLASSIFY,
        "rpc.response.status_code": "OK",
        "client.address": "127.0.0.1",
        "flatdense.model": "mnist",
        "flatdense.version": "1",
        "flatdense.rows": 3,
        "flatdense.request_id": "seven",
    }
    (batch,) = collector.named("batch")
    assert read_attributes(batch.attributes) == {
        "flatdense.model": "mnist",
        "flatdense.version": "1",
        "flatdense.engine": "numpy",
        "flatdense.batch.rows": 3,
    }
    assert collector.resources[0]["service.name"] == "flatdense-server"


def test_a_batch_is_linked_to_all_its_callers(
    traced: GrpcServer,
    tracer: Tracer,
    collector: Collector,
    connect: Callable[[GrpcServer], grpc.Channel],
    gate: threading.Event,
    running: threading.Semaphore,
    draw_rows: Callable[..., Rows],
    request_of: Callable[..., Message],
) -> None:
    """Of twenty that wait together, each call links to the batch that it rode in, and it back."""
    stub, request = ClassifierStub(connect(traced)), request_of(draw_rows(1))
    gate.clear()
    first = stub.Classify.future(request, timeout=30)
    running.acquire(timeout=20)
    waiting = [stub.Classify.future(request, timeout=30) for _ in range(20)]
    stub.GetModel(pb.GetModelRequest(), timeout=30)  # behind them on the one connection
    gate.set()
    for call in (first, *waiting):
        call.result(timeout=30)
    calls = collector.named(CLASSIFY, 21)
    tracer.close(5)
    batches = {(batch.trace_id, batch.span_id): batch for batch in collector.named("batch")}
    assert len({call.trace_id for call in calls}) == 21
    assert max(len(batch.links) for batch in batches.values()) >= 8
    ridden = 0
    for call in calls:
        (link,) = collector.below(call, 2)["inference"].links
        batch = batches[link.trace_id, link.span_id]
        assert not batch.parent_span_id
        assert (call.trace_id, call.span_id) in {(b.trace_id, b.span_id) for b in batch.links}
        ridden += 1
    assert ridden == sum(len(batch.links) for batch in batches.values()) == 21


def test_a_stream_is_one_span_with_one_for_each_message(
    traced_stub: ClassifierStub,
    tracer: Tracer,
    collector: Collector,
    draw_rows: Callable[..., Rows],
    request_of: Callable[..., Message],
) -> None:
    """Below each message are its time in the queue and in the engine."""
    requests = [request_of(draw_rows(2))] * 3
    assert len(list(traced_stub.ClassifyStream(iter(requests), timeout=30, metadata=(KEPT,)))) == 3
    (stream,) = collector.named(STREAM)
    tracer.close(5)
    messages = collector.named("message", 3)
    assert read_attributes(stream.attributes)["flatdense.rows"] == 6
    assert stream.parent_span_id.hex() == PARENT
    for message in messages:
        assert (message.trace_id.hex(), message.parent_span_id) == (TRACE, stream.span_id)
        assert message.kind == Span.SPAN_KIND_INTERNAL
        assert read_attributes(message.attributes)["flatdense.rows"] == 2
        assert collector.below(message, 2).keys() == {"queue", "inference"}


def test_a_failure_is_a_span(
    traced_stub: ClassifierStub,
    tracer: Tracer,
    collector: Collector,
    faults: list[Exception],
    draw_rows: Callable[..., Rows],
    request_of: Callable[..., Message],
) -> None:
    """Marked as an error where it is the server's fault, and not where it is the request's."""
    with pytest.raises(grpc.RpcError):
        traced_stub.Classify(pb.ClassifyRequest(), timeout=30)
    faults.append(ValueError("tired"))
    with pytest.raises(grpc.RpcError):
        traced_stub.Classify(request_of(draw_rows(1)), timeout=30)
    spans = collector.named(CLASSIFY, 2)
    tracer.close(5)
    told = {
        str(read_attributes(span.attributes)["rpc.response.status_code"]): span for span in spans
    }
    assert told["INVALID_ARGUMENT"].status.code == Status.STATUS_CODE_UNSET
    assert told["INTERNAL"].status.code == Status.STATUS_CODE_ERROR
    assert read_attributes(told["INTERNAL"].attributes)["error.type"] == "INTERNAL"


def test_what_the_caller_does_not_keep_is_not_kept(
    traced_stub: ClassifierStub,
    tracer: Tracer,
    collector: Collector,
    draw_rows: Callable[..., Rows],
    request_of: Callable[..., Message],
) -> None:
    """Neither a call, nor a stream, nor their batches."""
    request = request_of(draw_rows(1))
    traced_stub.Classify(request, timeout=30, metadata=(NOT_KEPT,))
    list(traced_stub.ClassifyStream(iter([request]), timeout=30, metadata=(NOT_KEPT,)))
    traced_stub.GetModel(pb.GetModelRequest(), timeout=30, metadata=(NOT_KEPT,))
    traced_stub.Classify(request, timeout=30, metadata=(KEPT,))
    collector.named(CLASSIFY)
    tracer.close(5)
    assert sorted(collector.names) == ["batch", CLASSIFY, "inference", "queue"]


@pytest.mark.parametrize("bad", ["", "00-0-0-01", f"00-{'0' * 32}-{PARENT}-01"])
def test_a_bad_parent_is_none(
    traced_stub: ClassifierStub,
    tracer: Tracer,
    collector: Collector,
    bad: str,
    draw_rows: Callable[..., Rows],
    request_of: Callable[..., Message],
) -> None:
    """The call is answered, and begins a trace of its own."""
    metadata = (("traceparent", bad),)
    traced_stub.Classify(request_of(draw_rows(1)), timeout=30, metadata=metadata)
    (call,) = collector.named(CLASSIFY)
    tracer.close(5)
    assert not call.parent_span_id
    assert any(call.trace_id)


def test_many_threads_share_one_tracer(
    traced_stub: ClassifierStub,
    tracer: Tracer,
    collector: Collector,
    draw_rows: Callable[..., Rows],
    request_of: Callable[..., Message],
) -> None:
    """Each call is one span, and no two have the same id."""
    request = request_of(draw_rows(1))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: traced_stub.Classify(request, timeout=30), range(100)))
    collector.named(CLASSIFY, 100)
    tracer.close(5)
    assert len({span.span_id for span in collector.spans}) == len(collector.spans)
    assert collector.names.count(CLASSIFY) == 100
    assert collector.names.count("queue") == collector.names.count("inference") == 100

"""`grpc_server_*`: what go-grpc-prometheus would count of the same calls."""

from collections.abc import Callable

import grpc
import pytest
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from flatdense_server.edge.ledger import Ledger
from flatdense_server.edge.refusal import refusal_of
from flatdense_server.edge.server import GrpcServer
from flatdense_server.errors import QueueFull
from flatdense_server.observe.metrics.metrics import Metrics

Sample = Callable[..., float | None]

GOOD = pb.ClassifyRequest(images=bytes(784), data_type=pb.DATA_TYPE_UINT8)
BAD = pb.ClassifyRequest(images=bytes(783), data_type=pb.DATA_TYPE_UINT8)

UNARY = {
    "grpc_type": "unary",
    "grpc_service": "flatdense.v1.Classifier",
    "grpc_method": "Classify",
}
STREAM = UNARY | {"grpc_type": "bidi_stream", "grpc_method": "ClassifyStream"}


@pytest.fixture
def count(sample: Sample) -> Callable[[dict[str, str]], dict[str, float | None]]:
    """Gives what is counted of a method: RPCs, messages, and RPCs that ended with OK."""

    def read(labels: dict[str, str]) -> dict[str, float | None]:
        """None where there is no sample."""
        names = ("started", "msg_received", "msg_sent")
        found = {name: sample(f"grpc_server_{name}_total", labels) for name in names}
        timed = sample("grpc_server_handling_seconds_count", labels)
        ended = sample("grpc_server_handled_total", labels | {"grpc_code": "OK"})
        return {**found, "timed": timed, "ok": ended}

    return read


@pytest.mark.usefixtures("served")
def test_a_unary_call_has_a_message_and_where_it_ends_well_an_answer(
    stub: ClassifierStub,
    server: GrpcServer,
    count: Callable[[dict[str, str]], dict[str, float | None]],
    sample: Sample,
) -> None:
    """Of two good calls and a bad one: three came, two were answered, three are timed."""
    for request in (GOOD, GOOD):
        stub.Classify(request, timeout=30)
    with pytest.raises(grpc.RpcError):
        stub.Classify(BAD, timeout=30)
    assert server.wait_idle(10)
    assert count(UNARY) == {
        "started": 3,
        "msg_received": 3,
        "msg_sent": 2,
        "timed": 3,
        "ok": 2,
    }
    bad = UNARY | {"grpc_code": "INVALID_ARGUMENT"}
    assert sample("grpc_server_handled_total", bad) == 1


@pytest.mark.usefixtures("served")
def test_the_messages_of_a_stream_are_counted(
    stub: ClassifierStub,
    server: GrpcServer,
    count: Callable[[dict[str, str]], dict[str, float | None]],
) -> None:
    """One call, five messages each way."""
    assert len(list(stub.ClassifyStream(iter([GOOD] * 5), timeout=30))) == 5
    assert server.wait_idle(10)
    assert count(STREAM) == {
        "started": 1,
        "msg_received": 5,
        "msg_sent": 5,
        "timed": 1,
        "ok": 1,
    }


def test_what_is_refused_unread_was_started_and_handled(metrics: Metrics, sample: Sample) -> None:
    """Its message was not received, and there is no time to tell."""
    refusal = refusal_of(QueueFull("the server is busy. Try again later."))
    Ledger(metrics).refuse("flatdense.v1.Classifier/Classify", refusal, 3)
    assert sample("grpc_server_started_total", UNARY) == 3
    assert not sample("grpc_server_msg_received_total", UNARY)
    handled = UNARY | {"grpc_code": "RESOURCE_EXHAUSTED"}
    assert sample("grpc_server_handled_total", handled) == 3
    assert not sample("grpc_server_handling_seconds_count", UNARY)

"""inference.GRPCInferenceService on both lanes, over the numpy engine."""

import threading
from collections.abc import Callable, Iterator

import grpc
import numpy as np
import pytest
from flatdense_proto.twin import inference_pb2 as pb
from flatdense_server.edge.server import GrpcServer
from flatdense_server.models.registry import Registry
from flatdense_server.models.servable import Servable
from flatdense_server.tensors import Outputs, Rows
from google.protobuf.message import Message

SERVICE = "/inference.GRPCInferenceService"


def infer_request(rows: Rows, request_id: str = "") -> pb.ModelInferRequest:
    """A request with raw contents."""
    datatype = "UINT8" if rows.dtype == np.uint8 else "FP32"
    return pb.ModelInferRequest(
        id=request_id,
        inputs=[{"name": "images", "datatype": datatype, "shape": rows.shape}],
        raw_input_contents=[rows.tobytes()],
    )


@pytest.fixture
def ask(channel: grpc.Channel) -> Callable[[str, Message], bytes]:
    """Calls a unary RPC by name; gives the answer's bytes."""

    def call(rpc: str, request: Message) -> bytes:
        """With a deadline, so that nothing hangs."""
        answer: bytes = channel.unary_unary(f"{SERVICE}/{rpc}")(
            request.SerializeToString(), timeout=30
        )
        return answer

    return call


@pytest.fixture
def converse(channel: grpc.Channel) -> Callable[..., Iterator[bytes]]:
    """Opens a stream with these requests."""

    def open_stream(requests: Iterator[pb.ModelInferRequest]) -> Iterator[bytes]:
        """With a deadline, so that nothing hangs."""
        stream: Iterator[bytes] = channel.stream_stream(f"{SERVICE}/ModelStreamInfer")(
            (request.SerializeToString() for request in requests), timeout=30
        )
        return stream

    return open_stream


def probabilities(answer: pb.ModelInferResponse) -> np.ndarray:
    """Those of an answer."""
    return np.frombuffer(answer.raw_output_contents[0], "<f4").reshape(-1, 10)


@pytest.mark.usefixtures("served")
def test_the_network_answers(
    ask: Callable[..., bytes], draw_rows: Callable[..., Rows], predict: Callable[[Rows], Outputs]
) -> None:
    """With what it says of these rows, under the request's id."""
    rows = draw_rows(3)
    answer = pb.ModelInferResponse.FromString(ask("ModelInfer", infer_request(rows, "an id")))
    np.testing.assert_allclose(probabilities(answer), predict(rows).probabilities, atol=1e-5)
    assert (answer.model_name, answer.model_version, answer.id) == ("mnist", "1", "an id")


@pytest.mark.usefixtures("served")
def test_a_refused_request_does_not_end_the_stream(
    converse: Callable[..., Iterator[bytes]],
    draw_rows: Callable[..., Rows],
    predict: Callable[[Rows], Outputs],
) -> None:
    """Good, bad, unknown, good: each is answered in its turn, and the stream ends well."""
    rows = draw_rows(2)
    unknown = infer_request(rows, "2")
    unknown.model_name = "other"
    bad = infer_request(rows[:, :5], "1")
    sent = [infer_request(rows, "0"), bad, unknown, infer_request(rows, "3")]
    answers = [pb.ModelStreamInferResponse.FromString(each) for each in converse(iter(sent))]
    assert [answer.infer_response.id for answer in answers] == ["0", "1", "2", "3"]
    assert "expected [N, 784]" in answers[1].error_message
    assert "no model 'other'" in answers[2].error_message
    for index in (0, 3):
        assert answers[index].error_message == ""
        found = probabilities(answers[index].infer_response)
        np.testing.assert_allclose(found, predict(rows).probabilities, atol=1e-5)


@pytest.mark.usefixtures("served")
def test_an_engine_that_fails_does_not_end_the_stream(
    converse: Callable[..., Iterator[bytes]],
    draw_rows: Callable[..., Rows],
    faults: list[Exception],
) -> None:
    """It is told by an id alone, and the next request is answered."""
    faults.append(RuntimeError("secret"))
    said: list[pb.ModelStreamInferResponse] = []
    told = threading.Event()

    def requests() -> Iterator[pb.ModelInferRequest]:
        yield infer_request(draw_rows(1), "0")
        told.wait(30)
        yield infer_request(draw_rows(1), "1")

    for answer in converse(requests()):
        said.append(pb.ModelStreamInferResponse.FromString(answer))
        told.set()
    assert "under id" in said[0].error_message
    assert "secret" not in said[0].error_message
    assert (said[1].error_message, said[1].infer_response.id) == ("", "1")


@pytest.mark.usefixtures("served")
def test_a_timeout_that_cannot_be_met_is_not_computed(
    draw_rows: Callable[..., Rows],
    gate: threading.Event,
    batches: list[Rows],
    running: threading.Semaphore,
    channel: grpc.Channel,
) -> None:
    """A request's own timeout is a deadline, though its call has a longer one."""
    gate.clear()
    first = channel.unary_unary(f"{SERVICE}/ModelInfer").future(
        infer_request(draw_rows(2)).SerializeToString(), timeout=30
    )
    assert running.acquire(timeout=30)
    request = infer_request(draw_rows(5))
    request.parameters["timeout"].int64_param = 1
    late = channel.unary_unary(f"{SERVICE}/ModelInfer").future(
        request.SerializeToString(), timeout=30
    )
    gate.set()
    first.result(30)
    with pytest.raises(grpc.RpcError) as caught:
        late.result(30)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert sum(map(len, batches)) == 2


def test_readiness_follows_the_registry(
    ask: Callable[..., bytes],
    server: GrpcServer,
    registry: Registry,
    publish: Callable[..., None],
    make_servable: Callable[..., Servable],
) -> None:
    """Live at once; ready with a version; not ready any more when it drains."""

    def states() -> tuple[bool, bool, bool, bool]:
        """Live, ready, the model's, and that of a version that is not there."""
        return (
            pb.ServerLiveResponse.FromString(ask("ServerLive", pb.ServerLiveRequest())).live,
            pb.ServerReadyResponse.FromString(ask("ServerReady", pb.ServerReadyRequest())).ready,
            *(
                pb.ModelReadyResponse.FromString(ask("ModelReady", request)).ready
                for request in (
                    pb.ModelReadyRequest(name="mnist"),
                    pb.ModelReadyRequest(name="mnist", version="9"),
                )
            ),
        )

    assert server.lane
    assert states() == (True, False, False, False)
    publish(make_servable())
    assert states() == (True, True, True, False)
    registry.drain()
    assert states() == (True, False, False, False)


@pytest.mark.usefixtures("served")
def test_statistics_are_of_what_was_asked(
    ask: Callable[..., bytes], draw_rows: Callable[..., Rows]
) -> None:
    """Five rows in two requests, and one that is refused."""
    for count in (2, 3):
        ask("ModelInfer", infer_request(draw_rows(count)))
    with pytest.raises(grpc.RpcError):
        ask("ModelInfer", infer_request(draw_rows(1)[:, :5]))
    answer = pb.ModelStatisticsResponse.FromString(
        ask("ModelStatistics", pb.ModelStatisticsRequest(name="mnist"))
    )
    (found,) = answer.model_stats
    stats = found.inference_stats
    assert (found.name, found.version, found.inference_count) == ("mnist", "1", 5)
    assert found.execution_count == sum(each.compute_infer.count for each in found.batch_stats) == 2
    assert (stats.success.count, stats.fail.count, stats.queue.count) == (2, 1, 2)
    assert stats.success.ns >= stats.queue.ns + stats.compute_infer.ns + stats.compute_output.ns - 9
    assert stats.compute_infer.ns > 0


@pytest.mark.parametrize(
    ("rpc", "request_"),
    [
        ("RepositoryIndex", pb.RepositoryIndexRequest()),
        ("RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="mnist")),
        ("RepositoryModelUnload", pb.RepositoryModelUnloadRequest(model_name="mnist")),
    ],
)
@pytest.mark.usefixtures("served")
def test_the_repository_is_closed_to_callers(
    ask: Callable[..., bytes], rpc: str, request_: Message
) -> None:
    """Unless the operator opens it, which the error says how to do."""
    with pytest.raises(grpc.RpcError) as caught:
        ask(rpc, request_)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "--model-control" in caught.value.details()

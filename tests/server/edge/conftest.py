"""A real gRPC server in this process, on a free port, over the numpy engine."""

import threading
from collections.abc import Callable, Iterator

import grpc
import numpy as np
import pytest
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from flatdense_server.batching.queue import QueueLimits
from flatdense_server.edge.scribe import Scribe
from flatdense_server.edge.server import EdgeOptions, GrpcServer, LaneChoice
from flatdense_server.models.registry import Registry
from flatdense_server.models.servable import Servable
from flatdense_server.observe.metrics.boards import Boards
from flatdense_server.observe.metrics.metrics import Metrics
from flatdense_server.security.access import Access
from flatdense_server.tensors import UINT8, Outputs, Rows
from google.protobuf.message import Message
from grpc_status import rpc_status

MAX_REQUEST_ROWS = 32
MAX_BATCH_ROWS = 8
ROOMY = QueueLimits(max_rows=1 << 20, max_tasks=1 << 20)


@pytest.fixture(params=["express", "standard"])
def lane(request: pytest.FixtureRequest) -> LaneChoice:
    """Every law of the edge holds on both lanes."""
    choice: LaneChoice = request.param
    return choice


@pytest.fixture
def start_server(
    registry: Registry,
    metrics: Metrics,
    service_boards: Boards,
    gate: threading.Event,
    lane: LaneChoice,
) -> Iterator[Callable[..., GrpcServer]]:
    """Starts servers over the registry, by EdgeOptions. All are stopped in the end."""
    started: list[GrpcServer] = []

    def start(
        max_request_rows: int = MAX_REQUEST_ROWS,
        max_inflight: int = 16,
        max_streams: int = 4,
        *,
        reflection: bool = True,
        queue: QueueLimits = ROOMY,
        max_connections: int = 100,
        access: Access | None = None,
        scribe: Scribe | None = None,
    ) -> GrpcServer:
        """Binds a free port and starts."""
        options = EdgeOptions(
            host="127.0.0.1",
            port=0,
            max_request_rows=max_request_rows,
            max_inflight=max_inflight,
            max_streams=max_streams,
            max_connections=max_connections,
            reflection=reflection,
            lane=lane,
            queue=queue,
            max_batch_rows=MAX_BATCH_ROWS,
            batch_wait_s=0,
        )
        server = GrpcServer(
            options,
            registry=registry,
            metrics=metrics,
            figures=service_boards.read,
            access=access,
            scribe=scribe,
        )
        server.start()
        started.append(server)
        return server

    yield start
    gate.set()
    for server in started:
        server.stop(0)


@pytest.fixture
def connect() -> Iterator[Callable[[GrpcServer], grpc.Channel]]:
    """Opens channels to a server. All are closed in the end."""
    channels: list[grpc.Channel] = []

    def open_channel(server: GrpcServer) -> grpc.Channel:
        """Plaintext, to this machine."""
        channels.append(grpc.insecure_channel(f"127.0.0.1:{server.port}"))
        return channels[-1]

    yield open_channel
    for channel in channels:
        channel.close()


@pytest.fixture
def server(start_server: Callable[..., GrpcServer]) -> GrpcServer:
    """A server with ordinary limits."""
    return start_server()


@pytest.fixture
def channel(server: GrpcServer, connect: Callable[[GrpcServer], grpc.Channel]) -> grpc.Channel:
    """A channel to `server`."""
    return connect(server)


@pytest.fixture
def stub(channel: grpc.Channel) -> ClassifierStub:
    """The classifier of `server`, which may have nothing to serve yet."""
    return ClassifierStub(channel)


@pytest.fixture
def served(publish: Callable[..., None], make_servable: Callable[..., Servable]) -> Servable:
    """Version 1, published."""
    servable = make_servable()
    publish(servable)
    return servable


@pytest.fixture(scope="session")
def request_of() -> Callable[..., pb.ClassifyRequest]:
    """Packs rows as a request, with further fields by name."""

    def pack(rows: Rows, **fields: Message) -> pb.ClassifyRequest:
        """By the rows' own dtype."""
        data_type = pb.DATA_TYPE_UINT8 if rows.dtype == UINT8 else pb.DATA_TYPE_FP32
        return pb.ClassifyRequest(images=rows.tobytes(), data_type=data_type, **fields)

    return pack


@pytest.fixture(scope="session")
def check_answer(
    predict: Callable[[Rows], Outputs],
) -> Callable[[pb.ClassifyResponse, Rows], None]:
    """Compares an answer with what the network says of the caller's own rows."""

    def check(answer: pb.ClassifyResponse, rows: Rows) -> None:
        """Probabilities and classes, row by row."""
        expected = predict(rows)
        probabilities = np.frombuffer(answer.probabilities, "<f4").reshape(-1, 10)
        np.testing.assert_allclose(probabilities, expected.probabilities, rtol=0, atol=1e-5)
        assert list(answer.classes) == expected.classes.tolist()

    return check


@pytest.fixture(scope="session")
def detail_of() -> Callable[..., Message]:
    """The one google.rpc detail of a failed call that is of the type that is named."""

    def unpack_detail(error: grpc.RpcError, kind: type[Message]) -> Message:
        """As a client decodes it from the trailing metadata."""
        status = rpc_status.from_call(error)
        assert status is not None
        (packed,) = [each for each in status.details if each.Is(kind.DESCRIPTOR)]
        detail = kind()
        assert packed.Unpack(detail)
        return detail

    return unpack_detail

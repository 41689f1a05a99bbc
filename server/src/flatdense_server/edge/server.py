"""The gRPC server: its port, its services, its end."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, TypeAlias

import grpc
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection

from flatdense_server.batching.queue import QueueLimits
from flatdense_server.edge.classifier import ClassifierService
from flatdense_server.edge.express import Express, ExpressOptions
from flatdense_server.edge.gate import Gate, make_lane_gate
from flatdense_server.edge.health import Health
from flatdense_server.edge.inference import Inference
from flatdense_server.edge.lane import Lane, LaneUnavailable
from flatdense_server.edge.ledger import Ledger
from flatdense_server.edge.open_inference import ModelControl, OpenInferenceService
from flatdense_server.edge.reflection import register_reflection
from flatdense_server.edge.scribe import Scribe
from flatdense_server.edge.service import make_handlers
from flatdense_server.edge.stream import Streams
from flatdense_server.edge.tf_serving import ModelService, PredictionService
from flatdense_server.edge.tls import ServerTls
from flatdense_server.listen import check_port
from flatdense_server.models.registry import Registry
from flatdense_server.observe.metrics.metrics import Metrics
from flatdense_server.observe.metrics.statistics import Figures
from flatdense_server.protocols.codec import Codec
from flatdense_server.protocols.native import NativeCodec
from flatdense_server.protocols.open_inference.infer import InferCodec
from flatdense_server.protocols.tf_serving.classify import ClassifyCodec
from flatdense_server.protocols.tf_serving.predict import PredictCodec
from flatdense_server.security.access import Access
from flatdense_server.tensors import PIXELS

log = logging.getLogger(__name__)

CODECS: Final[tuple[Codec, ...]] = (
    NativeCodec("Classify"),
    InferCodec("ModelInfer"),
    PredictCodec(),
    ClassifyCodec(),
)
"""Of every unary method that classifies."""

STREAM_CODECS: Final[tuple[Codec, ...]] = (
    NativeCodec("ClassifyStream"),
    InferCodec("ModelStreamInfer"),
)
"""Of every method whose streams do."""

SHORT_NAMES: Final = ("PredictionService", "ModelService")
"""TensorFlow Serving's services, as it calls them when it is asked for their health."""

LaneChoice: TypeAlias = Literal["auto", "express", "standard"]

QUIET_S: Final = 0.2
"""Without a new call for so long, callers have understood that the server is going."""

MAX_QUIET_WAIT_S: Final = 1.0

FLUSH_S: Final = 0.5
"""For the last statuses to leave, once every handler has returned."""

WATCHERS: Final = 64
"""Health watchers and reflection streams beside the calls that are bounded by settings."""

MAX_STREAMS_OF_CONNECTION: Final = 1024
"""Well-behaved callers wait, by themselves, before they open more."""

WINDOW_BYTES: Final = 1 << 17
"""Two requests of 64 uint8 rows at a time on one connection, without a pause between them."""

MAX_PENDING: Final = 1 << 20

MAX_METADATA_BYTES: Final = 1 << 14
"""Of a call's headers. By default gRPC refuses some calls from half of this on, by chance."""

HANDSHAKE_MS: Final = 20_000
"""For a new connection to say what it is."""

FLOAT32_ROW_BYTES: Final = 4 * PIXELS


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeOptions:
    """What the gRPC server obeys."""

    host: str
    port: int
    """0 picks a free one."""
    share_port: bool = False
    """Whether others listen on it too, by SO_REUSEPORT. Whoever says so holds the port."""
    backend: str = ""
    """Another address, `unix:` and a path, for processes of this service."""
    max_request_rows: int
    max_inflight: int
    """Unary calls answered at a time, a thread each. A few more wait; beyond those gRPC refuses."""
    max_streams: int
    """Open ClassifyStream calls: two threads each, but on the express lane."""
    max_connections: int
    """More are closed as they come."""
    max_connection_age_s: float | None = None
    """One that is older, give or take a tenth, is told to go (GOAWAY); None for never."""
    max_connection_age_grace_s: float = 30.0
    """How long calls on it may go on then, before it is closed."""
    reflection: bool
    lane: LaneChoice
    queue: QueueLimits
    """Of the express lane."""
    max_batch_rows: int
    batch_wait_s: float
    """How long a batch that is not full waits for more."""

    @property
    def max_message_bytes(self) -> int:
        """What gRPC itself lets in.

        Twice the biggest request, so that one that is somewhat too big is refused by us, with a
        message that names the limit in rows.
        """
        return 2 * self.max_request_rows * FLOAT32_ROW_BYTES + (1 << 20)


class GrpcServer:
    """Every gRPC service on one port: start -> drain -> stop.

    The port is bound by the constructor, which raises PortUnavailable where it cannot be.
    """

    def __init__(
        self,
        options: EdgeOptions,
        *,
        registry: Registry,
        metrics: Metrics,
        figures: Callable[[], Figures] = dict,
        control: ModelControl | None = None,
        access: Access | None = None,
        tls: ServerTls | None = None,
        scribe: Scribe | None = None,
    ) -> None:
        """`figures()` are those of the whole service, as far as they are known.

        `control` is for callers who may use it. Without `access` nobody needs a token, without
        `tls` nothing is encrypted; `backend` never is. `scribe` is told of every RPC.
        """
        ledger = Ledger(metrics, [codec.method for codec in STREAM_CODECS], scribe)
        self._streams = Streams(max_streams=options.max_streams)
        self._handlers = HandlerPool(options.max_inflight)
        # The one more tells a stream too many that there is no place for it.
        self._stream_handlers = HandlerPool(options.max_streams + 1)
        self._server = grpc.server(
            self._handlers,
            interceptors=[Gate(access, ledger)] if access else [],
            options=channel_options(options),
            maximum_concurrent_rpcs=options.max_inflight + options.max_streams + WATCHERS,
        )
        self._express = make_express(
            self._server,
            options,
            registry,
            ledger,
            access,
        )
        self.lane: Final = "express" if self._express else "standard"
        """Which way the calls go that classify."""
        metrics.lane.labels(self.lane).set(1)
        services = (
            ClassifierService(registry, max_request_rows=options.max_request_rows),
            OpenInferenceService(
                registry,
                methods=[codec.method for codec in (*CODECS, *STREAM_CODECS)],
                figures=figures,
                control=control,
            ),
            PredictionService(registry),
            ModelService(registry),
        )
        names = [service.name for service in services]
        self.health = Health((*names, *SHORT_NAMES, registry.model_name))
        self.health.register(self._server)
        for service in services:
            self._register(service.name, make_handlers(service.name, service.rpcs(), ledger))
        self._register_inference(
            Inference(
                registry,
                streams=self._streams,
                ledger=ledger,
                max_request_rows=options.max_request_rows,
            )
        )
        if options.reflection:
            names += [health.SERVICE_NAME, reflection.SERVICE_NAME]
            register_reflection(self._server, names, WATCHERS)
        self.port = bind(self._server, options, tls)

    def start(self) -> None:
        """Takes calls. Until the registry has a version they are refused as not ready."""
        self._server.start()
        if self._express:
            self._express.start()

    def stop(self, grace_s: float) -> bool:
        """Answers the accepted calls and ends; the registry refuses new ones by now.

        Gives back whether all of them were answered within `grace_s`.
        """
        until_s = time.monotonic() + grace_s
        self._streams.drain()
        if self._express:
            self._express.drain()
        # gRPC's own stop ends calls that it has read and not yet handed out with CANCELLED. There
        # are such calls until the callers have heard UNAVAILABLE from us and are quiet.
        wait_quiet(self._count_calls, QUIET_S, at_most_s=min(grace_s, MAX_QUIET_WAIT_S))
        stopped = self._server.stop(max(0.0, until_s - time.monotonic()))
        finished = self.wait_idle(until_s - time.monotonic())
        # What is left are health watchers and idle reflection streams, which would never end.
        self._server.stop(FLUSH_S)
        stopped.wait()
        if self._express:
            self._express.close()
        self._stream_handlers.shutdown(wait=False)
        return finished

    def wait_idle(self, timeout_s: float) -> bool:
        """Waits until every accepted call has ended and is counted; False if that takes longer."""
        until_s = time.monotonic() + timeout_s
        waits = [self._handlers.wait_idle, self._stream_handlers.wait_idle]
        if self._express:
            waits.append(self._express.wait_idle)
        return all(wait_idle(until_s - time.monotonic()) for wait_idle in waits)

    def _count_calls(self) -> int:
        return self._handlers.accepted + (self._express.taken if self._express else 0)

    def _register_inference(self, inference: Inference) -> None:
        for codec in CODECS:
            service, _, rpc = codec.method.partition("/")
            answer = partial(inference.answer, codec)
            self._register(service, {rpc: grpc.unary_unary_rpc_method_handler(answer)})
        for codec in STREAM_CODECS:
            service, _, rpc = codec.method.partition("/")
            converse = partial(inference.converse, codec)
            # Streams have threads of their own: open ones cannot starve unary calls.
            converse.experimental_thread_pool = self._stream_handlers  # type: ignore[attr-defined]
            self._register(service, {rpc: grpc.stream_stream_rpc_method_handler(converse)})

    def _register(
        self, service: str, handlers: "Mapping[str, grpc.RpcMethodHandler[Any, Any]]"
    ) -> None:
        handler = grpc.method_handlers_generic_handler(service, dict(handlers))
        self._server.add_generic_rpc_handlers((handler,))


class HandlerPool(ThreadPoolExecutor):
    """grpc's threads, counting the calls that come and those that are not yet answered."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads, thread_name_prefix="handler")
        self._changed = threading.Condition()
        self._unanswered = 0
        self.accepted = 0
        """Calls so far."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401
        """See ThreadPoolExecutor.submit."""
        with self._changed:
            self.accepted += 1
            self._unanswered += 1
        future = super().submit(fn, *args, **kwargs)
        future.add_done_callback(self._settle)
        return future

    def wait_idle(self, timeout_s: float) -> bool:
        """Waits until nothing is accepted and unanswered; False where that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: self._unanswered == 0, timeout_s)

    def _settle(self, _future: Future[Any]) -> None:
        with self._changed:
            self._unanswered -= 1
            self._changed.notify_all()


def make_express(
    server: grpc.Server,
    options: EdgeOptions,
    registry: Registry,
    ledger: Ledger,
    access: Access | None,
) -> Express | None:
    """The express lane of a server, for all methods that classify; None where there is none.

    Raises LaneUnavailable where it is insisted on and this grpcio cannot have it.
    """
    if options.lane == "standard":
        return None
    try:
        methods, stream_methods = (
            [codec.method for codec in codecs] for codecs in (CODECS, STREAM_CODECS)
        )
        lane = Lane(server, methods, stream_methods)
    except LaneUnavailable as error:
        if options.lane == "express":
            raise
        log.warning("no express lane: calls go the public way", extra={"reason": str(error)})
        return None
    if access:
        lane.gate = make_lane_gate(access)
    return Express(
        lane,
        CODECS,
        STREAM_CODECS,
        registry=registry,
        ledger=ledger,
        options=ExpressOptions(
            queue=options.queue,
            max_streams=options.max_streams,
            max_request_rows=options.max_request_rows,
            max_batch_rows=options.max_batch_rows,
            batch_wait_s=options.batch_wait_s,
        ),
    )


def wait_quiet(count: Callable[[], int], quiet_s: float, *, at_most_s: float) -> None:
    """Waits until a count has stood still for `quiet_s`, or for `at_most_s` where it never does."""
    until_s = time.monotonic() + at_most_s
    before = None
    while (now := count()) != before and (left_s := until_s - time.monotonic()) > 0:
        before = now
        time.sleep(min(quiet_s, left_s))


def bind(server: grpc.Server, options: EdgeOptions, tls: ServerTls | None) -> int:
    """Binds the addresses and gives the port's number. Raises PortUnavailable."""
    host, port = options.host, options.port
    if not options.share_port:
        check_port("grpc", host, port)
    if options.backend:
        server.add_insecure_port(options.backend)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if tls:
        return server.add_secure_port(address, tls.credentials)
    return server.add_insecure_port(address)


def channel_options(options: EdgeOptions) -> list[tuple[str, Any]]:
    """The settings of grpc itself."""
    aging: list[tuple[str, Any]] = []
    if options.max_connection_age_s is not None:
        grace_ms = round(1000 * options.max_connection_age_grace_s)
        aging = [
            ("grpc.max_connection_age_ms", round(1000 * options.max_connection_age_s)),
            ("grpc.max_connection_age_grace_ms", grace_ms),
        ]
    return [
        *aging,
        ("grpc.max_allowed_incoming_connections", options.max_connections),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
        # On by default, a second server would silently share the port of the first.
        ("grpc.so_reuseport", int(options.share_port)),
        ("grpc.max_receive_message_length", options.max_message_bytes),
        # A stream's window stays as it is until its call is let in, and then fits its message: most
        # of what is refused under overload was not sent (docs/decisions/0006).
        ("grpc.http2.lookahead_bytes", WINDOW_BYTES),
        ("grpc.http2.bdp_probe", 0),
        # Each open stream takes memory, and without a limit one caller opens any number.
        ("grpc.max_concurrent_streams", MAX_STREAMS_OF_CONNECTION),
        # Else gRPC counts streams that have ended against it, until it has let go of them, and
        # refuses some calls of callers who keep to the limit.
        ("grpc.http.overload_protection", 0),
        # Beyond these, of which the first is 1,000, gRPC ends calls with CANCELLED by itself: what
        # is too much for us is ours to say, with a status that callers understand.
        ("grpc.server.max_pending_requests", MAX_PENDING),
        ("grpc.server.max_pending_requests_hard_limit", MAX_PENDING),
        # Clients may ping idle connections every second to find dead ones.
        ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]

"""Traces as OpenTelemetry has them, sent by OTLP. The only file that imports it.

Spans are made when all that they tell is over, with the times that were noted on the way, and are
handed on as they are: the tracer of OpenTelemetry's SDK, which is made for spans that are open for
a while, takes fifteen times as long for each. Sampler, resource and exporter are the SDK's own, and
obey its variables: OTEL_TRACES_SAMPLER, OTEL_RESOURCE_ATTRIBUTES, OTEL_EXPORTER_OTLP_ENDPOINT ...
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version as library_version
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc import exporter as otlp
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from flatdense_server.observe.traces.delivery import Delivery
from flatdense_server.observe.traces.journey import TRACESTATE, Headers, Journey, TracesUnavailable
from flatdense_server.observe.traces.passage import Passage
from flatdense_server.observe.traces.traceparent import TraceContext, find_trace
from flatdense_server.selector import Answerer
from flatdense_server.tensors import Ran

PACKAGE: Final = "flatdense-server"

ROOT: Final = Context()

KEPT: Final = TraceFlags(TraceFlags.SAMPLED)
NOT_KEPT: Final = TraceFlags(TraceFlags.DEFAULT)

NO_STATUS: Final = Status(StatusCode.UNSET)
FAILED: Final = Status(StatusCode.ERROR)

FAULTS: Final = frozenset(
    {
        "UNKNOWN",
        "DEADLINE_EXCEEDED",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
    }
)
"""The statuses that are a server's failures, as OpenTelemetry's conventions have it."""

HTTP_FAULTS: Final = "5"
"""What theirs begin with."""

DROPS_WHAT_CALLERS_DROP: Final = "remoteParentNotSampled:AlwaysOffSampler"
"""How the SDK's samplers describe it."""

LEAP_NS: Final = 1_000_000
"""Spans that belong together must not differ by less because each was told by itself."""

CLOSE_S: Final = 0.2
"""For the exporter to notice that nobody waits for it any more."""

Attributes = Mapping[str, str | int]


class Clock:
    """From the clock of time.monotonic() to nanoseconds since the epoch."""

    def __init__(self) -> None:
        self._shift_ns = 0

    def read(self) -> Callable[[float], int]:
        """As it is now. The same from one time to the next, unless somebody sets the clock."""
        shift_ns = time.time_ns() - time.monotonic_ns()
        if abs(shift_ns - self._shift_ns) > LEAP_NS:
            self._shift_ns = shift_ns
        kept_ns = self._shift_ns
        return lambda time_s: round(time_s * 1e9) + kept_ns


class OtlpTracer:
    """See Tracer. Raises TracesUnavailable where the variables cannot be obeyed."""

    def __init__(self, count_dropped: Callable[[int], None], **particulars: str | int) -> None:
        self._overheard = ""
        # Its lines, one for each try, go to nobody: Delivery has a line when it matters.
        self._talk = logging.getLogger(otlp.__name__)
        self._talk.addFilter(self._overhear)
        try:
            provider = TracerProvider(
                resource=describe_resource(particulars), shutdown_on_exit=False
            )
            self._exporter = OTLPSpanExporter()
            self._most_links = SpanLimits().max_links
        except ValueError as error:
            raise TracesUnavailable(f"the variables OTEL_* cannot be obeyed: {error}") from error
        self._sampler, self._ids = provider.sampler, provider.id_generator
        # Then the sampler, which takes longer, need not be asked about those calls.
        self._obeys_callers = DROPS_WHAT_CALLERS_DROP in self._sampler.get_description()
        self._resource = provider.resource
        self._scope = InstrumentationScope(PACKAGE, library_version(PACKAGE))
        self._clock = Clock()
        self._count_dropped = count_dropped
        self._delivery = Delivery(self._send, count_dropped)

    def begin(self, method: str, headers: Headers) -> Journey | None:
        """See Tracer."""
        parent = find_trace(headers)
        if parent is None:
            context, trace_id, tracestate = ROOT, self._ids.generate_trace_id(), ""
        elif self._obeys_callers and not parent.sampled:
            return None
        else:
            trace_id, tracestate = parent.trace_id, find_tracestate(headers)
            context = enter_context(parent, tracestate)
        sampled = self._sampler.should_sample(context, trace_id, method, SpanKind.SERVER)
        if sampled.decision is not Decision.RECORD_AND_SAMPLE:
            return None
        if self._delivery.is_full:
            self._count_dropped(1)
            return None
        return Journey(
            trace_id=trace_id,
            span_id=self._ids.generate_span_id(),
            parent=parent,
            tracestate=tracestate,
        )

    def message(self, stream: Journey) -> Journey:
        """See Tracer."""
        return Journey(
            trace_id=stream.trace_id,
            span_id=self._ids.generate_span_id(),
            parent=TraceContext(stream.trace_id, stream.span_id, sampled=True),
            tracestate=stream.tracestate,
            is_remote=False,
        )

    def batch(self, riders: Sequence[Journey], ran: Ran, answerer: Answerer, engine: str) -> None:
        """See Tracer. The batch has a trace of its own, with a link to each who rode in it."""
        ids = self._ids.generate_trace_id(), self._ids.generate_span_id()
        for rider in riders:
            rider.batch = ids
        links = [Link(context_of(rider.trace_id, rider.span_id)) for rider in riders]
        attributes = {
            **describe_answerer(answerer),
            "flatdense.engine": engine,
            "flatdense.batch.rows": ran.rows,
        }
        at_ns = self._clock.read()
        self._tell(
            "batch",
            context_of(*ids),
            None,
            (at_ns(ran.started_s), at_ns(ran.started_s + ran.took_s)),
            attributes=attributes,
            links=BoundedList.from_seq(self._most_links, links),
        )

    def end(self, journey: Journey, passage: Passage) -> None:
        """See Tracer. Below its span are those of its time in the queue and in the engine."""
        own = context_of(journey.trace_id, journey.span_id, journey.tracestate)
        parent = journey.parent
        at_ns = self._clock.read()
        is_message = passage.kind == "message"
        self._tell(
            name_span(passage),
            own,
            remote_context(parent, journey.tracestate, is_remote=journey.is_remote)
            if parent
            else None,
            (at_ns(passage.arrived_s), at_ns(passage.ended_s)),
            kind=SpanKind.INTERNAL if is_message else SpanKind.SERVER,
            attributes=describe_passage(passage),
            status=FAILED if is_fault(passage) else NO_STATUS,
        )
        if (ran := passage.ran) is None or passage.kind == "http":
            return
        queued, computed = (
            context_of(journey.trace_id, self._ids.generate_span_id(), journey.tracestate)
            for _ in range(2)
        )
        started_ns = at_ns(ran.started_s)
        self._tell("queue", queued, own, (at_ns(passage.arrived_s), started_ns))
        self._tell(
            "inference",
            computed,
            own,
            (started_ns, at_ns(ran.started_s + ran.took_s)),
            attributes={"flatdense.batch.rows": ran.rows},
            links=[Link(context_of(*journey.batch))] if journey.batch else (),
        )

    def close(self, timeout_s: float) -> None:
        """See Tracer."""
        if not self._delivery.close(timeout_s):
            self._exporter.shutdown()
            self._delivery.close(CLOSE_S)
        self._talk.removeFilter(self._overhear)

    def _tell(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        times_ns: tuple[int, int],
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes | None = None,
        links: Sequence[Link] = (),
        status: Status = NO_STATUS,
    ) -> None:
        start_ns, end_ns = times_ns
        self._delivery.put(
            ReadableSpan(
                name,
                context=context,
                parent=parent,
                resource=self._resource,
                attributes=attributes or {},
                links=links,
                kind=kind,
                status=status,
                start_time=start_ns,
                end_time=end_ns,
                instrumentation_scope=self._scope,
            )
        )

    def _send(self, spans: Sequence[ReadableSpan]) -> str:
        self._overheard = "the exporter does not say why"
        result = self._exporter.export(spans)
        return "" if result is SpanExportResult.SUCCESS else self._overheard

    def _overhear(self, record: logging.LogRecord) -> bool:
        """Keeps what the exporter says of its failure, for the one line that there is of it."""
        self._overheard = record.getMessage()
        return False


def describe_resource(particulars: Attributes) -> Resource:
    """What runs here. What the variables say counts."""
    own = Resource({SERVICE_VERSION: library_version(PACKAGE), **particulars})
    told = own.merge(Resource.create())
    # What OpenTelemetry says where nobody named the service.
    if str(told.attributes[SERVICE_NAME]).startswith("unknown_service"):
        return told.merge(Resource({SERVICE_NAME: PACKAGE}))
    return told


def find_tracestate(headers: Headers) -> str:
    """The state that goes with a traceparent."""
    return ",".join(str(value) for key, value in headers if key == TRACESTATE)


def enter_context(parent: TraceContext, tracestate: str) -> Context:
    """The parent, as samplers look for it."""
    remote = remote_context(parent, tracestate, is_remote=True)
    return set_span_in_context(NonRecordingSpan(remote), ROOT)


def remote_context(parent: TraceContext, tracestate: str, *, is_remote: bool) -> SpanContext:
    """The parent, as spans have it."""
    flags = KEPT if parent.sampled else NOT_KEPT
    return SpanContext(
        parent.trace_id, parent.span_id, is_remote, flags, read_tracestate(tracestate)
    )


def context_of(trace_id: int, span_id: int, tracestate: str = "") -> SpanContext:
    """That of one of our own spans."""
    return SpanContext(trace_id, span_id, False, KEPT, read_tracestate(tracestate))  # noqa: FBT003


def read_tracestate(tracestate: str) -> TraceState | None:
    """The state, where there is any that can be read."""
    return TraceState.from_header([tracestate]) if tracestate else None


def describe_answerer(answerer: Answerer) -> dict[str, str | int]:
    """The version that answered, if any did."""
    model, version = answerer
    return {"flatdense.model": model, "flatdense.version": version} if version else {}


def name_span(passage: Passage) -> str:
    """One of few, whatever strangers ask for."""
    if passage.kind == "message":
        return "message"
    if passage.kind == "http" and passage.code == "404":
        return passage.method.partition(" ")[0]
    return passage.method


def describe_passage(passage: Passage) -> Attributes:
    """The attributes of OpenTelemetry's conventions, and ours."""
    attributes: dict[str, str | int] = {
        **describe_answerer(passage.answerer),
        "flatdense.rows": passage.rows,
    }
    if passage.kind == "message":
        return attributes
    attributes["flatdense.request_id"] = passage.request_id
    if address := passage.peer.partition(":")[2]:
        attributes["client.address"] = address.rpartition(":")[0] or address
    if is_fault(passage):
        attributes["error.type"] = passage.code
    if passage.kind == "http":
        verb, _, path = passage.method.partition(" ")
        return attributes | {
            "http.request.method": verb,
            "http.route": path,
            "http.response.status_code": int(passage.code),
        }
    return attributes | {
        "rpc.system.name": "grpc",
        "rpc.method": passage.method,
        "rpc.response.status_code": passage.code,
    }


def is_fault(passage: Passage) -> bool:
    """Whether the server failed, and not the request."""
    if passage.kind == "http":
        return passage.code.startswith(HTTP_FAULTS)
    return passage.code in FAULTS

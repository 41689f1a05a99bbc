"""An OpenTelemetry collector in this process: OTLP over gRPC, on a free port of the loopback."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as services
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Value = str | int | bool | float


class Collector(services.TraceServiceServicer):
    """Keeps every span that comes. A context manager."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        """Oldest first."""
        self.resources: list[dict[str, Value]] = []
        """Of each message that came."""
        self._changed = threading.Condition()
        self._server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
        services.add_TraceServiceServicer_to_server(self, self._server)
        self._port = self._server.add_insecure_port("127.0.0.1:0")

    @property
    def variables(self) -> dict[str, str]:
        """By which OpenTelemetry finds it."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self._port}"}

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.stop(0).wait()

    def Export(  # noqa: N802 -- OpenTelemetry's name
        self, request: otlp.ExportTraceServiceRequest, _context: grpc.ServicerContext
    ) -> otlp.ExportTraceServiceResponse:
        """See OTLP."""
        with self._changed:
            for resource in request.resource_spans:
                self.resources.append(read_attributes(resource.resource.attributes))
                for scope in resource.scope_spans:
                    self.spans.extend(scope.spans)
            self._changed.notify_all()
        return otlp.ExportTraceServiceResponse()

    def wait_for(self, is_there: Callable[[list[Span]], bool], timeout_s: float = 20.0) -> None:
        """Waits until the spans that came are as `is_there` says."""
        with self._changed:
            if not self._changed.wait_for(lambda: is_there(self.spans), timeout_s):
                raise TimeoutError(f"after {timeout_s} s there are {self.names}")

    def named(self, name: str, count: int = 1) -> list[Span]:
        """Those of a name, waiting until there are so many."""
        self.wait_for(lambda spans: sum(span.name == name for span in spans) >= count)
        return [span for span in self.spans if span.name == name]

    @property
    def names(self) -> list[str]:
        """Of all spans."""
        return [span.name for span in self.spans]

    def below(self, parent: Span, count: int) -> dict[str, Span]:
        """The spans whose parent it is, by name, waiting until there are so many."""

        def is_below(span: Span) -> bool:
            """Of the same trace, too."""
            return (span.trace_id, span.parent_span_id) == (parent.trace_id, parent.span_id)

        self.wait_for(lambda spans: sum(map(is_below, spans)) >= count)
        return {span.name: span for span in self.spans if is_below(span)}


def read_attributes(attributes: object) -> dict[str, Value]:
    """As a dictionary."""
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value"))
        for each in attributes  # type: ignore[attr-defined]
    }

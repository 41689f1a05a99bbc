"""A request that is traced, and who traces it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

from flatdense_server.observe.traces.passage import Passage
from flatdense_server.observe.traces.traceparent import TraceContext
from flatdense_server.selector import Answerer

if TYPE_CHECKING:  # the supervisor starts without numpy
    from flatdense_server.tensors import Ran

Traces: TypeAlias = Literal["off", "otlp"]
"""Where they go."""

Headers: TypeAlias = Iterable[tuple[str, str | bytes]]

TRACESTATE: Final = "tracestate"
"""What other systems note beside a traceparent. It is passed on."""


class TracesUnavailable(Exception):
    """There can be no traces. The message says why."""


@dataclass(slots=True, kw_only=True, eq=False)
class Journey:
    """The span of a request, or of one message of a stream, that is kept."""

    trace_id: int
    span_id: int
    parent: TraceContext | None
    """Whose part it is; None where the trace begins here."""
    tracestate: str = ""
    is_remote: bool = True
    """Whether the parent is another process's."""
    batch: tuple[int, int] | None = None
    """The trace and the span of the batch that it rode in, once that is known."""

    @property
    def traceparent(self) -> str:
        """What those are told whom it goes on to."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-01"


class Tracer(Protocol):
    """Makes spans of what has ended. Thread-safe, and it never waits, but for close()."""

    def begin(self, method: str, headers: Headers) -> Journey | None:
        """A request with these headers; None where its trace is not kept."""
        ...

    def message(self, stream: Journey) -> Journey:
        """One message of a stream."""
        ...

    def batch(self, riders: Sequence[Journey], ran: "Ran", answerer: Answerer, engine: str) -> None:
        """They ran together. Before their end() is told."""
        ...

    def end(self, journey: Journey, passage: Passage) -> None:
        """What became of it."""
        ...

    def close(self, timeout_s: float) -> None:
        """Sends what is left, for so long at most."""
        ...


def open_tracer(
    traces: Traces, count_dropped: Callable[[int], None], **particulars: str | int
) -> Tracer | None:
    """Whoever makes spans in this process; None where nobody does.

    Every span has the `particulars`. `count_dropped` hears of spans that are lost. Raises
    TracesUnavailable.
    """
    if traces == "off":
        return None
    # Here: without traces nothing of OpenTelemetry is needed, nor imported.
    from flatdense_server.observe.traces.traces import OtlpTracer  # noqa: PLC0415

    return OtlpTracer(count_dropped, **particulars)

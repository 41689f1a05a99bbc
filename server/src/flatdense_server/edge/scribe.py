"""Tells of RPCs that have ended: to the access log, and as traces."""

import time
from collections.abc import Callable, Sequence

from flatdense_server.edge.lane import LaneCall
from flatdense_server.edge.refusal import Metadata
from flatdense_server.models.servable import Servable
from flatdense_server.observe.logs.access_log import AccessLog
from flatdense_server.observe.traces.journey import Journey, Tracer
from flatdense_server.observe.traces.passage import Passage
from flatdense_server.observe.traces.traceparent import find_trace
from flatdense_server.request_id import HEADER
from flatdense_server.tensors import Ran


class Scribe:
    """Of one process. Thread-safe. There is none where neither is wanted: see make_scribe()."""

    def __init__(self, access_log: AccessLog | None, tracer: Tracer | None) -> None:
        self._access_log = access_log
        self._tracer = tracer

    def begin(self, method: str, metadata: Metadata) -> Journey | None:
        """An RPC whose spans begin with it: of a stream, or on the standard lane."""
        return self._tracer.begin(method, metadata) if self._tracer else None

    def message(self, stream: Journey | None) -> Journey | None:
        """One message of such a stream."""
        return self._tracer.message(stream) if self._tracer and stream else None

    def batch(self, calls: Sequence[LaneCall], servable: Servable, ran: Ran) -> None:
        """Calls of the express lane, and messages of its streams, were answered from one batch."""
        now_s = time.monotonic()
        told: list[tuple[LaneCall, Journey | None, bool]] = []
        for call in calls:
            if call.in_stream:
                journey, is_drawn = self.message(call.journey), False
            else:
                journey, is_drawn = self.begin(call.method, call.metadata), self._is_drawn()
            if journey or is_drawn:
                told.append((call, journey, is_drawn))
        riders = [journey for _call, journey, _is_drawn in told if journey]
        if self._tracer and riders:
            self._tracer.batch(riders, ran, servable.answerer, servable.engine_spec.name)
        for call, journey, is_drawn in told:
            passage = describe_call(call, "OK", now_s, ran)
            self._tell(passage, call.metadata, journey, is_drawn=is_drawn)

    def fail(self, call: LaneCall, code: str) -> None:
        """A call of the express lane ended with another status than OK."""
        journey, is_drawn = self.begin(call.method, call.metadata), self._is_drawn()
        if journey or is_drawn:
            passage = describe_call(call, code, time.monotonic(), None)
            self._tell(passage, call.metadata, journey, is_drawn=is_drawn)

    def end(
        self, describe: Callable[[], Passage], metadata: Metadata, journey: Journey | None
    ) -> None:
        """An RPC has ended, which begin() was told of. `describe()` is called where it is told."""
        is_drawn = self._is_drawn()
        if journey or is_drawn:
            self._tell(describe(), metadata, journey, is_drawn=is_drawn)

    def end_message(self, passage: Passage, journey: Journey) -> None:
        """A message was answered that message() was told of."""
        if self._tracer:
            self._tracer.end(journey, passage)

    def _is_drawn(self) -> bool:
        return self._access_log is not None and self._access_log.is_drawn()

    def _tell(
        self, passage: Passage, metadata: Metadata, journey: Journey | None, *, is_drawn: bool
    ) -> None:
        if self._tracer and journey:
            self._tracer.end(journey, passage)
        if self._access_log and is_drawn and not is_own(passage, metadata):
            trace = journey or find_trace(metadata)
            self._access_log.write(passage, trace.trace_id if trace else None)


def is_own(passage: Passage, metadata: Metadata) -> bool:
    """Whether the service asked for itself: probes come for ever, and nobody reads of each.

    What its HTTP server asks for somebody has an id.
    """
    return passage.peer.startswith("unix:") and not any(key == HEADER for key, _value in metadata)


def make_scribe(access_log: AccessLog | None, tracer: Tracer | None) -> Scribe | None:
    """One where there is something to tell."""
    return Scribe(access_log, tracer) if access_log or tracer else None


def describe_call(call: LaneCall, code: str, ended_s: float, ran: Ran | None) -> Passage:
    """A call of the express lane, or a message."""
    return Passage(
        kind="message" if call.in_stream else "rpc",
        method=call.method,
        answerer=call.answerer,
        code=code,
        rows=call.rows,
        arrived_s=call.arrived_s,
        ended_s=ended_s,
        ran=ran,
        peer=call.peer(),
        request_id=call.identify(),
    )

"""What becomes of each RPC: its status, its metrics, its line in the log where it failed."""

import logging
import time
from collections.abc import Iterable, Sequence
from typing import Final

import grpc

from flatdense_server.edge.refusal import REASONS, Metadata, Refusal
from flatdense_server.edge.scribe import Scribe
from flatdense_server.edge.status import Status, is_unexpected, status_of
from flatdense_server.errors import DeadlineExpired
from flatdense_server.observe.metrics.metrics import MethodSeries, Metrics
from flatdense_server.observe.traces.traceparent import find_trace
from flatdense_server.selector import NOBODY, Answerer

log = logging.getLogger(__name__)


class Ledger:
    """Counts and times RPCs, and turns what ended them into a status. Thread-safe."""

    def __init__(
        self,
        metrics: Metrics,
        stream_methods: Iterable[str] = (),
        scribe: Scribe | None = None,
    ) -> None:
        """All methods but these are unary.

        `scribe` is for those who end RPCs: it is told of each by itself.
        """
        self.scribe: Final = scribe
        self._metrics = metrics
        self._stream_methods = frozenset(stream_methods)
        self._series: dict[str, MethodSeries] = {}

    def begin(self, method: str, calls: int = 1) -> None:
        """RPCs have come; where they are unary, their messages too."""
        self._metrics.inflight.inc(calls)
        series = self._method_series(method)
        # What began and is unary is not counted twice: see observe/metrics/grpc_server.py.
        (series.started if method in self._stream_methods else series.received).inc(calls)

    def receive(self, method: str, messages: int = 1) -> None:
        """Messages of streams have come."""
        self._method_series(method).received.inc(messages)

    def send(self, method: str, messages: int = 1) -> None:
        """Messages of streams were answered."""
        self._method_series(method).sent.inc(messages)

    def succeed(
        self,
        method: str,
        answerer: Answerer,
        started_s: Sequence[float],
        metadata: Sequence[Metadata],
    ) -> None:
        """RPCs that came at these times, on the clock of time.monotonic(), ended with OK.

        `metadata` is what each came with.
        """
        self._end(method, answerer, started_s, "OK", metadata)

    def fail(
        self,
        method: str,
        answerer: Answerer,
        started_s: float,
        error: BaseException,
        request_id: str,
        metadata: Metadata = (),
    ) -> Status:
        """It ended otherwise: gives the status that it must have."""
        status = self.judge(method, error, request_id)
        self.end(method, answerer, started_s, status.code.name, metadata)
        return status

    def judge(self, method: str, error: BaseException, request_id: str) -> Status:
        """The status that an error means. The RPC has not ended: end() says when."""
        status = status_of(error, request_id)
        if status.code is grpc.StatusCode.INTERNAL:
            log.error(
                "request failed",
                exc_info=error if is_unexpected(error) else None,
                extra={"method": method, "request_id": request_id},
            )
        if isinstance(error, DeadlineExpired):
            self._metrics.deadline_expired.labels("queue").inc()
        for refused, reason in REASONS.items():
            if isinstance(error, refused):
                self._metrics.rejected.labels(reason).inc()
        return status

    def end(
        self,
        method: str,
        answerer: Answerer,
        started_s: float,
        code: str,
        metadata: Metadata = (),
    ) -> None:
        """An RPC that came at this time ended with a status of this code, by name."""
        self._end(method, answerer, (started_s,), code, (metadata,))

    def refuse(self, method: str, refusal: Refusal, calls: int = 1) -> None:
        """RPCs, which begin() does not know of, were refused before all else."""
        metrics, kind = self._metrics, self._kind(method)
        metrics.requests.labels(method, *NOBODY, refusal.name).inc(calls)
        metrics.rejected.labels(refusal.reason).inc(calls)
        self._method_series(method).started.inc(calls)
        metrics.call_series(method, NOBODY, refusal.name, kind).handled.inc(calls)

    def _end(
        self,
        method: str,
        answerer: Answerer,
        started_s: Sequence[float],
        code: str,
        metadata: Sequence[Metadata],
    ) -> None:
        metrics = self._metrics
        metrics.inflight.dec(len(started_s))
        series = metrics.call_series(method, answerer, code, self._kind(method))
        now_s = time.monotonic()
        series.end([now_s - each_s for each_s in started_s], map(find_trace, metadata))

    def _kind(self, method: str) -> str:
        return "bidi_stream" if method in self._stream_methods else "unary"

    def _method_series(self, method: str) -> MethodSeries:
        series = self._series.get(method)
        if series is None:
            series = self._metrics.method_series(method, self._kind(method))
            self._series[method] = series
        return series

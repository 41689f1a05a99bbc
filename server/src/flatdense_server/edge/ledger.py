"""What becomes of each RPC: its status, its metrics, its line in the log where it failed."""

import logging
import time
import uuid
from collections.abc import Sequence

import grpc

from flatdense_server.edge.refusal import REASONS, Refusal
from flatdense_server.edge.status import Status, is_unexpected, status_of
from flatdense_server.errors import DeadlineExpired
from flatdense_server.observe.metrics import CallSeries, Metrics
from flatdense_server.selector import NOBODY, Answerer

log = logging.getLogger(__name__)


class Ledger:
    """Counts and times RPCs, and turns what ended them into a status. Thread-safe."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._series: dict[tuple[str, Answerer, str], CallSeries] = {}

    def begin(self, calls: int = 1) -> None:
        """RPCs have come."""
        self._metrics.inflight.inc(calls)

    def succeed(self, method: str, answerer: Answerer, *started_s: float) -> None:
        """RPCs that came at these times, on the clock of time.monotonic(), ended with OK."""
        self._end(method, answerer, started_s, "OK")

    def fail(
        self, method: str, answerer: Answerer, started_s: float, error: BaseException
    ) -> Status:
        """It ended otherwise: gives the status that it must have."""
        status = self.judge(method, error)
        self.end(method, answerer, started_s, status.code.name)
        return status

    def judge(self, method: str, error: BaseException) -> Status:
        """The status that an error means. The RPC has not ended: end() says when."""
        request_id = uuid.uuid4().hex[:16]
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

    def end(self, method: str, answerer: Answerer, started_s: float, code: str) -> None:
        """An RPC that came at this time ended with a status of this code, by name."""
        self._end(method, answerer, (started_s,), code)

    def refuse(self, method: str, refusal: Refusal, calls: int = 1) -> None:
        """RPCs, which begin() does not know of, were refused before all else."""
        self._metrics.requests.labels(method, *NOBODY, refusal.name).inc(calls)
        self._metrics.rejected.labels(refusal.reason).inc(calls)

    def _end(self, method: str, answerer: Answerer, started_s: Sequence[float], code: str) -> None:
        key = (method, answerer, code)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = self._metrics.call_series(method, *answerer, code)
        self._metrics.inflight.dec(len(started_s))
        series.requests.inc(len(started_s))
        now_s = time.monotonic()
        took_s = [now_s - each_s for each_s in started_s]
        series.duration_s.observe(*took_s)
        if code != "OK":
            self._metrics.failure_s.labels(*answerer).inc(sum(took_s))

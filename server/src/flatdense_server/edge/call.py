"""One RPC on its way: counted, timed, and ended in exactly one status."""

import logging
import time
import uuid
from concurrent.futures import CancelledError
from types import TracebackType
from typing import Final, Self

import grpc

from flatdense_server.edge.status import Status, is_unexpected, status_of
from flatdense_server.errors import DeadlineExpired, Draining, NotReady, QueueFull
from flatdense_server.observe.metrics import Metrics

log = logging.getLogger(__name__)

REJECTIONS: Final = {QueueFull: "queue_full", NotReady: "not_ready", Draining: "draining"}


class Call:
    """Wraps a handler's body, as a context manager:

        with Call(context, "flatdense.v1.Classifier/Classify", metrics) as call:
            ...

    Whatever the body raises ends the RPC with its status from edge/status.py; the context manager
    then leaves by grpc's own abort exception. Used by the one thread that runs the handler.
    """  # noqa: D400, D415 -- ends in a code block

    def __init__(self, context: grpc.ServicerContext, method: str, metrics: Metrics) -> None:
        self._context = context
        self._method = method
        self._metrics = metrics
        self._labels = ("", "")
        self._started_s = time.monotonic()
        remaining_s = context.time_remaining()
        self.deadline_s = None if remaining_s is None else self._started_s + remaining_s

    def answered_by(self, model: str, version: int) -> None:
        """Says which version the metrics of this call belong to."""
        self._labels = (model, str(version))

    def __enter__(self) -> Self:
        self._metrics.inflight.inc()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._metrics.inflight.dec()
        if error is None:
            self._count(grpc.StatusCode.OK)
            return
        status = self._end(error)
        self._count(status.code)
        if isinstance(error, GeneratorExit):  # the RPC is gone; there is no one to tell
            return
        self._context.set_trailing_metadata(status.metadata)
        self._context.abort(status.code, status.message)

    def _end(self, error: BaseException) -> Status:
        request_id = uuid.uuid4().hex[:16]
        if isinstance(error, CancelledError) and self._expired():
            error = DeadlineExpired("the deadline passed before the answer was there.")
        status = status_of(error, request_id)
        if is_unexpected(error):
            log.error(
                "request failed",
                exc_info=error,
                extra={"method": self._method, "request_id": request_id},
            )
        elif status.code is grpc.StatusCode.INTERNAL:
            log.error("request failed", extra={"method": self._method, "request_id": request_id})
        if isinstance(error, DeadlineExpired):
            self._metrics.deadline_expired.labels("queue").inc()
        for refused, reason in REJECTIONS.items():
            if isinstance(error, refused):
                self._metrics.rejected.labels(reason).inc()
        return status

    def _expired(self) -> bool:
        return self.deadline_s is not None and self.deadline_s <= time.monotonic()

    def _count(self, code: grpc.StatusCode) -> None:
        self._metrics.requests.labels(self._method, *self._labels, code.name).inc()
        duration_s = time.monotonic() - self._started_s
        self._metrics.request_duration_s.labels(self._method, *self._labels).observe(duration_s)

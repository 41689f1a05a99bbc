"""One RPC on grpc's public API: counted, timed, and ended in exactly one status."""

import time
from concurrent.futures import CancelledError
from types import TracebackType
from typing import Self

import grpc

from flatdense_server.edge.ledger import Ledger
from flatdense_server.edge.timing import describe, is_wanted
from flatdense_server.errors import DeadlineExpired
from flatdense_server.selector import NOBODY, Answerer
from flatdense_server.tensors import Outputs


class Call:
    """Wraps a handler's body, as a context manager:

        with Call(context, "flatdense.v1.Classifier/Classify", ledger) as call:
            ...

    Whatever the body raises ends the RPC with its status from edge/status.py; the context manager
    then leaves by grpc's own abort exception. Used by the one thread that runs the handler.
    """  # noqa: D400, D415 -- ends in a code block

    def __init__(self, context: grpc.ServicerContext, method: str, ledger: Ledger) -> None:
        self._context = context
        self._method = method
        self._ledger = ledger
        self._answerer: Answerer = NOBODY
        self._started_s = time.monotonic()
        remaining_s = context.time_remaining()
        self.deadline_s = None if remaining_s is None else self._started_s + remaining_s

    def deadline_within(self, timeout_s: float | None) -> float | None:
        """The call's deadline, or the request's own where that is sooner."""
        if timeout_s is None:
            return self.deadline_s
        return soonest(self.deadline_s, self._started_s + timeout_s)

    def answered_by(self, answerer: Answerer) -> None:
        """Says which version the metrics of this call belong to."""
        self._answerer = answerer

    def computed(self, outputs: Outputs) -> None:
        """Tells a caller who asks what the call took. Not of streams, which have many answers."""
        if is_wanted(self._context.invocation_metadata()):
            self._context.set_trailing_metadata(describe(outputs.ran, self._started_s))

    def __enter__(self) -> Self:
        self._ledger.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        entry = (self._method, self._answerer, self._started_s)
        if error is None:
            self._ledger.succeed(*entry)
            return
        if isinstance(error, CancelledError) and self._expired():
            error = DeadlineExpired("the deadline passed before the answer was there.")
        status = self._ledger.fail(*entry, error)
        if isinstance(error, GeneratorExit):  # the RPC is gone; there is no one to tell
            return
        self._context.set_trailing_metadata(status.metadata)
        self._context.abort(status.code, status.message)

    def _expired(self) -> bool:
        return self.deadline_s is not None and self.deadline_s <= time.monotonic()


def soonest(deadline_s: float | None, other_s: float) -> float:
    """The sooner one of two deadlines, of which the first may be none."""
    return other_s if deadline_s is None else min(deadline_s, other_s)

"""One RPC on grpc's public API: counted, timed, and ended in exactly one status."""

import time
from concurrent.futures import CancelledError
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Final, Self
from urllib.parse import unquote

import grpc

from flatdense_server.edge.ledger import Ledger
from flatdense_server.edge.refusal import Metadata
from flatdense_server.edge.trailers import echo, is_asking, write_trailers
from flatdense_server.errors import DeadlineExpired
from flatdense_server.observe.traces.journey import Journey
from flatdense_server.observe.traces.passage import Passage
from flatdense_server.request_id import find_request_id
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
        self._metadata: Metadata = tuple(context.invocation_metadata() or ())
        self._request_id = ""
        self._rows = 0
        self._outputs: Outputs | None = None
        scribe = ledger.scribe
        self.journey: Final = scribe.begin(method, self._metadata) if scribe else None
        """Its own, where its trace is kept."""
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
        """Says what it is answered with. Not of streams, which have many answers."""
        self._outputs = outputs
        self._rows = len(outputs.classes)

    def begin_message(self) -> Journey | None:
        """That of one message, where this is a stream whose trace is kept."""
        scribe = self._ledger.scribe
        return scribe.message(self.journey) if scribe else None

    def end_message(self, journey: Journey | None, arrived_s: float, outputs: Outputs) -> None:
        """One message of the stream was answered, which came then."""
        self._rows += len(outputs.classes)
        if journey and (scribe := self._ledger.scribe):
            passage = self._describe("OK", arrived_s, outputs)
            scribe.end_message(replace(passage, kind="message"), journey)

    def identify(self) -> str:
        """The request's id: its caller's, or one that is made when it is first asked for."""
        if not self._request_id:
            self._request_id = find_request_id(self._metadata)
        return self._request_id

    def __enter__(self) -> Self:
        self._ledger.begin(self._method)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        entry, metadata = (self._method, self._answerer), self._metadata
        if error is None:
            self._tell_asking()
            self._ledger.succeed(*entry, (self._started_s,), (metadata,))
            self._tell_scribe("OK")
            return
        if isinstance(error, CancelledError) and self._expired():
            error = DeadlineExpired("the deadline passed before the answer was there.")
        status = self._ledger.fail(*entry, self._started_s, error, self.identify(), metadata)
        self._tell_scribe(status.code.name)
        if isinstance(error, GeneratorExit):  # the RPC is gone; there is no one to tell
            return
        self._context.set_trailing_metadata(status.metadata)
        self._context.abort(status.code, status.message)

    def _tell_asking(self) -> None:
        if not is_asking(self._metadata):
            return
        if self._outputs:
            trailers = write_trailers(
                self._metadata, self.identify, self._outputs, self._answerer, self._started_s
            )
        else:
            trailers = echo(self._metadata, self.identify)
        self._context.set_trailing_metadata(trailers)

    def _tell_scribe(self, code: str) -> None:
        if scribe := self._ledger.scribe:
            describe = partial(self._describe, code, self._started_s, self._outputs)
            scribe.end(describe, self._metadata, self.journey)

    def _describe(self, code: str, arrived_s: float, outputs: Outputs | None) -> Passage:
        return Passage(
            method=self._method,
            answerer=self._answerer,
            code=code,
            rows=len(outputs.classes) if outputs else self._rows,
            arrived_s=arrived_s,
            ended_s=time.monotonic(),
            ran=outputs.ran if outputs else None,
            peer=unquote(self._context.peer()),
            request_id=self.identify(),
        )

    def _expired(self) -> bool:
        return self.deadline_s is not None and self.deadline_s <= time.monotonic()


def soonest(deadline_s: float | None, other_s: float) -> float:
    """The sooner one of two deadlines, of which the first may be none."""
    return other_s if deadline_s is None else min(deadline_s, other_s)

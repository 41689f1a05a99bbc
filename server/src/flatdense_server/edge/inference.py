"""The methods that classify, on grpcio's public API: the standard lane."""

import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass

import grpc

from flatdense_server.edge.call import Call
from flatdense_server.edge.ledger import Ledger
from flatdense_server.edge.stream import RequestStream, Streams
from flatdense_server.models.registry import Registry
from flatdense_server.models.servable import Servable
from flatdense_server.observe.traces.journey import Journey
from flatdense_server.protocols.codec import Codec, Question
from flatdense_server.tensors import Outputs


@dataclass(frozen=True, slots=True)
class Pending:
    """A request on its way through the queue."""

    question: Question
    servable: Servable
    outputs: Future[Outputs]
    arrived_s: float
    """On the clock of time.monotonic()."""
    journey: Journey | None
    """Its own, where its trace is kept."""

    def answer(self) -> bytes:
        """Waits for the outputs and writes them."""
        return self.question.answer(self.outputs.result(), self.servable.identity)

    def cancel(self) -> None:
        """Takes it out of the queue."""
        self.outputs.cancel()


@dataclass(frozen=True, slots=True)
class Told:
    """A request of a stream that was refused, and what the stream is told."""

    message: bytes

    def answer(self) -> bytes:
        """What it is told."""
        return self.message

    def cancel(self) -> None:
        """It waits for nothing."""


class Inference:
    """Decodes, queues, waits, encodes: each call on a thread of grpc's pool.

    Requests come as the bytes that were sent, so that what is no message is refused like any other
    bad input.
    """

    def __init__(
        self, registry: Registry, *, streams: Streams, ledger: Ledger, max_request_rows: int
    ) -> None:
        self._registry = registry
        self._streams = streams
        self._ledger = ledger
        self._max_request_rows = max_request_rows

    def answer(self, codec: Codec, request: bytes, context: grpc.ServicerContext) -> bytes:
        """A unary method: one request, one answer."""
        with Call(context, codec.method, self._ledger) as call:
            pending = self._submit(codec, request, call, call.journey)
            withdraw_on_end(context, pending.outputs)
            answer = pending.answer()
            call.computed(pending.outputs.result())
            return answer

    def converse(
        self, codec: Codec, requests: Iterator[bytes], context: grpc.ServicerContext
    ) -> Iterator[bytes]:
        """A method of streams: one answer for each request, in order."""
        with Call(context, codec.method, self._ledger) as call, self._streams.admit():

            def submit(request: bytes) -> Pending | Told:
                self._ledger.receive(codec.method)
                try:
                    return self._submit(codec, request, call, call.begin_message())
                except Exception as error:  # noqa: BLE001 -- whatever it is, the caller is told
                    return self._tell(codec, request, error, call)

            stream = RequestStream(requests, context, submit)
            with self._streams.attached(stream):
                for request, pending in stream:
                    try:
                        answer = pending.answer()
                    except Exception as error:  # noqa: BLE001 -- whatever it is, it is told
                        answer = self._tell(codec, request, error, call).message
                    self._ledger.send(codec.method)
                    yield answer
                    if isinstance(pending, Pending) and not pending.outputs.exception():
                        outputs = pending.outputs.result()
                        call.end_message(pending.journey, pending.arrived_s, outputs)

    def _submit(self, codec: Codec, data: bytes, call: Call, journey: Journey | None) -> Pending:
        arrived_s = time.monotonic()
        question = codec.parse(data)
        selector = question.selector
        call.answered_by(self._registry.resolve(selector).answerer)
        rows = question.rows(max_rows=self._max_request_rows)
        deadline_s = call.deadline_within(question.timeout_s)
        servable, outputs = self._registry.submit(
            selector, rows, deadline_s=deadline_s, hidden=question.hidden, journey=journey
        )
        call.answered_by(servable.answerer)
        return Pending(question, servable, outputs, arrived_s, journey)

    def _tell(self, codec: Codec, request: bytes, error: Exception, call: Call) -> Told:
        """What a stream is told of a refused request. Raises the error where that ends it."""
        if codec.refusal(request, str(error)) is None:
            raise error
        text = self._ledger.judge(codec.method, error, call.identify()).message
        return Told(codec.refusal(request, text) or b"")


def withdraw_on_end(context: grpc.ServicerContext, answer: Future[Outputs]) -> None:
    """A caller that goes away takes its rows out of the queue."""

    def withdraw() -> None:
        answer.cancel()

    if not context.add_callback(withdraw):
        withdraw()

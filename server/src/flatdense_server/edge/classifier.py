"""flatdense.v1.Classifier on grpcio's public API."""

from collections.abc import Iterator
from concurrent.futures import Future

import grpc
from flatdense_proto.v1 import classifier_pb2 as pb

from flatdense_server.edge.call import Call
from flatdense_server.edge.ledger import Ledger
from flatdense_server.edge.stream import RequestStream, Streams
from flatdense_server.errors import Draining
from flatdense_server.models.registry import Registry
from flatdense_server.models.servable import Servable
from flatdense_server.protocols import native
from flatdense_server.protocols.codec import Codec
from flatdense_server.tensors import Outputs


class ClassifierService:
    """Decodes, queues, waits, encodes: each call on a thread of grpc's pool.

    Requests come as the bytes that were sent, so that what is no message is refused like any other
    bad input.
    """

    def __init__(
        self,
        registry: Registry,
        codec: Codec,
        *,
        streams: Streams,
        ledger: Ledger,
        max_request_rows: int,
    ) -> None:
        self._registry = registry
        self._codec = codec
        self._streams = streams
        self._ledger = ledger
        self._max_request_rows = max_request_rows

    def classify(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        """Classify: one request, one answer."""
        with Call(context, self._codec.method, self._ledger) as call:
            servable, answer = self._submit(request, call)
            withdraw_on_end(context, answer)
            return self._encode(servable, answer)

    def classify_stream(
        self, requests: Iterator[bytes], context: grpc.ServicerContext
    ) -> Iterator[bytes]:
        """ClassifyStream: one answer for each request, in order."""
        with (
            Call(context, f"{native.SERVICE}/ClassifyStream", self._ledger) as call,
            self._streams.admit(),
        ):
            stream = RequestStream(requests, context, lambda request: self._submit(request, call))
            with self._streams.attached(stream):
                for servable, answer in stream:
                    yield self._encode(servable, answer)

    def get_model(self, request: bytes, context: grpc.ServicerContext) -> pb.GetModelResponse:
        """GetModel: what the model is and how it is served."""
        with Call(context, f"{native.SERVICE}/GetModel", self._ledger) as call:
            selector = native.read_selector(native.parse(pb.GetModelRequest, request))
            servable = self._registry.resolve(selector)
            call.answered_by(servable.answerer)
            return native.describe(self._registry.summarize(servable))

    def _submit(self, data: bytes, call: Call) -> tuple[Servable, Future[Outputs]]:
        question = self._codec.parse(data)
        servable = self._registry.resolve(question.selector)
        call.answered_by(servable.answerer)
        rows = question.rows(max_rows=self._max_request_rows)
        try:
            return servable, servable.submit(rows, deadline_s=call.deadline_s)
        except Draining:
            # A new version took over in this instant, and the registry knows it. Where it is the
            # server that stops, the registry says so.
            servable = self._registry.resolve(question.selector)
            call.answered_by(servable.answerer)
            return servable, servable.submit(rows, deadline_s=call.deadline_s)

    def _encode(self, servable: Servable, answer: Future[Outputs]) -> bytes:
        """Waits for an answer and writes it."""
        return self._codec.encode(
            answer.result(), model_name=servable.name, model_version=servable.version
        )


def withdraw_on_end(context: grpc.ServicerContext, answer: Future[Outputs]) -> None:
    """A caller that goes away takes its rows out of the queue."""

    def withdraw() -> None:
        answer.cancel()

    if not context.add_callback(withdraw):
        withdraw()

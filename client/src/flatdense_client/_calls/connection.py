"""The I/O of a client for threads."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import grpc
from flatdense_proto.v1.classifier_pb2 import GetModelRequest, ModelSelector
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from flatdense_client._calls.exchange import Exchange
from flatdense_client._calls.pieces import Pieces
from flatdense_client._calls.session import Session
from flatdense_client._calls.thread_coalesce import ThreadCoalescer
from flatdense_client._channel.channel import HEALTH_METHOD, SERVICE, Interceptor
from flatdense_client._channel.fork import ANCESTRY
from flatdense_client._core.classify import Answer
from flatdense_client._core.deadline import Deadline
from flatdense_client._core.messages import Part, Request, Response, Versioned
from flatdense_client._errors import NotFound
from flatdense_client._images.kinds import ImagesLike
from flatdense_client._results.model import ModelInfo
from flatdense_client._results.timing import ASKING, find_timing

_Call = Any
"""A grpc.Call that is a grpc.Future: gRPC has no one type for it."""


class Connection:
    """Sends messages and waits for their answers, on the caller's thread. For one process.

    Raises RuntimeError: there is no gRPC in this process, which was forked.
    """

    def __init__(self, session: Session, interceptors: Sequence[Interceptor]) -> None:
        ANCESTRY.note(self, is_async=False)
        self._session = session
        self._channel = session.connector.open(interceptors)
        self.classifier = ClassifierStub(self._channel)
        self.coalescer = ThreadCoalescer(session, partial(_wait, self.classifier.Classify))
        self._check_health = self._channel.unary_unary(
            HEALTH_METHOD,
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )

    def ask(
        self,
        pieces: Pieces[Request, Response, Part],
        send: "grpc.UnaryUnaryMultiCallable[Request, Response]",
        deadline: Deadline,
    ) -> list[Part]:
        """Sends a call by itself, in as many messages as it needs."""
        in_flight: deque[_Call] = deque()
        try:
            with self._session.errors(deadline.timeout_s):
                if len(pieces) == 1:  # a call that waits on this thread is faster than a future
                    for request in pieces.requests():
                        pieces.take(*_wait(send, request, deadline.remaining_s()))
                    return pieces.answers
                for request in pieces.requests():
                    if len(in_flight) == self._session.messages_in_flight:
                        pieces.take(*_finish(in_flight[0]))
                        in_flight.popleft()
                    timeout_s = deadline.remaining_s()
                    in_flight.append(send.future(request, timeout=timeout_s, metadata=ASKING))
                while in_flight:
                    pieces.take(*_finish(in_flight[0]))
                    in_flight.popleft()
        finally:
            for call in in_flight:
                call.cancel()
        return pieces.answers

    def stream(self, images: Iterable[ImagesLike], timeout_s: float) -> Iterator[list[Answer]]:
        """The answers to each array."""
        exchange = Exchange(
            address=self._session.address,
            model=self._session.model,
            rows_per_message=self._session.rows_per_message,
            messages_in_flight=self._session.messages_in_flight,
            timeout_s=timeout_s,
        )
        with self._session.errors(timeout_s):
            yield from exchange.run(images, self.classifier.ClassifyStream)

    def look_up(self, answers: Sequence[Versioned], deadline: Deadline) -> None:
        """Learns the names of the classes that answered."""
        for selector in self._session.unnamed(answers):
            # The version may have left after it answered, or be on another replica alone: the
            # answers stand without names.
            with suppress(NotFound):
                self.get_model(selector, deadline)

    def get_model(self, selector: ModelSelector, deadline: Deadline) -> ModelInfo:
        """Asks what a selector means."""
        request = GetModelRequest(model=selector)
        with self._session.errors(deadline.timeout_s):
            response = self.classifier.GetModel(request, timeout=deadline.remaining_s())
        return self._session.learn(response)

    def is_serving(self, deadline: Deadline) -> bool:
        """Asks after the server's health."""
        request = HealthCheckRequest(service=SERVICE)
        with self._session.errors(deadline.timeout_s):
            response = self._check_health(request, timeout=deadline.remaining_s())
        return bool(response.status == HealthCheckResponse.SERVING)

    def close(self) -> None:
        """Ends everything, after the session was closed."""
        self.coalescer.close()
        self._channel.close()


def _wait(
    send: "grpc.UnaryUnaryMultiCallable[Request, Response]",
    request: Request,
    timeout_s: float | None,
) -> tuple[Response, str | None]:
    """Sends a message and waits for its answer: faster than a future."""
    response, call = send.with_call(request, timeout=timeout_s, metadata=ASKING)
    return response, find_timing(call.trailing_metadata())


def _finish(call: _Call) -> tuple[Any, str | None]:
    return call.result(), find_timing(call.trailing_metadata())

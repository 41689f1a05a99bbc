"""The I/O of a client for asyncio."""

import asyncio
import copy
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Iterable, Sequence
from contextlib import aclosing
from typing import Any

import grpc
import grpc.aio
from flatdense_proto.v1.classifier_pb2 import (
    ClassifyRequest,
    ClassifyResponse,
    GetModelRequest,
    ModelSelector,
)
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from flatdense_client._calls.async_exchange import AsyncExchange
from flatdense_client._calls.coalesce import Coalescer
from flatdense_client._calls.pieces import Pieces, Progress
from flatdense_client._calls.session import Session
from flatdense_client._channel.channel import HEALTH_METHOD, SERVICE, AsyncInterceptor
from flatdense_client._channel.fork import ANCESTRY
from flatdense_client._core.classify import CLASSIFY, Answer
from flatdense_client._core.deadline import Deadline
from flatdense_client._core.messages import Part, Request, Response, Versioned
from flatdense_client._core.status import garbled
from flatdense_client._errors import DeadlineExceeded, FlatdenseError, NotFound
from flatdense_client._images.kinds import ImagesLike
from flatdense_client._images.pixels import Rows
from flatdense_client._results.model import ModelInfo
from flatdense_client._results.timing import ASKING, find_timing


class AsyncConnection:
    """Sends messages and awaits their answers, on the event loop that made it.

    Raises RuntimeError: there is no gRPC in this process, which was forked.
    """

    def __init__(self, session: Session, interceptors: Sequence[AsyncInterceptor]) -> None:
        ANCESTRY.note(self, is_async=True)
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._forks = ANCESTRY.forks
        self._channel = session.connector.open_async(interceptors)
        self.classifier = ClassifierStub(self._channel)
        self._check_health = self._channel.unary_unary(
            HEALTH_METHOD,
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        self.coalescer = Coalescer(session, self._classify)
        self._writing: set[asyncio.Task[None]] = set()
        self._lookups: dict[int, asyncio.Future[FlatdenseError | None]] = {}

    def check_owner(self) -> None:
        """Raises RuntimeError: this is not the event loop, or not the process, of the client."""
        if ANCESTRY.forks != self._forks:
            msg = (
                "this AsyncClient is of the process before the fork, and gRPC's asyncio does not "
                "survive one: start processes by 'spawn' or 'forkserver', or fork before the first "
                "call"
            )
            raise RuntimeError(msg)
        if asyncio.get_running_loop() is not self._loop:
            msg = (
                "this AsyncClient is of another event loop, that of its first call: make one for "
                "each event loop, or use flatdense_client.Client from threads"
            )
            raise RuntimeError(msg)

    async def classify(
        self, rows: Rows, deadline: Deadline, progress: Progress | None
    ) -> list[Answer]:
        """Sends a call of Classify by itself."""
        pieces = Pieces(self._session, CLASSIFY, rows, progress)
        return await self.ask(pieces, self.classifier.Classify, deadline)

    async def ask(
        self,
        pieces: Pieces[Request, Response, Part],
        send: "grpc.aio.UnaryUnaryMultiCallable[Request, Response]",
        deadline: Deadline,
    ) -> list[Part]:
        """Sends a call by itself, in as many messages as it needs."""
        in_flight: deque[grpc.aio.UnaryUnaryCall[Request, Response]] = deque()
        try:
            with self._session.errors(deadline.timeout_s):
                for request in pieces.requests():
                    if len(in_flight) == self._session.messages_in_flight:
                        pieces.take(*await self._take(in_flight[0]))
                        in_flight.popleft()
                    timeout_s = deadline.remaining_s()
                    in_flight.append(send(request, timeout=timeout_s, metadata=ASKING))
                while in_flight:
                    pieces.take(*await self._take(in_flight[0]))
                    in_flight.popleft()
        finally:
            for call in in_flight:
                call.cancel()
        return pieces.answers

    async def stream(
        self,
        images: Iterable[ImagesLike] | AsyncIterable[ImagesLike],
        timeout_s: float,
    ) -> AsyncGenerator[list[Answer], None]:
        """The answers to each array."""
        exchange = AsyncExchange(self._session, timeout_s)
        with self._session.errors(timeout_s):
            running = exchange.run(images, self.classifier.ClassifyStream, self._writing)
            async with aclosing(running) as answers_of_each:
                async for answers in answers_of_each:
                    yield answers

    async def look_up(self, answers: Sequence[Versioned], deadline: Deadline) -> None:
        """Learns the names of the classes that answered."""
        for selector in self._session.unnamed(answers):
            await self._look_up(selector, deadline)

    async def get_model(self, selector: ModelSelector, deadline: Deadline) -> ModelInfo:
        """Asks what a selector means."""
        request = GetModelRequest(model=selector)
        with self._session.errors(deadline.timeout_s):
            call = self.classifier.GetModel(request, timeout=deadline.remaining_s())
            response = await self._finish(call)
        return self._session.learn(response)

    async def is_serving(self, deadline: Deadline) -> bool:
        """Asks after the server's health."""
        request = HealthCheckRequest(service=SERVICE)
        with self._session.errors(deadline.timeout_s):
            call = self._check_health(request, timeout=deadline.remaining_s())
            response = await self._finish(call)
        return bool(response.status == HealthCheckResponse.SERVING)

    async def close(self) -> None:
        """Ends everything, after the session was closed."""
        tasks = {*self.coalescer.close(), *self._writing} - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        try:
            if tasks:
                await asyncio.wait(tasks)
        finally:
            await self._channel.close()

    async def _classify(
        self, request: ClassifyRequest, timeout_s: float | None
    ) -> tuple[ClassifyResponse, str | None]:
        call = self.classifier.Classify(request, timeout=timeout_s, metadata=ASKING)
        return await call, find_timing(await call.trailing_metadata())

    async def _take(
        self, call: "grpc.aio.UnaryUnaryCall[Any, Response]"
    ) -> tuple[Response, str | None]:
        response = await self._finish(call)
        return response, find_timing(await call.trailing_metadata())

    async def _look_up(self, selector: ModelSelector, deadline: Deadline) -> None:
        """Learns the names of a version's classes; of many callers, one asks for all.

        The version may have left after it answered, or be on another replica alone: the answers
        stand without names.
        """
        while not self._session.knows(selector.version):
            other = self._lookups.get(selector.version)
            if other is None:
                return await self._ask_for_names(selector, deadline)
            await asyncio.wait({other}, timeout=deadline.remaining_s())
            if not other.done():
                raise deadline.exceeded()
            error = other.result()
            if isinstance(error, NotFound):
                return None
            # One that ran out of its own time, or was cancelled, says nothing of the server.
            if error is not None and not isinstance(error, DeadlineExceeded):
                raise copy.copy(error)
        return None

    async def _ask_for_names(self, selector: ModelSelector, deadline: Deadline) -> None:
        lookup = self._lookups[selector.version] = self._loop.create_future()
        try:
            await self.get_model(selector, deadline)
        except NotFound as error:
            lookup.set_result(error)
        except FlatdenseError as error:
            lookup.set_result(error)
            raise
        finally:
            del self._lookups[selector.version]
            if not lookup.done():
                lookup.set_result(None)

    async def _finish(self, call: Awaitable[Response]) -> Response:
        try:
            response = await call
        except asyncio.CancelledError:
            if self._is_callers_own():
                raise
            raise grpc.FutureCancelledError from None
        if response is None:  # no protobuf; or the channel was closed in this moment
            if self._session.is_closed:
                raise grpc.FutureCancelledError
            raise garbled(self._session.address)
        return response

    def _is_callers_own(self) -> bool:
        """Whether a cancellation is the caller's, and not one by the closing of the channel."""
        # Before Python 3.11 tasks do not tell: nobody but close() cancels calls.
        cancelling = getattr(asyncio.current_task(), "cancelling", None)
        return cancelling() > 0 if cancelling is not None else not self._session.is_closed

"""The asynchronous client: it calls the server, and waits on the caller's event loop."""

import asyncio
import copy
import os
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Iterable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import TypeVar

import grpc
import grpc.aio
import numpy.typing as npt
from flatdense_proto.v1.classifier_pb2 import (
    ClassifyRequest,
    ClassifyResponse,
    GetModelRequest,
    ModelSelector,
)
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from flatdense_client._async_exchange import AsyncExchange
from flatdense_client._channel import channel_options
from flatdense_client._coalesce import Coalescer
from flatdense_client._deadline import Deadline
from flatdense_client._errors import (
    Closed,
    DeadlineExceeded,
    FlatdenseError,
    NotFound,
    Unavailable,
)
from flatdense_client._messages import Answer, cut, message_rows, read_answer
from flatdense_client._model import ModelInfo
from flatdense_client._pixels import Rows, check_images
from flatdense_client._predictions import Predictions
from flatdense_client._selector import select_model
from flatdense_client._session import HEALTH_METHOD, SERVICE, Session

Response = TypeVar("Response")


class AsyncClient:
    """A connection to a flatdense server, for asyncio: `Client` with its methods awaited.

        async with AsyncClient("localhost:8500") as client:
            for prediction in await client.classify(images):
                print(prediction.label, prediction.confidence)

    - Any number of tasks may share one client, and should: their small calls travel together, many
      in one message, and each still has its own deadline, error and cancellation.
    - It belongs to the event loop of its first call, and to its process: elsewhere, and after a
      fork, a call is a `RuntimeError` at once. For threads there is `Client`.
    - Nothing connects before the first call. A server that is not there is an `Unavailable` at
      once, not a wait.
    - Every call ends within `timeout_s`, and raises only the errors of `FlatdenseError`'s tree. A
      cancelled one ends at once, and what it had under way is cancelled.
    - A call that ends with UNAVAILABLE is tried up to three times in all, within its deadline.
    """

    def __init__(  # Client's parameters and one more
        self,
        address: str,
        *,
        model_name: str = "",
        model_version: int | None = None,
        model_label: str | None = None,
        timeout_s: float = 10.0,
        rows_per_message: int = 512,
        messages_in_flight: int = 4,
        coalesce: bool = True,
    ) -> None:
        """Prepares a client for `host:port`, or any gRPC target such as `dns:///host:port`.

        The parameters are those of `Client`, and one more:

        - `coalesce`: whether calls of up to 64 rows that come at a time share messages. Of these,
          too, at most `messages_in_flight` travel at a time: while so many do, calls gather. A call
          that comes when none is under way is sent at once.

        Raises InvalidInput: the address is none. Raises ValueError: a number is out of its range, a
        version and a label are both given, or the label is no name.
        """
        self._session = Session(
            address,
            model=select_model(model_name, model_version, model_label),
            timeout_s=timeout_s,
            rows_per_message=rows_per_message,
            messages_in_flight=messages_in_flight,
        )
        self._coalesce = coalesce
        self._connection: _Connection | None = None

    @property
    def address(self) -> str:
        """Where the server is."""
        return self._session.address

    async def classify(
        self, images: npt.ArrayLike, *, timeout_s: float | None = None
    ) -> Predictions:
        """Classifies one image or many, and gives one prediction for each, in their order.

        `images` is what `Client.classify` takes: one image or an array of any size, which is cut to
        messages, a few of which travel at a time. Either every row is answered or the call raises
        and its messages under way are cancelled. The array must not change during the call.

        A call of up to 64 rows may share its message with others. Its errors stay its own: what
        the server refuses as invalid in company is sent again alone.

        The first answer of each version costs one `GetModel` call more, for the names of the
        classes.

        Raises InvalidInput before a byte is sent: a shape, type or value is wrong. Raises any other
        FlatdenseError.
        """
        rows = check_images(images)
        deadline = self._session.deadline(timeout_s)
        connection = self._connect()
        if self._coalesce and connection.coalescer.takes(rows):
            answer = await connection.coalescer.ask(rows, deadline)
            answers = [answer]
            if self._session.knows(answer.version):
                return self._session.join(answers)
        else:
            answers = await connection.ask(rows, deadline)
        await connection.look_up(answers, deadline)
        return self._session.join(answers)

    def classify_stream(
        self,
        images: Iterable[npt.ArrayLike] | AsyncIterable[npt.ArrayLike],
        *,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[Predictions, None]:
        """Classifies arrays as they come, over one call: one `Predictions` for each, in order.

        Each array is what `classify` takes. They are read by another task, at most
        `messages_in_flight` messages ahead of the predictions that were taken; an `Iterable` that
        is not asynchronous is read on the event loop and must not block. `timeout_s` bounds the
        wait for each answer, not the whole stream. Closing the iterator cancels the call: use
        `contextlib.aclosing` to leave it early at a definite moment.

        Raises, at the array that it concerns, after the predictions of all before it: any
        FlatdenseError, and whatever `images` raises.
        """
        return self._stream(images, self._session.timeout_or(timeout_s))

    async def model(self, *, timeout_s: float | None = None) -> ModelInfo:
        """Describes the model that answers this client's calls.

        Raises any FlatdenseError.
        """
        deadline = self._session.deadline(timeout_s)
        return await self._connect().get_model(self._session.model, deadline)

    async def ready(self, *, timeout_s: float | None = None) -> bool:
        """Whether the server classifies now: false while it loads, drains, or cannot be reached.

        Raises any FlatdenseError but Unavailable and DeadlineExceeded.
        """
        deadline = self._session.deadline(timeout_s)
        try:
            return await self._connect().is_serving(deadline)
        except (Unavailable, DeadlineExceeded, NotFound):
            return False

    async def close(self) -> None:
        """Closes the connection: calls under way raise Closed. May be called again.

        No task of the client's own is left when it returns, nor a connection.
        """
        if self._connection is None:
            self._session.is_closed = True
            return
        self._connection.check_owner()
        self._session.is_closed = True
        # Let go of first: gRPC's own thread ends with the last reference.
        connection, self._connection = self._connection, None
        await connection.close()

    async def __aenter__(self) -> "AsyncClient":  # noqa: PYI034  # typing.Self is newer than 3.10
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({self._session.address!r})"

    def _connect(self) -> "_Connection":
        """The connection, on the event loop of the first call; it connects by itself."""
        if self._session.is_closed:
            raise Closed(f"this client of {self._session.address} is closed")
        if self._connection is None:
            self._connection = _Connection(self._session)
        self._connection.check_owner()
        return self._connection

    async def _stream(
        self,
        images: Iterable[npt.ArrayLike] | AsyncIterable[npt.ArrayLike],
        timeout_s: float,
    ) -> AsyncGenerator[Predictions, None]:
        connection = self._connect()
        async with aclosing(connection.stream(images, timeout_s)) as answers_of_each:
            async for answers in answers_of_each:
                await connection.look_up(answers, self._session.deadline(timeout_s))
                yield self._session.join(answers)


class _Connection:
    """The I/O of one client, on one event loop."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        options = channel_options(session.address)
        self._channel = grpc.aio.insecure_channel(session.address, options=options)
        self._classifier = ClassifierStub(self._channel)
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
        if os.getpid() != self._pid:
            msg = "this AsyncClient is of the process before the fork: make a new one in this one"
            raise RuntimeError(msg)
        if asyncio.get_running_loop() is not self._loop:
            msg = (
                "this AsyncClient is of another event loop, that of its first call: make one for "
                "each event loop, or use flatdense_client.Client from threads"
            )
            raise RuntimeError(msg)

    async def ask(self, rows: Rows, deadline: Deadline) -> list[Answer]:
        """Sends a call by itself, in as many messages as it needs."""
        counts = message_rows(rows, self._session.rows_per_message)
        answers: list[Answer] = []
        in_flight: deque[grpc.aio.UnaryUnaryCall[ClassifyRequest, ClassifyResponse]] = deque()

        async def take() -> None:
            response = await self._finish(in_flight.popleft())
            answers.append(read_answer(response, counts[len(answers)], self._session.address))

        try:
            with self._session.errors(deadline.timeout_s):
                for request in cut(rows, counts, self._session.model):
                    if len(in_flight) == self._session.messages_in_flight:
                        await take()
                    in_flight.append(self._classify(request, deadline.remaining_s()))
                while in_flight:
                    await take()
        finally:
            for call in in_flight:
                call.cancel()
        return answers

    async def stream(
        self,
        images: Iterable[npt.ArrayLike] | AsyncIterable[npt.ArrayLike],
        timeout_s: float,
    ) -> AsyncGenerator[list[Answer], None]:
        """The answers to each array."""
        exchange = AsyncExchange(self._session, timeout_s)
        with self._session.errors(timeout_s):
            running = exchange.run(images, self._classifier.ClassifyStream, self._writing)
            async with aclosing(running) as answers_of_each:
                async for answers in answers_of_each:
                    yield answers

    async def look_up(self, answers: Sequence[Answer], deadline: Deadline) -> None:
        """Learns the names of the classes that answered."""
        for selector in self._session.unnamed(answers):
            await self._look_up(selector, deadline)

    async def get_model(self, selector: ModelSelector, deadline: Deadline) -> ModelInfo:
        """Asks what a selector means."""
        request = GetModelRequest(model=selector)
        with self._session.errors(deadline.timeout_s):
            call = self._classifier.GetModel(request, timeout=deadline.remaining_s())
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

    def _classify(
        self, request: ClassifyRequest, timeout_s: float | None
    ) -> grpc.aio.UnaryUnaryCall[ClassifyRequest, ClassifyResponse]:
        return self._classifier.Classify(request, timeout=timeout_s)

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
            return await call
        except asyncio.CancelledError:
            if self._is_callers_own():
                raise
            raise grpc.FutureCancelledError from None

    def _is_callers_own(self) -> bool:
        """Whether a cancellation is the caller's, and not one by the closing of the channel."""
        # Before Python 3.11 tasks do not tell: nobody but close() cancels calls.
        cancelling = getattr(asyncio.current_task(), "cancelling", None)
        return cancelling() > 0 if cancelling is not None else not self._session.is_closed

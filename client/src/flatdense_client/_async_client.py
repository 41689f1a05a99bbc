"""The asynchronous client: it calls the server, and waits on the caller's event loop."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from contextlib import aclosing
from types import TracebackType

import numpy as np

from flatdense_client._calls.async_connection import AsyncConnection
from flatdense_client._calls.pieces import Pieces, Progress
from flatdense_client._calls.session import Session
from flatdense_client._channel.channel import AsyncInterceptor, Connector, check_async_interceptors
from flatdense_client._channel.hedging import Hedging
from flatdense_client._channel.tls import Tls
from flatdense_client._channel.token import Token
from flatdense_client._core.classify import CLASSIFY
from flatdense_client._core.explain import Explain
from flatdense_client._core.selector import select_model
from flatdense_client._errors import Closed, DeadlineExceeded, NotFound, Unavailable
from flatdense_client._images.inputs import check_images_async, check_stream
from flatdense_client._images.kinds import ImagesLike
from flatdense_client._images.pixels import check_array
from flatdense_client._results.explanations import Explanations
from flatdense_client._results.model import ModelInfo
from flatdense_client._results.predictions import Predictions


class AsyncClient:
    """A connection to a flatdense server, for asyncio: `Client` with its methods awaited.

        async with AsyncClient("localhost:8500") as client:
            for prediction in await client.classify(images):
                print(prediction.label, prediction.confidence)

    - Any number of tasks may share one client, and should: their small calls travel together, many
      in one message, and each still has its own deadline, error and cancellation.
    - It belongs to the event loop of its first call, and to its process: elsewhere a call is a
      `RuntimeError` at once. For threads there is `Client`. gRPC's asyncio does not survive a fork:
      a process that is forked after the first call can use neither this client nor a new one.
    - Nothing connects before the first call. A server that is not there is an `Unavailable` at
      once, not a wait.
    - Every call ends within `timeout_s`, and raises only the errors of `FlatdenseError`'s tree. A
      cancelled one ends at once, and what it had under way is cancelled.
    - A call that ends with UNAVAILABLE is tried up to three times in all, within its deadline.
    """

    def __init__(  # noqa: PLR0913  # those of Client
        self,
        address: str | Sequence[str],
        *,
        model_name: str = "",
        model_version: int | None = None,
        model_label: str | None = None,
        timeout_s: float = 10.0,
        rows_per_message: int = 512,
        messages_in_flight: int = 4,
        coalesce: bool = True,
        tls: bool | Tls = False,
        token: Token | None = None,
        hedging: Hedging | None = None,
        interceptors: Sequence[AsyncInterceptor] = (),
    ) -> None:
        """Prepares a client for one server, or for several that serve the same.

        The parameters are those of `Client`, but for these:

        - `coalesce` is on by default. Interceptors see a shared message once, in the context of the
          call that has waited longest: a trace goes on from there.
        - `interceptors` are of `grpc.aio`.
        - `token`: a function is called on the event loop and must not block.

        Raises what `Client` raises.
        """
        self._interceptors = check_async_interceptors(interceptors)
        self._session = Session(
            Connector(address, tls=tls, token=token, hedging=hedging),
            model=select_model(model_name, model_version, model_label),
            timeout_s=timeout_s,
            rows_per_message=rows_per_message,
            messages_in_flight=messages_in_flight,
        )
        self._coalesce = coalesce
        self._connection: AsyncConnection | None = None

    @property
    def address(self) -> str:
        """Where the server is."""
        return self._session.address

    async def classify(
        self,
        images: ImagesLike,
        *,
        timeout_s: float | None = None,
        progress: Progress | None = None,
    ) -> Predictions:
        """Classifies one image or many, and gives one prediction for each, in their order.

        `images` is what `Client.classify` takes: one image or any number, which are cut to
        messages, a few of which travel at a time. Either every row is answered or the call raises
        and its messages under way are cancelled. No image may change during the call. Pictures are
        prepared on another thread.

        A call of up to 64 rows may share its message with others. Its errors stay its own: what
        the server refuses as invalid in company is sent again alone.

        `progress` is called after each message, on the event loop, with the rows answered by then
        and the rows in all. What it raises ends the call like any other error.

        The first answer of each version costs one `GetModel` call more, for the names of the
        classes.

        Raises InvalidInput before a byte is sent: a shape, type or value is wrong, or a picture is
        none. Raises any other FlatdenseError. Raises ImportError: a picture came, and Pillow is
        missing.
        """
        deadline = self._session.deadline(timeout_s)
        if type(images) is np.ndarray:
            rows = check_array(images)
        else:
            rows = await check_images_async(images)
        connection = self._connect()
        if not (self._coalesce and connection.coalescer.takes(rows)):
            answers = await connection.classify(rows, deadline, progress)
        elif connection.coalescer.is_idle:
            connection.coalescer.set_out_alone()
            try:
                answers = await connection.classify(rows, deadline, progress)
            finally:
                connection.coalescer.come_back()
        else:
            ticket = connection.coalescer.add(rows, deadline)
            try:
                answers = [await ticket.reply]
            except BaseException:
                connection.coalescer.leave(ticket)
                raise
            if progress is not None:
                progress(len(rows), len(rows))
        if not self._session.knows_all(answers):
            await connection.look_up(answers, deadline)
        return self._session.join(CLASSIFY, answers)

    async def explain(
        self,
        images: ImagesLike,
        *,
        class_index: int | None = None,
        timeout_s: float | None = None,
        progress: Progress | None = None,
    ) -> Explanations:
        """Classifies images and takes apart why: one explanation for each, in their order.

        It is what `Client.explain` is.

        Raises InvalidInput before a byte is sent: a shape, type or value is wrong. Raises any other
        FlatdenseError; a model whose layers the server does not know cannot be explained.
        """
        method = Explain(class_index)
        deadline = self._session.deadline(timeout_s)
        rows = await check_images_async(images)
        connection = self._connect()
        pieces = Pieces(self._session, method, rows, progress)
        answers = await connection.ask(pieces, connection.classifier.Explain, deadline)
        if not self._session.knows_all(answers):
            await connection.look_up(answers, deadline)
        return self._session.join(method, answers)

    def classify_stream(
        self,
        images: Iterable[ImagesLike] | AsyncIterable[ImagesLike],
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
        check_stream(images)
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

    def _connect(self) -> AsyncConnection:
        """The connection, on the event loop of the first call; it connects by itself."""
        if self._session.is_closed:
            raise Closed(f"this client of {self._session.address} is closed")
        if self._connection is None:
            self._connection = AsyncConnection(self._session, self._interceptors)
        self._connection.check_owner()
        return self._connection

    async def _stream(
        self,
        images: Iterable[ImagesLike] | AsyncIterable[ImagesLike],
        timeout_s: float,
    ) -> AsyncGenerator[Predictions, None]:
        connection = self._connect()
        async with aclosing(connection.stream(images, timeout_s)) as answers_of_each:
            async for answers in answers_of_each:
                if not self._session.knows_all(answers):
                    await connection.look_up(answers, self._session.deadline(timeout_s))
                yield self._session.join(CLASSIFY, answers)

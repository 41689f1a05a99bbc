"""One bidirectional call on an event loop: arrays out by one task, answers in by another."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine, Iterable
from contextlib import aclosing, suppress
from typing import Any, TypeVar

import grpc
import grpc.aio
from flatdense_proto.v1.classifier_pb2 import ClassifyRequest, ClassifyResponse

from flatdense_client._calls.session import Session
from flatdense_client._core.classify import CLASSIFY, Answer
from flatdense_client._core.ledger import Ledger
from flatdense_client._core.messages import cut, message_rows
from flatdense_client._core.status import late
from flatdense_client._errors import DeadlineExceeded, ServerError
from flatdense_client._images.inputs import check_images_async
from flatdense_client._images.kinds import ImagesLike

Arrays = Iterable[ImagesLike] | AsyncIterable[ImagesLike]
Call = grpc.aio.StreamStreamCall[ClassifyRequest, ClassifyResponse]

Value = TypeVar("Value")

_UNSENT = "Internal error from Core"
"""What grpc.aio says of a call whose message could not be sent, mostly because it has ended."""

_STATUS_S = 1.0
"""How long the status of a call that has ended may take to arrive."""


class AsyncExchange:
    """Sends arrays and gives one list of answers for each, in order.

    - At most `messages_in_flight` messages are sent or read ahead of what the caller has taken: a
      slow caller slows the arrays down, and so does a slow server.
    - A task reads the arrays. What they raise reaches the caller after the answers to all arrays
      before.
    - `timeout_s` bounds the caller's wait for each answer while one is due, not the time the arrays
      take to come.
    """

    def __init__(self, session: Session, timeout_s: float) -> None:
        self._session = session
        self._timeout_s = timeout_s
        self._room = asyncio.Semaphore(session.messages_in_flight)
        self._ledger = Ledger(session.address)
        self._arrays_error: BaseException | None = None
        self._is_written = False
        self._is_left = False

    async def run(
        self, arrays: Arrays, open_call: Callable[[], Call], tasks: set[asyncio.Task[None]]
    ) -> AsyncGenerator[list[Answer], None]:
        """Opens the call and gives the answers. Ending the iteration early cancels the call.

        `tasks` holds the task that reads the arrays, as long as it runs.
        """
        call = open_call()
        ending = _Ending(call)
        writing = asyncio.create_task(self._write(call, arrays))
        tasks.add(writing)
        writing.add_done_callback(tasks.discard)
        try:
            while (response := await self._wait_for_answer(ending)) is not None:
                answers = self._ledger.take(response)
                self._room.release()
                if answers is not None:
                    yield answers
            if self._arrays_error is not None:
                raise self._arrays_error
            self._ledger.end()
            if not self._is_written:
                msg = f"{self._session.address} ended the stream before the arrays did"
                raise ServerError(msg)
        finally:
            self._is_left = True
            call.cancel()
            writing.cancel()
            await asyncio.wait({writing})

    async def _write(self, call: Call, arrays: Arrays) -> None:
        try:
            await self._room.acquire()
            async with aclosing(_each(arrays)) as each:
                async for array in each:
                    rows = await check_images_async(array)
                    counts = message_rows(CLASSIFY, rows, self._session.rows_per_message)
                    for index, request in enumerate(
                        cut(CLASSIFY, rows, counts, self._session.model)
                    ):
                        if index > 0:
                            await self._room.acquire()
                        self._ledger.send(counts[index], is_last=index == len(counts) - 1)
                        if not await _is_sent(call, request):
                            return
                    await self._room.acquire()
        except (Exception, asyncio.CancelledError) as error:
            if self._is_left or self._session.is_closed:
                raise
            self._arrays_error = error
        self._is_written = True
        if not call.done():
            with suppress(grpc.RpcError, asyncio.CancelledError):
                await call.done_writing()

    async def _wait_for_answer(self, ending: "_Ending") -> ClassifyResponse | None:
        """The next answer; None at the end of the stream."""
        began_s = time.monotonic()
        reading = asyncio.ensure_future(ending.read())
        try:
            while not reading.done():
                oldest_s = self._ledger.oldest_s()
                # Not since it was sent alone: a slow caller left no time to take it.
                since_s = time.monotonic() if oldest_s is None else max(oldest_s, began_s)
                wait_s = since_s + self._timeout_s - time.monotonic()
                if wait_s <= 0:
                    raise DeadlineExceeded(late(self._session.address, self._timeout_s))
                await asyncio.wait({reading}, timeout=None if math.isinf(wait_s) else wait_s)
        finally:
            if not reading.done():
                reading.cancel()
                await asyncio.wait({reading})
        if reading.cancelled():  # not by this caller, who would not be here
            raise grpc.FutureCancelledError
        response = reading.result()
        return response if isinstance(response, ClassifyResponse) else None


class _Ending:
    """The status that a call has ended with.

    grpc.aio keeps one status only, and where a message cannot be sent it makes that INTERNAL:
    before the call's own arrives, or in its place.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._error: grpc.aio.AioRpcError | None = None
        self._came = asyncio.Event()
        call.add_done_callback(self._note)

    async def read(self) -> object:
        """The next answer, or grpc.aio's end of the stream. Raises AioRpcError."""
        try:
            return await self._call.read()
        except grpc.aio.AioRpcError as error:
            if error.details() != _UNSENT:
                raise
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._came.wait(), _STATUS_S)
            if not self._came.is_set():  # nor will it: all that is known is that the call is over
                raise grpc.FutureCancelledError from None
        if self._error is not None:
            raise self._error
        return grpc.aio.EOF

    def _note(self, call: Any) -> None:  # noqa: ANN401  # typed as one that takes no part
        code, details = _value(call.code()), _value(call.details())
        if details == _UNSENT or self._came.is_set():
            return
        if code is not grpc.StatusCode.OK:
            trailers = _value(call.trailing_metadata())
            self._error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers, details=details)
        self._came.set()


def _value(known: Coroutine[Any, Any, Value]) -> Value:
    """What a coroutine gives that has nothing to wait for."""
    try:
        known.send(None)
    except StopIteration as end:
        value: Value = end.value
        return value
    known.close()
    msg = "grpc.aio does not know the status of a call that has ended"
    raise RuntimeError(msg)


async def _is_sent(call: Call, request: ClassifyRequest) -> bool:
    """Sends a message; false where the call has ended, which who reads the answers finds out."""
    try:
        await call.write(request)
    except (grpc.RpcError, asyncio.InvalidStateError):
        return False
    return True


async def _each(arrays: Arrays) -> AsyncGenerator[ImagesLike, None]:
    if isinstance(arrays, AsyncIterable):
        async for array in arrays:
            yield array
    else:
        for array in arrays:
            yield array

"""Bidirectional streams: requests are read ahead, answers keep their order."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, Final, Generic, Protocol, TypeVar

import grpc

from flatdense_server.errors import Draining, QueueFull


class Submission(Protocol):
    """What a request became."""

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        ...


Request = TypeVar("Request")
Submitted = TypeVar("Submitted", bound=Submission)

WINDOW: Final = 8
"""Requests of one stream that may wait for their answers. Beyond it nothing more is read, and
HTTP/2's flow control holds the caller back."""


class RequestStream(Generic[Request, Submitted]):
    """Reads requests on a thread of its own and submits each; iterating gives both in order.

    The iteration ends when the caller half-closes, and raises what ended the stream otherwise:
    the error of the first request that was refused, Draining after drain(), CancelledError when
    the RPC ended. Everything submitted before is given first.
    """

    def __init__(
        self,
        requests: Iterator[Request],
        context: grpc.ServicerContext,
        submit: Callable[[Request], Submitted],
    ) -> None:
        self._requests = requests
        self._submit = submit
        self._slots = threading.Semaphore(WINDOW)
        self._submitted: SimpleQueue[tuple[Request, Submitted] | BaseException | None]
        self._submitted = SimpleQueue()
        self._unanswered: deque[Submitted] = deque()
        self._ended = threading.Event()
        self._gone = threading.Event()
        if context.add_callback(self._end):
            threading.Thread(target=self._read, name="stream-reader", daemon=True).start()
        else:
            self._end()

    def __iter__(self) -> Iterator[tuple[Request, Submitted]]:
        while (item := self._submitted.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
            self._unanswered.popleft()
            self._slots.release()

    def drain(self) -> None:
        """Ends the stream with Draining, after the answers to what was submitted before."""
        self._stop(Draining("the server is stopping. Try another one, or try again later."))

    def _end(self) -> None:
        """The RPC is over: no answer can be sent any more, so what waits leaves the queue."""
        self._gone.set()
        self._stop(CancelledError())
        for submitted in list(self._unanswered):
            submitted.cancel()

    def _stop(self, error: BaseException) -> None:
        self._ended.set()
        self._submitted.put(error)
        self._slots.release()

    def _read(self) -> None:
        try:
            while self._slots.acquire() and not self._ended.is_set():
                request = next(self._requests)
                submitted = self._submit(request)
                self._unanswered.append(submitted)
                if self._gone.is_set():
                    submitted.cancel()
                self._submitted.put((request, submitted))
        except StopIteration:
            self._submitted.put(None)
        except Exception as error:  # noqa: BLE001 -- the handler's thread ends the RPC with it
            # When the RPC is over grpc's iterator raises a bare Exception: the handler has
            # the CancelledError of _end() before it.
            self._submitted.put(error)


class Streams:
    """All open streams: their number is bounded, and they can be told to end."""

    def __init__(self, *, max_streams: int) -> None:
        self._max_streams = max_streams
        self._free = threading.BoundedSemaphore(max_streams)
        self._lock = threading.Lock()
        self._open: set[RequestStream[Any, Any]] = set()
        self._draining = False

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Takes one of the places for the time of the stream, or raises QueueFull."""
        if not self._free.acquire(blocking=False):
            raise too_many_streams(self._max_streams)
        try:
            yield
        finally:
            self._free.release()

    @contextmanager
    def attached(self, stream: RequestStream[Any, Any]) -> Iterator[None]:
        """Lets drain() reach the stream."""
        with self._lock:
            self._open.add(stream)
            draining = self._draining
        if draining:
            stream.drain()
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(stream)

    def drain(self) -> None:
        """Ends every open stream, and each one that opens from now on."""
        with self._lock:
            self._draining = True
            streams = list(self._open)
        for stream in streams:
            stream.drain()


def too_many_streams(max_streams: int) -> QueueFull:
    """What a stream beyond the limit is told."""
    return QueueFull(
        f"the server is busy: {max_streams} streams are open, which is the limit. "
        "Try again later, or use Classify."
    )

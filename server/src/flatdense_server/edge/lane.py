"""Calls straight from gRPC's core, for one thread that answers many of them at a time.

The only file that knows grpcio's private interface, grpc._cython. The public one hands every call
through three threads; here the thread that takes calls from the core's completion queue is the one
that answers them. What it uses was found in grpcio 1.76 to 1.85, and tests/wire/test_lane.py holds
other releases to it.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final, TypeAlias, cast
from urllib.parse import unquote

import grpc

from flatdense_server.edge.refusal import Metadata, Refusal
from flatdense_server.observe.traces.journey import Journey
from flatdense_server.request_id import HEADER, find_request_id
from flatdense_server.selector import NOBODY, Answerer

# grpcio's own objects have no types.
Event: TypeAlias = Any
CoreCall: TypeAlias = Any

AHEAD: Final = 256
"""Calls of one method that the core may hand over at once. With 16 it was slower."""

READING_S: Final = 1.0
"""A call whose message has not come for so long is not waited for: nobody may fill the lane so."""

FOREVER_S: Final = 1e9
"""A deadline that is further away is none."""

UNIMPLEMENTED: Final = 12
"""What gRPC answers to a unary call without a message, or with two."""


class LaneUnavailable(Exception):
    """The grpcio that is installed has not what the lane needs."""


@dataclass(slots=True, kw_only=True, eq=False)
class LaneCall:
    """One call whose message has come, or one message of a stream.

    It is ended once, by answer() or refuse(): a call on any thread, a message on the lane's own.
    """

    method: str
    """`package.Service/Method`."""
    in_stream: bool = False
    """Whether it is one of a stream's messages: the call is the stream."""
    answerer: Answerer = NOBODY
    """For whoever finds out to note."""
    message: bytes = b""
    metadata: Metadata
    arrived_s: float
    """On the clock of time.monotonic(), like the next."""
    deadline_s: float | None
    read: bool = False
    """Set when the message has come, or will not come any more."""
    cancelled: bool = False
    """Set when the caller has gone away, or its deadline passed: nobody reads an answer then."""
    rows: int = 0
    """For whoever counts them to note."""
    request_id: str = ""
    """Of a message, that of its stream. Of a call it is empty until identify()."""
    journey: Journey | None = None
    """Of a message, that of its stream."""
    _core: CoreCall = field(repr=False)
    _end: Callable[..., None] = field(repr=False)

    def answer(self, message: bytes, metadata: Metadata | None = None) -> None:
        """Ends the call with OK."""
        self._end(self._core, message, 0, b"", metadata)

    def refuse(self, code: int, text: str, metadata: Metadata) -> None:
        """Ends the call with another status."""
        self._end(self._core, None, code, text.encode(), metadata)

    def identify(self) -> str:
        """The request's id: its caller's, or one that is made when it is first asked for."""
        if not self.request_id:
            self.request_id = find_request_id(self.metadata)
        return self.request_id

    def peer(self) -> str:
        """The caller's address; nothing of a message, which has that of its stream."""
        return "" if self.in_stream else find_peer(self._core)


class LaneStream:
    """A call of many messages whose headers have come. For the lane's own thread."""

    def __init__(
        self,
        operations: Any,  # noqa: ANN401 -- a module without types
        core: CoreCall,
        *,
        method: str,
        metadata: Metadata,
        arrived_s: float,
        deadline_s: float | None,
    ) -> None:
        self.method = method
        self.metadata = metadata
        self.arrived_s = arrived_s
        self.deadline_s = deadline_s
        self.request_id = find_request_id(metadata)
        self._operations = operations
        self._core = core
        self._begun = False

    def peer(self) -> str:
        """The caller's address."""
        return find_peer(self._core)

    def watch(self, gone: Callable[[], None]) -> None:
        """Has `gone` called where the caller goes away, or its deadline passes, before end()."""

        def close(event: Event) -> None:
            if event.batch_operations[0].cancelled():
                gone()

        self._core.start_server_batch((self._operations.ReceiveCloseOnServerOperation(0),), close)

    def receive(self, then: Callable[[bytes | None], LaneCall | None]) -> None:
        """Asks for one message: `then` gets it, or None where none will come any more.

        Not before the message asked for last has come. What `then` gives is taken from the lane.
        """

        def receive(event: Event) -> LaneCall | None:
            return then(event.batch_operations[0].message())

        self._core.start_server_batch((self._operations.ReceiveMessageOperation(0),), receive)

    def send(self, message: bytes, then: Callable[[], LaneCall | None]) -> None:
        """Sends a message. `then` is called when there is room for the next: else nobody hears."""

        def sent(event: Event) -> LaneCall | None:
            return then() if event.success else None

        body = self._operations.SendMessageOperation(message, 0)
        self._core.start_server_batch((*self._begin(), body), sent)

    def end(self, code: int, text: str, metadata: Metadata) -> None:
        """Ends the call. Once, and last."""
        end = self._operations.SendStatusFromServerOperation(metadata, code, text.encode(), 0)
        self._core.start_server_batch((*self._begin(), end), ignore)

    def _begin(self) -> tuple[Any, ...]:
        if self._begun:
            return ()
        self._begun = True
        return (self._operations.SendInitialMetadataOperation(None, 0),)


class Lane:
    """The calls of some methods of a server, which its ordinary handlers no longer see.

    Made before the server starts: raises LaneUnavailable. Its methods are for one thread.
    """

    def __init__(
        self, server: grpc.Server, methods: Iterable[str], stream_methods: Iterable[str] = ()
    ) -> None:
        """Takes over methods, each `package.Service/Method`: unary ones, and those of streams."""
        self._methods = tuple(methods)
        self._stream_methods = frozenset(stream_methods)
        self._on_stream: Callable[[LaneStream], None] = refuse_stream
        self.ended = False
        """Whether the server has shut down, and everything of it was taken."""
        self.gate: Callable[[Metadata], Refusal | None] | None = None
        """Where it is set, it judges each new call, of which nothing but the headers has come."""
        self.refusal: Refusal | None = None
        """While it is set, new calls end with it, and their messages are not read."""
        self.refused: Counter[tuple[str, Refusal]] = Counter()
        """How many ended so, by method. Whoever counts them takes them out."""
        self.on_refused: Callable[[LaneCall, Refusal], None] | None = None
        """Where it is set, it hears of each of them."""
        self._reading: deque[LaneCall] = deque()
        try:
            self._cygrpc = cygrpc = import_module("grpc._cython.cygrpc")
            # Of the kind that does not poll: the server's own thread reads all sockets. Two that
            # poll take turns, and wake each other for each event.
            self._queue = cygrpc.CompletionQueue(shutdown_cq=True)
            self._server = cast("Any", server)._state.server  # noqa: SLF001 -- what this is about
            for name in (
                "ReceiveCloseOnServerOperation",
                "ReceiveMessageOperation",
                "SendInitialMetadataOperation",
                "SendMessageOperation",
                "SendStatusFromServerOperation",
            ):
                getattr(cygrpc, name)
            self._request = self._server.request_registered_call
            self._timeout = cygrpc.CompletionType.queue_timeout
            self._shutdown = cygrpc.CompletionType.queue_shutdown
            self._server.register_completion_queue(self._queue)
            for method in (*self._methods, *self._stream_methods):
                self._server.register_method(f"/{method}")
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise LaneUnavailable(f"grpcio {grpc.__version__}: {error}") from error

    def open(self, on_stream: Callable[[LaneStream], None] | None = None) -> None:
        """Takes calls. After the server's start. Within take(), `on_stream` gets each stream."""
        self._on_stream = on_stream or refuse_stream
        for method in (*self._methods, *self._stream_methods):
            for _ in range(AHEAD):
                self._ask_for(method)

    @property
    def reading(self) -> int:
        """About how many calls have begun to send their message, and not ended."""
        reading, late_s = self._reading, time.monotonic() - READING_S
        while reading and (reading[0].read or reading[0].arrived_s < late_s):
            reading.popleft()
        return len(reading)

    def take(self, *, wait_s: float, at_most_events: int) -> tuple[list[LaneCall], bool]:
        """The calls whose message has come, in the order of their messages.

        Where none has, waits so long for the first. A call takes several of the core's events:
        after so many of them there may be more, which the second value says.
        """
        calls: list[LaneCall] = []
        until_s = time.time() + wait_s if wait_s else 0  # noqa: TID251 -- the core's own clock
        for _ in range(at_most_events):
            event = self._queue.poll(until_s)
            if event.completion_type == self._timeout:
                return calls, False
            if event.completion_type == self._shutdown:
                self.ended = True
                return calls, False
            if call := event.tag(event):
                calls.append(call)
                until_s = 0
            del event  # one that outlives its call makes the core spin
        return calls, True

    def close(self) -> None:
        """Lets take() end the lane. When the server has shut down, and every call was ended.

        To end a call after this would end the process.
        """
        self._queue.shutdown()

    def _ask_for(self, method: str) -> None:
        def begin(event: Event) -> None:
            if event.success:  # else the server shuts down
                self._ask_for(method)
                refusal = self.gate(event.invocation_metadata) if self.gate else None
                if refusal := refusal or self.refusal:
                    self._refuse_unread(method, event, refusal)
                elif method in self._stream_methods:
                    self._on_stream(self._begin_stream(method, event))
                else:
                    self._receive(method, event)

        try:
            self._request(self._queue, self._queue, f"/{method}", begin)
        except ValueError:
            return  # the server shuts down

    def _refuse_unread(self, method: str, event: Event, refusal: Refusal) -> None:
        self.refused[method, refusal] += 1
        call = LaneCall(
            method=method,
            metadata=event.invocation_metadata,
            arrived_s=time.monotonic(),
            deadline_s=None,
            _core=event.call,
            _end=self._end,
        )
        trailers = refusal.trailers(call.identify())
        self._end(event.call, None, refusal.code, refusal.text, trailers)
        if self.on_refused:
            self.on_refused(call, refusal)

    def _begin_stream(self, method: str, event: Event) -> LaneStream:
        arrived_s = time.monotonic()
        return LaneStream(
            self._cygrpc,
            event.call,
            method=method,
            metadata=event.invocation_metadata,
            arrived_s=arrived_s,
            deadline_s=find_deadline_s(event, arrived_s),
        )

    def _receive(self, method: str, event: Event) -> None:
        core = event.call
        arrived_s = time.monotonic()
        call = LaneCall(
            method=method,
            metadata=event.invocation_metadata,
            arrived_s=arrived_s,
            deadline_s=find_deadline_s(event, arrived_s),
            _core=core,
            _end=self._end,
        )

        self._reading.append(call)

        def close(event: Event) -> None:
            call.read = True
            call.cancelled = bool(event.batch_operations[0].cancelled())

        def receive(event: Event) -> LaneCall | None:
            call.read = True
            message = event.batch_operations[0].message()
            if call.cancelled:
                return None
            if message is None:  # reset, too big, or nothing but the end of the request
                named = ((HEADER, call.identify()),)
                call.refuse(UNIMPLEMENTED, f"{method} takes exactly one message.", named)
                return None
            call.message = message
            return call

        # An operation object is used once: grpcio writes to its memory when it completes.
        operations = self._cygrpc
        core.start_server_batch((operations.ReceiveCloseOnServerOperation(0),), close)
        core.start_server_batch((operations.ReceiveMessageOperation(0),), receive)

    def _end(
        self,
        core: CoreCall,
        message: bytes | None,
        code: int,
        text: bytes,
        metadata: Metadata,
    ) -> None:
        cygrpc = self._cygrpc
        begin = cygrpc.SendInitialMetadataOperation(None, 0)
        end = cygrpc.SendStatusFromServerOperation(metadata, code, text, 0)
        if message is None:
            core.start_server_batch((begin, end), ignore)
        else:
            body = cygrpc.SendMessageOperation(message, 0)
            core.start_server_batch((begin, body, end), ignore)


def find_deadline_s(event: Event, arrived_s: float) -> float | None:
    """The deadline of a call that arrived then, on the clock of time.monotonic(), if it has one."""
    left_s: float = event.call_details.deadline - time.time()  # noqa: TID251 -- the core's clock
    return arrived_s + left_s if left_s < FOREVER_S else None


def refuse_stream(stream: LaneStream) -> None:
    """What is done with streams where nobody takes them."""
    stream.end(UNIMPLEMENTED, f"{stream.method} is not served.", ((HEADER, stream.request_id),))


def find_peer(core: CoreCall) -> str:
    """The address at the other end: `ipv4:127.0.0.1:54321`, `ipv6:[::1]:54321`, `unix:`."""
    peer: bytes | str = core.peer()
    return unquote(peer.decode() if isinstance(peer, bytes) else peer)


def ignore(_event: Event) -> None:
    """A status was sent, or the caller was gone: either way the call is over."""

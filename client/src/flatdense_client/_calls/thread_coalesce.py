"""Many small calls at a time travel as few messages: for threads."""

import threading
from collections.abc import Callable

import grpc
from flatdense_proto.v1.classifier_pb2 import ClassifyRequest, ClassifyResponse

from flatdense_client._calls.lanes import Lanes, Message, Ticket
from flatdense_client._calls.session import Session
from flatdense_client._core.classify import Answer
from flatdense_client._core.deadline import Deadline
from flatdense_client._images.pixels import Rows

Send = Callable[[ClassifyRequest, float | None], tuple[ClassifyResponse, str | None]]
"""Sends a message with what is left of its time, None for no limit, and waits for the answer."""


class _Reply:
    """Where one thread waits: for its answer, or to be told to carry a message.

    All but `wait` is done under the coalescer's lock.
    """

    __slots__ = ("_answer", "_bell", "_error", "_is_done", "message")

    def __init__(self) -> None:
        self._bell = threading.Lock()
        self._bell.acquire()
        self._is_done = False
        self._error: BaseException | None = None
        self._answer: Answer | None = None
        self.message: _Message | None = None
        """The message that this thread is to send."""

    def wait(self, timeout_s: float | None) -> None:
        """Waits until there is news, or the time is over."""
        if timeout_s is None:
            self._bell.acquire()
        else:
            self._bell.acquire(timeout=min(timeout_s, threading.TIMEOUT_MAX))

    def done(self) -> bool:
        """See Reply.done."""
        return self._is_done

    def set_result(self, answer: Answer, /) -> None:
        """See Reply.set_result."""
        self._answer, self._is_done = answer, True
        self._ring()

    def set_exception(self, error: BaseException, /) -> None:
        """See Reply.set_exception."""
        self._error, self._is_done = error, True
        self._ring()

    def carry(self, message: "_Message") -> None:
        """Tells the thread to send a message."""
        self.message = message
        self._ring()

    def result(self) -> Answer | None:
        """The answer; None where there is none yet. Raises the error that ended the call."""
        if self._error is not None:
            raise self._error
        return self._answer

    def _ring(self) -> None:
        if self._bell.locked():
            self._bell.release()


_Ticket = Ticket[_Reply]
_Message = Message[_Reply]


class ThreadCoalescer:
    """Puts calls that come at a time into common messages, and deals the answers out.

    - There is no thread of its own: of a message's callers the one that has the most time left
      sends it, and waits for the answer of all. So a message never outlives its last caller, and
      fails none of them early. The others wait no longer than their own deadlines.
    - Calls wait only while `messages_in_flight` messages travel: a call that comes when none is
      under way is sent at once, on its own thread. What a message takes: see Lanes.
    - A caller that is interrupted leaves the others alone: if it was to send their message, another
      of them does.
    - Any number of threads may call.
    """

    def __init__(self, session: Session, send: Send) -> None:
        self._session = session
        self._send = send
        self._lock = threading.Lock()
        self._lanes: Lanes[_Reply] = Lanes(session)
        self._travelling: dict[_Ticket, _Message] = {}
        """Messages, by the call whose thread sends them."""

    def takes(self, rows: Rows) -> bool:
        """Whether a call is small enough."""
        return self._lanes.takes(rows)

    def ask(self, rows: Rows, deadline: Deadline) -> Answer:
        """Gets the answer to rows that `takes` accepts; the arrays are shared with other callers.

        Raises FlatdenseError.
        """
        reply = _Reply()
        ticket = None
        try:
            with self._lock:
                ticket = self._lanes.add(rows, deadline, reply)
                self._depart()
            while (answer := reply.result()) is None:
                if reply.message is not None:
                    self._carry(reply.message, ticket)
                else:
                    reply.wait(deadline.remaining_s())
            return answer
        finally:
            # It is out of time, or was interrupted: wherever that was.
            if ticket is not None and (ticket in self._travelling or not reply.done()):
                self._leave(ticket)

    def close(self) -> None:
        """Ends all calls that wait, after the session was closed; not what travels."""
        with self._lock:
            self._lanes.fail_all(grpc.FutureCancelledError())

    def _depart(self) -> None:
        """Packs what waits, and names who is to send it."""
        while len(self._travelling) < self._session.messages_in_flight:
            message = self._lanes.pack()
            if message is None:
                return
            carrier = max(message.tickets, key=lambda ticket: ticket.deadline.at_s)
            self._travelling[carrier] = message
            carrier.reply.carry(message)

    def _carry(self, message: _Message, carrier: _Ticket) -> None:
        """Sends a message and ends the calls in it; what interrupts the thread leaves them open."""
        error: Exception | None = None
        try:
            request = self._lanes.write(message)
            response, timing = self._send(request, carrier.deadline.remaining_s())
            answer = self._lanes.read(message, response, timing)
        except Exception as failure:  # noqa: BLE001  # each caller raises its own
            error = failure
        with self._lock:
            carrier.reply.message = None
            if error is None:
                self._lanes.deal(message, answer)
            else:
                self._lanes.refuse(message, error)
            del self._travelling[carrier]
            self._depart()

    def _leave(self, ticket: _Ticket) -> None:
        """Forgets a call that ends without an answer; another sends what it was to send."""
        with self._lock:
            message = self._travelling.pop(ticket, None)
            if message is not None:
                self._lanes.put_back(message)
            self._lanes.leave(ticket)
            self._depart()

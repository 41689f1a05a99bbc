"""Many small calls at a time travel as few messages: for asyncio."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from functools import partial

import grpc
from flatdense_proto.v1.classifier_pb2 import ClassifyRequest, ClassifyResponse

from flatdense_client._calls.lanes import Lanes, Message, Ticket
from flatdense_client._calls.session import Session
from flatdense_client._core.classify import Answer
from flatdense_client._core.deadline import Deadline
from flatdense_client._images.pixels import Rows

Send = Callable[[ClassifyRequest, float | None], Awaitable[tuple[ClassifyResponse, str | None]]]
"""Sends a message with what is left of its time, None for no limit. Cancelling cancels the call."""

_PAUSE_S = 1e-3
"""Between two looks for calls whose time is over."""

_Ticket = Ticket[asyncio.Future[Answer]]
_Message = Message[asyncio.Future[Answer]]


class _Alarm:
    """One timer for the deadlines of all calls: a timer for each costs more than the call."""

    def __init__(self, expire: Callable[[], float]) -> None:
        """`expire` ends the calls whose time is over, and gives when the next one's is."""
        self._expire = expire
        self._at_s = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def set(self, deadline_s: float) -> None:
        """Rings at a moment of the monotonic clock, at most a millisecond late."""
        if deadline_s < self._at_s:
            self.stop()
            self._at_s = deadline_s
            wait_s = deadline_s - time.monotonic()
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._ring)

    def stop(self) -> None:
        """Rings no more, until it is set."""
        if self._timer is not None:
            self._timer.cancel()
        self._at_s, self._timer = math.inf, None

    def _ring(self) -> None:
        self._at_s, self._timer = math.inf, None
        next_s = self._expire()
        if next_s < math.inf:
            self.set(max(next_s, time.monotonic() + _PAUSE_S))


class Coalescer:
    """Puts calls that come at a time into common messages, and deals the answers out.

    - Calls wait only while `messages_in_flight` messages travel: else a message is written at the
      end of the event loop's turn. There is no timer for that. What a message takes: see Lanes.
    - Each caller has a deadline of its own and may be cancelled, at any moment, without touching
      the others. The rows of one that left before its message was written are not sent.
    - A message gets the longest time that one of its callers has left, for it must not fail any of
      them early. It ends earlier when nobody is left: its call is cancelled with the departure of
      its last caller. So no message outlives the callers in it, and the shorter deadlines beside a
      long one cost the server nothing but rows that it had taken anyway.
    - Lives on one event loop. Nothing runs while no call is under way.
    """

    def __init__(self, session: Session, send: Send) -> None:
        self._session = session
        self._send = send
        self._lanes: Lanes[asyncio.Future[Answer]] = Lanes(session)
        self._loop = asyncio.get_running_loop()
        self._alarm = _Alarm(self._expire)
        self._travelling: dict[_Message, asyncio.Task[Answer]] = {}
        self._is_woken = False
        self._is_alone = False

    @property
    def is_idle(self) -> bool:
        """Whether no call is under way."""
        return not (self._travelling or self._is_woken or self._is_alone)

    def set_out_alone(self) -> None:
        """A call that came when none was under way goes its own way, with no turn of the loop more.

        It counts as a message: those that come meanwhile travel beside it, together.
        """
        self._is_alone = True

    def come_back(self) -> None:
        """It has ended, however."""
        self._is_alone = False
        if self._lanes.has_waiting:
            self._wake()

    def takes(self, rows: Rows) -> bool:
        """Whether a call is small enough."""
        return self._lanes.takes(rows)

    def add(self, rows: Rows, deadline: Deadline) -> _Ticket:
        """Lets a call of rows that `takes` accepts wait for company.

        The caller awaits the ticket's reply, which raises FlatdenseError. Whatever else ends its
        wait, it tells `leave`. (A coroutine that did both would cost each call half a microsecond.)
        """
        reply: asyncio.Future[Answer] = self._loop.create_future()
        ticket = self._lanes.add(rows, deadline, reply)
        self._alarm.set(deadline.at_s)
        self._wake()
        return ticket

    def leave(self, ticket: _Ticket) -> None:
        """Forgets a call that does not wait any more."""
        abandoned = self._lanes.leave(ticket)
        if abandoned is not None:
            self._travelling[abandoned].cancel()

    def close(self) -> list[asyncio.Task[Answer]]:
        """Ends all calls, after the session was closed; gives the tasks that are about to end."""
        self._alarm.stop()
        self._lanes.fail_all(grpc.FutureCancelledError())
        for task in self._travelling.values():
            task.cancel()
        return list(self._travelling.values())

    def _expire(self) -> float:
        now_s, next_s = time.monotonic(), math.inf
        for ticket in self._lanes.open(self._travelling):
            if ticket.deadline.at_s <= now_s:
                ticket.expire()
            else:
                next_s = min(next_s, ticket.deadline.at_s)
        return next_s

    def _wake(self) -> None:
        """Writes what waits at the end of this turn of the loop: until then others may come."""
        if not self._is_woken and self._has_place():
            self._is_woken = True
            asyncio.get_running_loop().call_soon(self._write)

    def _has_place(self) -> bool:
        return len(self._travelling) + self._is_alone < self._session.messages_in_flight

    def _write(self) -> None:
        self._is_woken = False
        while self._has_place():
            message = self._lanes.pack()
            if message is None:
                return
            # As a call of its oldest caller: this runs in the context of whoever woke it.
            context = message.tickets[0].context
            task = context.run(asyncio.get_running_loop().create_task, self._travel(message))
            self._travelling[message] = task
            task.add_done_callback(partial(self._arrive, message))

    async def _travel(self, message: _Message) -> Answer:
        response, timing = await self._send(self._lanes.write(message), message.timeout_s)
        return self._lanes.read(message, response, timing)

    def _arrive(self, message: _Message, task: asyncio.Task[Answer]) -> None:
        del self._travelling[message]
        # Whoever cancelled the task, it was none of the callers that still wait.
        error = grpc.FutureCancelledError() if task.cancelled() else task.exception()
        if error is None:
            self._lanes.deal(message, task.result())
        else:
            self._lanes.refuse(message, error)
        # After the callers: those that call again at once travel together.
        self._wake()

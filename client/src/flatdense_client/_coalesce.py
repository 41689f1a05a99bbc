"""Many small calls at a time travel as few messages."""

import asyncio
import copy
import math
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import count

import grpc
import numpy as np
from flatdense_proto.v1.classifier_pb2 import ClassifyRequest, ClassifyResponse

from flatdense_client._deadline import Deadline
from flatdense_client._errors import DeadlineExceeded, FlatdenseError, InvalidInput
from flatdense_client._messages import Answer, fit_rows, gather, read_answer
from flatdense_client._pixels import Rows
from flatdense_client._session import Session

SMALL_ROWS = 64
"""Calls of more rows gain nothing from company: they travel by themselves."""

Send = Callable[[ClassifyRequest, float | None], Awaitable[ClassifyResponse]]
"""Sends a message with what is left of its time, None for no limit. Cancelling cancels the call."""

_TICKS_IN_S = 1000

_Lane = dict["_Ticket", None]
"""Calls that wait, in the order of arrival; any may leave at any time."""


class _Ticket:
    """One call that waits for its answer."""

    __slots__ = ("answer", "count", "deadline", "lane", "message", "number", "rows")

    def __init__(
        self,
        rows: Rows,
        deadline: Deadline,
        answer: asyncio.Future[Answer],
        lane: _Lane,
        number: int,
    ) -> None:
        self.rows = rows
        self.count = len(rows)
        self.deadline = deadline
        self.answer = answer
        self.number = number
        """The order of arrival."""
        self.lane = lane
        """Where it waits to be sent."""
        self.message: _Message | None = None
        """What it travels in."""

    def fail(self, error: BaseException) -> None:
        """Ends the call, unless it has ended."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def expire(self) -> None:
        """Ends the call because its time is over."""
        self.fail(self.deadline.exceeded())


class _Alarm:
    """One timer for the deadlines of the same millisecond: a timer for each costs much more."""

    __slots__ = ("_alarms", "_tick", "_tickets", "_timer")

    def __init__(self, alarms: dict[int, "_Alarm"], tick: int, wait_s: float) -> None:
        self._alarms = alarms
        self._tick = tick
        self._tickets: _Lane = {}
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._ring)
        alarms[tick] = self

    def join(self, ticket: _Ticket) -> None:
        self._tickets[ticket] = None

    def leave(self, ticket: _Ticket) -> None:
        """The last one stops the timer."""
        del self._tickets[ticket]
        if not self._tickets:
            self._timer.cancel()
            self._retire()

    def _retire(self) -> None:
        if self._alarms.get(self._tick) is self:
            del self._alarms[self._tick]

    def _ring(self) -> None:
        self._retire()
        for ticket in self._tickets:
            ticket.expire()


class _Alarms:
    """Ends calls whose time is over, at most a millisecond late."""

    def __init__(self) -> None:
        self._alarms: dict[int, _Alarm] = {}

    def set(self, ticket: _Ticket, deadline: Deadline) -> _Alarm | None:
        """The alarm to leave when the call ends; None for a call without a limit.

        Raises DeadlineExceeded: nothing is left.
        """
        remaining_s = deadline.remaining_s()
        if remaining_s is None:
            return None
        tick = math.ceil(deadline.at_s * _TICKS_IN_S)
        alarm = self._alarms.get(tick)
        if alarm is None:
            wait_s = remaining_s + tick / _TICKS_IN_S - deadline.at_s
            alarm = _Alarm(self._alarms, tick, wait_s)
        alarm.join(ticket)
        return alarm


class _Message:
    """What travels: the rows of some calls, one call after the other."""

    __slots__ = ("callers", "task", "tickets", "timeout_s")

    def __init__(self, tickets: Sequence[_Ticket], timeout_s: float | None) -> None:
        self.tickets = tickets
        self.timeout_s = timeout_s
        self.callers = len(tickets)
        """How many of them still want the answer."""
        self.task: asyncio.Task[Answer] | None = None

    @property
    def rows(self) -> int:
        return sum(ticket.count for ticket in self.tickets)

    def leave(self) -> None:
        """One caller goes. With the last one goes the message."""
        self.callers -= 1
        if self.callers == 0 and self.task is not None:
            self.task.cancel()


class Coalescer:
    """Puts calls that come at a time into common messages, and deals the answers out.

    - A message takes all calls that wait when it is written, oldest first, of one type of pixels
      and up to `rows_per_message` rows. Calls wait only while `messages_in_flight` messages travel:
      without any, a message is written at the end of the event loop's turn. There is no timer.
    - Each caller has a deadline of its own and may be cancelled, at any moment, without touching
      the others. The rows of one that left before its message was written are not sent.
    - A message gets the longest time that one of its callers has left, for it must not fail any of
      them early. It ends earlier when nobody is left: its call is cancelled with the departure of
      its last caller. So no message outlives the callers in it, and the shorter deadlines beside a
      long one cost the server nothing but rows that it had taken anyway.
    - A message's failure is raised to each of its callers as an error of its own. A message that is
      refused as invalid is different, as one caller's rows may be why: each of its callers is sent
      once more, alone, and has what it gets.
    - Lives on one event loop. Nothing runs while no call is under way.
    """

    def __init__(self, session: Session, send: Send) -> None:
        self._session = session
        self._send = send
        self._numbers = count()
        self._lanes: dict[np.dtype[np.generic], _Lane] = {}
        self._alone: _Lane = {}
        self._alarms = _Alarms()
        self._travelling: dict[_Message, asyncio.Task[Answer]] = {}
        self._is_woken = False

    def takes(self, rows: Rows) -> bool:
        """Whether a call is small enough."""
        return len(rows) <= min(SMALL_ROWS, self._session.rows_per_message)

    async def ask(self, rows: Rows, deadline: Deadline) -> Answer:
        """Gets the answer to rows that `takes` accepts; the arrays are shared with other callers.

        Raises FlatdenseError.
        """
        loop = asyncio.get_running_loop()
        lane = self._lanes.setdefault(rows.dtype, {})
        ticket = _Ticket(rows, deadline, loop.create_future(), lane, next(self._numbers))
        alarm = self._alarms.set(ticket, deadline)
        lane[ticket] = None
        self._wake()
        try:
            return await ticket.answer
        finally:
            if alarm is not None:
                alarm.leave(ticket)
            if ticket.message is not None:
                ticket.message.leave()
            else:
                ticket.lane.pop(ticket, None)

    def close(self) -> list[asyncio.Task[Answer]]:
        """Ends all calls, after the session was closed; gives the tasks that are about to end."""
        for lane in (*self._lanes.values(), self._alone):
            while lane:
                ticket, _ = lane.popitem()
                self._fail(ticket, grpc.FutureCancelledError())
        for task in self._travelling.values():
            task.cancel()
        return list(self._travelling.values())

    def _wake(self) -> None:
        """Writes what waits at the end of this turn of the loop: until then others may come."""
        if not self._is_woken and len(self._travelling) < self._session.messages_in_flight:
            self._is_woken = True
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        self._is_woken = False
        while len(self._travelling) < self._session.messages_in_flight:
            message = self._pack()
            if message is None:
                return
            message.task = asyncio.get_running_loop().create_task(self._travel(message))
            self._travelling[message] = message.task
            message.task.add_done_callback(partial(self._arrive, message))

    def _pack(self) -> _Message | None:
        while tickets := self._choose():
            message = _take(tickets)
            if message is not None:
                return message
        return None

    def _choose(self) -> list[_Ticket]:
        """The oldest calls of one type, as many as fit; none where no call waits."""
        if self._alone:  # they have waited longest
            return [next(iter(self._alone))]
        waiting = [lane for lane in self._lanes.values() if lane]
        if not waiting:
            return []
        lane = min(waiting, key=lambda lane: next(iter(lane)).number)
        room_rows = fit_rows(next(iter(lane)).rows.dtype, self._session.rows_per_message)
        chosen: list[_Ticket] = []
        for ticket in lane:
            room_rows -= ticket.count
            if room_rows < 0:
                break
            chosen.append(ticket)
        return chosen

    async def _travel(self, message: _Message) -> Answer:
        request = gather([ticket.rows for ticket in message.tickets], self._session.model)
        response = await self._send(request, message.timeout_s)
        return read_answer(response, message.rows, self._session.address)

    def _arrive(self, message: _Message, task: asyncio.Task[Answer]) -> None:
        del self._travelling[message]
        for ticket in message.tickets:
            ticket.message = None
        # Whoever cancelled the task, it was none of the callers that still wait.
        error = grpc.FutureCancelledError() if task.cancelled() else task.exception()
        if error is None:
            self._deal(message.tickets, task.result())
        elif len(message.tickets) > 1 and isinstance(self._translate(error, 0), InvalidInput):
            for ticket in message.tickets:
                if not ticket.answer.done():
                    ticket.lane = self._alone
                    self._alone[ticket] = None
        else:
            for ticket in message.tickets:
                self._fail(ticket, error)
        # After the callers: those that call again at once travel together.
        self._wake()

    def _deal(self, tickets: Sequence[_Ticket], answer: Answer) -> None:
        start = 0
        for ticket in tickets:
            stop = start + ticket.count
            if not ticket.answer.done():
                ticket.answer.set_result(answer.part(start, stop))
            start = stop

    def _fail(self, ticket: _Ticket, error: BaseException) -> None:
        ticket.fail(self._translate(error, ticket.deadline.timeout_s))

    def _translate(self, error: BaseException, timeout_s: float) -> BaseException:
        """An error for one caller: never the same object for two."""
        translated = self._session.translate(error, timeout_s)
        if translated is None:
            return copy.copy(error) if isinstance(error, FlatdenseError) else error
        translated.__cause__ = error
        return translated


def _take(tickets: Sequence[_Ticket]) -> _Message | None:
    """Takes calls out of their lane and into a message, but for those that ended; None: all did."""
    staying: list[_Ticket] = []
    timeout_s: float | None = 0.0
    for ticket in tickets:
        del ticket.lane[ticket]
        if ticket.answer.done():
            continue
        try:
            remaining_s = ticket.deadline.remaining_s()
        except DeadlineExceeded:  # its timer is about to find out
            ticket.expire()
            continue
        staying.append(ticket)
        if remaining_s is None or timeout_s is None:
            timeout_s = None
        else:
            timeout_s = max(timeout_s, remaining_s)
    if not staying:
        return None
    message = _Message(staying, timeout_s)
    for ticket in staying:
        ticket.message = message
    return message

"""Calls that wait to travel together: who goes with whom, and who gets which answer. No I/O."""

import copy
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextvars import copy_context
from itertools import chain, count
from typing import Generic, Protocol, TypeVar

import numpy as np
from flatdense_proto.v1.classifier_pb2 import ClassifyRequest, ClassifyResponse

from flatdense_client._calls.session import Session
from flatdense_client._core.classify import CLASSIFY, Answer
from flatdense_client._core.deadline import Deadline
from flatdense_client._core.messages import fit_rows, gather
from flatdense_client._errors import DeadlineExceeded, FlatdenseError, InvalidInput
from flatdense_client._images.pixels import Rows

SMALL_ROWS = 64
"""Calls of more rows gain nothing from company: they travel by themselves."""


class Reply(Protocol):
    """Where one caller waits for its answer: an asyncio.Future is one."""

    def done(self) -> bool:
        """Whether the call has ended, however."""
        ...

    def set_result(self, answer: Answer, /) -> None:
        """Ends the call with its answer."""
        ...

    def set_exception(self, error: BaseException, /) -> None:
        """Ends the call with an error."""
        ...


AReply = TypeVar("AReply", bound=Reply)


class Ticket(Generic[AReply]):
    """One call that waits for its answer."""

    __slots__ = ("context", "count", "deadline", "lane", "message", "number", "reply", "rows")

    def __init__(
        self, rows: Rows, deadline: Deadline, reply: AReply, lane: "_Lane[AReply]", number: int
    ) -> None:
        self.rows = rows
        self.count = len(rows)
        self.deadline = deadline
        self.reply = reply
        self.number = number
        """The order of arrival."""
        self.lane = lane
        """Where it waits to be sent."""
        self.context = copy_context()
        """The caller's own, with the trace that it is part of."""
        self.message: Message[AReply] | None = None
        """What it travels in."""

    def fail(self, error: BaseException) -> None:
        """Ends the call, unless it has ended."""
        if not self.reply.done():
            self.reply.set_exception(error)

    def expire(self) -> None:
        """Ends the call because its time is over."""
        self.fail(self.deadline.exceeded())


_Lane = dict[Ticket[AReply], None]
"""Calls that wait, in the order of arrival; any may leave at any time."""


class Message(Generic[AReply]):
    """What travels: the rows of some calls, one call after the other."""

    __slots__ = ("callers", "tickets", "timeout_s")

    def __init__(self, tickets: Sequence[Ticket[AReply]], timeout_s: float | None) -> None:
        self.tickets = tickets
        self.timeout_s = timeout_s
        """The longest time that one of its callers has left; None for no limit."""
        self.callers = len(tickets)
        """How many of them still want the answer."""


class Lanes(Generic[AReply]):
    """Makes messages of the calls that wait, and deals the answers out.

    - A message takes all calls that wait when it is packed, oldest first, of one type of pixels
      and up to `rows_per_message` rows. One that left before has no rows in it.
    - A message's failure is raised to each of its callers as an error of its own. A message that is
      refused as invalid is different, as one caller's rows may be why: each of its callers is sent
      once more, alone, and has what it gets.
    - Each call is ended once, or leaves. Not for several threads at a time.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._small_rows = min(SMALL_ROWS, session.rows_per_message)
        self._numbers = count()
        self._lanes: dict[np.dtype[np.generic], _Lane[AReply]] = {}
        self._alone: _Lane[AReply] = {}

    @property
    def has_waiting(self) -> bool:
        """Whether a call waits."""
        return bool(self._alone) or any(self._lanes.values())

    def takes(self, rows: Rows) -> bool:
        """Whether a call is small enough. Any thread may ask."""
        return len(rows) <= self._small_rows

    def add(self, rows: Rows, deadline: Deadline, reply: AReply) -> Ticket[AReply]:
        """Lets a call wait."""
        lane = self._lanes.setdefault(rows.dtype, {})
        ticket = Ticket(rows, deadline, reply, lane, next(self._numbers))
        lane[ticket] = None
        return ticket

    def leave(self, ticket: Ticket[AReply]) -> Message[AReply] | None:
        """Forgets a call, which must have been added; gives a message that now nobody waits for."""
        message = ticket.message
        if message is None:
            ticket.lane.pop(ticket, None)
            return None
        message.callers -= 1
        return message if message.callers == 0 else None

    def open(self, travelling: Iterable[Message[AReply]]) -> Iterator[Ticket[AReply]]:
        """The calls that wait, and those in these messages, that have not ended."""
        holders = (*self._lanes.values(), self._alone, *(each.tickets for each in travelling))
        return (ticket for ticket in chain(*holders) if not ticket.reply.done())

    def pack(self) -> Message[AReply] | None:
        """The next message; None where no call waits."""
        while tickets := self._choose():
            message = _take(tickets)
            if message is not None:
                return message
        return None

    def write(self, message: Message[AReply]) -> ClassifyRequest:
        """What to send. Any thread may ask."""
        return gather(CLASSIFY, [ticket.rows for ticket in message.tickets], self._session.model)

    def read(
        self, message: Message[AReply], response: ClassifyResponse, timing: str | None
    ) -> Answer:
        """Reads what came back. Any thread may ask.

        Raises ServerError: it does not fit the rows.
        """
        rows = sum(ticket.count for ticket in message.tickets)
        return CLASSIFY.read(response, rows, self._session.address, timing)

    def deal(self, message: Message[AReply], answer: Answer) -> None:
        """Ends the calls of a message with their parts of the answer."""
        start = 0
        for ticket in message.tickets:
            ticket.message = None
            stop = start + ticket.count
            if not ticket.reply.done():
                ticket.reply.set_result(answer.part(start, stop))
            start = stop

    def refuse(self, message: Message[AReply], error: BaseException) -> None:
        """Ends the calls of a message that failed, or lets them wait to be sent alone."""
        for ticket in message.tickets:
            ticket.message = None
        if len(message.tickets) > 1 and isinstance(self._translate(error, 0), InvalidInput):
            self._wait_again(message.tickets, self._alone)
        else:
            for ticket in message.tickets:
                self._fail(ticket, error)

    def put_back(self, message: Message[AReply]) -> None:
        """Lets the calls of a message that came to nothing wait again."""
        for ticket in message.tickets:
            ticket.message = None
        self._wait_again(message.tickets, message.tickets[0].lane)

    def fail_all(self, error: BaseException) -> None:
        """Ends the calls that wait."""
        for lane in (*self._lanes.values(), self._alone):
            while lane:
                ticket, _ = lane.popitem()
                self._fail(ticket, error)

    def _wait_again(self, tickets: Sequence[Ticket[AReply]], lane: _Lane[AReply]) -> None:
        for ticket in tickets:
            if not ticket.reply.done():
                ticket.lane = lane
                lane[ticket] = None

    def _choose(self) -> list[Ticket[AReply]]:
        """The oldest calls of one type, as many as fit; none where no call waits."""
        if self._alone:  # they have waited longest
            return [next(iter(self._alone))]
        waiting = [lane for lane in self._lanes.values() if lane]
        if not waiting:
            return []
        lane = min(waiting, key=lambda lane: next(iter(lane)).number)
        room_rows = fit_rows(CLASSIFY, next(iter(lane)).rows, self._session.rows_per_message)
        chosen: list[Ticket[AReply]] = []
        for ticket in lane:
            room_rows -= ticket.count
            if room_rows < 0:
                break
            chosen.append(ticket)
        return chosen

    def _fail(self, ticket: Ticket[AReply], error: BaseException) -> None:
        if isinstance(error, DeadlineExceeded):  # one caller's, in its own words
            ticket.expire()
        else:
            ticket.fail(self._translate(error, ticket.deadline.timeout_s))

    def _translate(self, error: BaseException, timeout_s: float) -> BaseException:
        """An error for one caller: never the same object for two."""
        translated = self._session.translate(error, timeout_s)
        if translated is None:
            return copy.copy(error) if isinstance(error, FlatdenseError) else error
        translated.__cause__ = error
        return translated


def _take(tickets: Sequence[Ticket[AReply]]) -> Message[AReply] | None:
    """Takes calls out of their lane and into a message, but for those that ended; None: all did."""
    staying: list[Ticket[AReply]] = []
    now_s = last_s = time.monotonic()
    for ticket in tickets:
        del ticket.lane[ticket]
        if ticket.reply.done():
            continue
        if ticket.deadline.at_s <= now_s:  # its caller is about to find out
            ticket.expire()
            continue
        staying.append(ticket)
        last_s = max(last_s, ticket.deadline.at_s)
    if not staying:
        return None
    message = Message(staying, None if math.isinf(last_s) else last_s - now_s)
    for ticket in staying:
        ticket.message = message
    return message

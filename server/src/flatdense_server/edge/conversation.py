"""One stream in the express lane: its messages join the batches, its answers keep their order."""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Final

import grpc

from flatdense_server.edge.lane import LaneCall, LaneStream
from flatdense_server.edge.ledger import Ledger
from flatdense_server.edge.refusal import Metadata
from flatdense_server.edge.status import Status
from flatdense_server.edge.stream import WINDOW
from flatdense_server.edge.trailers import echo
from flatdense_server.errors import DeadlineExpired, RequestError
from flatdense_server.observe.traces.passage import Passage
from flatdense_server.selector import NOBODY

CODE_NAMES: Final = {code.value[0]: code.name for code in grpc.StatusCode}


@dataclass(slots=True, eq=False)
class Turn:
    """A message that was read, or the end of the stream, and what is sent when it has its turn."""

    call: LaneCall | None = None
    answer: bytes | None = None
    end: tuple[int, str, Metadata] | None = None


class Conversation:
    """Reads messages while fewer than WINDOW wait for their answers, and answers each in its turn.

    The caller's half-close ends it with OK. The first message that is refused ends it with its
    status, and what was read behind that one is not answered. Counted once, as one RPC. For the
    lane's own thread.
    """

    def __init__(
        self, stream: LaneStream, ledger: Ledger, on_end: "Callable[[Conversation], None]"
    ) -> None:
        self._stream = stream
        self._ledger = ledger
        self._on_end = on_end
        self._turns: deque[Turn] = deque()
        self._answerer = NOBODY
        self._reading = False
        self._ending = False
        """Nothing more is read."""
        self._sending = False
        self._over = False
        self._rows = 0
        scribe = ledger.scribe
        self._journey = scribe.begin(stream.method, stream.metadata) if scribe else None
        ledger.begin(stream.method)

    def begin(self) -> None:
        """Reads the first message."""
        self._stream.watch(self._leave)
        self._go_on()

    def refuse(self, error: RequestError) -> None:
        """Ends it with this error, after the answers to what was read before."""
        if self._ending:
            return
        self._close(self._judge(error))
        self._go_on()

    def _go_on(self) -> None:
        """Sends what has its turn, and reads on where there is room."""
        if self._over:
            return
        if self._turns and not self._sending:
            first = self._turns[0]
            if first.answer is not None:
                self._sending = True
                self._stream.send(first.answer, self._sent)
            elif first.end:
                self._end(*first.end)
                return
        if not (self._reading or self._ending) and len(self._turns) < WINDOW:
            self._reading = True
            self._stream.receive(self._received)

    def _received(self, message: bytes | None) -> LaneCall | None:
        self._reading = False
        if self._over or self._ending:
            return None
        if message is None:
            self._ending = True
            trailers = echo(self._stream.metadata, lambda: self._stream.request_id)
            self._turns.append(Turn(end=(0, "", trailers)))
            self._go_on()
            return None
        turn = Turn()
        turn.call = LaneCall(
            method=self._stream.method,
            in_stream=True,
            message=message,
            metadata=self._stream.metadata,
            arrived_s=time.monotonic(),
            deadline_s=self._stream.deadline_s,
            read=True,
            request_id=self._stream.request_id,
            journey=self._journey,
            _core=turn,
            _end=self._settle,
        )
        self._turns.append(turn)
        self._go_on()
        return turn.call

    def _settle(
        self, turn: Turn, message: bytes | None, code: int, text: bytes, metadata: Metadata
    ) -> None:
        """How a message was answered or refused; one that was let go of has no turn any more."""
        if turn.call is None or turn.call.cancelled:
            return
        self._answerer = turn.call.answerer
        if message is None:
            turn.end = (code, text.decode(), metadata)
            self._ending = True
            self._drop_behind(turn)
        else:
            turn.answer = message
            self._rows += turn.call.rows
        self._go_on()

    def _sent(self) -> None:
        if self._over:
            return
        self._sending = False
        self._turns.popleft()
        self._go_on()

    def _drop_behind(self, last: Turn | None) -> None:
        """Lets go of all that was read after this one; of all, where it is None."""
        while self._turns and self._turns[-1] is not last:
            dropped = self._turns.pop()
            if dropped.call:
                dropped.call.cancelled = True

    def _close(self, status: Status) -> None:
        self._ending = True
        self._turns.append(Turn(end=(status.code.value[0], status.message, status.metadata)))

    def _leave(self) -> None:
        """The caller has gone, or its deadline passed: what waits is not computed."""
        if self._over:
            return
        deadline_s = self._stream.deadline_s
        error: BaseException = CancelledError()
        if deadline_s is not None and deadline_s <= time.monotonic():
            error = DeadlineExpired("the deadline passed before the answer was there.")
        self._finish(self._judge(error).code.name)

    def _judge(self, error: BaseException) -> Status:
        return self._ledger.judge(self._stream.method, error, self._stream.request_id)

    def _end(self, code: int, text: str, metadata: Metadata) -> None:
        self._stream.end(code, text, metadata)
        self._finish(CODE_NAMES[code])

    def _finish(self, code: str) -> None:
        self._over = True
        self._drop_behind(None)
        stream = self._stream
        self._ledger.end(stream.method, self._answerer, stream.arrived_s, code, stream.metadata)
        if scribe := self._ledger.scribe:
            scribe.end(lambda: self._describe(code), stream.metadata, self._journey)
        self._on_end(self)

    def _describe(self, code: str) -> Passage:
        stream = self._stream
        return Passage(
            method=stream.method,
            answerer=self._answerer,
            code=code,
            rows=self._rows,
            arrived_s=stream.arrived_s,
            ended_s=time.monotonic(),
            peer=stream.peer(),
            request_id=stream.request_id,
        )

"""The express lane: one thread takes calls from gRPC's core, batches them, and answers them."""

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Final

from flatdense_server.batching.queue import QueueLimits, ReadyQueue
from flatdense_server.edge.call import soonest
from flatdense_server.edge.conversation import Conversation
from flatdense_server.edge.lane import Lane, LaneCall, LaneStream
from flatdense_server.edge.ledger import Ledger
from flatdense_server.edge.refusal import Refusal, refusal_of
from flatdense_server.edge.stream import too_many_streams
from flatdense_server.edge.trailers import is_asking, write_trailers
from flatdense_server.errors import DeadlineExpired, Draining, QueueFull
from flatdense_server.models.registry import Registry
from flatdense_server.models.servable import Servable
from flatdense_server.protocols.codec import Codec, Question
from flatdense_server.selector import Selector
from flatdense_server.tensors import DType, Outputs, Rows

log = logging.getLogger(__name__)

WAIT_S: Final = 0.2
"""How often an idle lane looks whether it is to end."""

JOIN_S: Final = 1.0

AT_MOST_EVENTS: Final = 64
"""Taken at once from the core, before a look at what is there to do."""

TAKING: Final = 0.25
"""When a whole batch waits, taking and refusing may go on for this share of a batch's time. What is
accepted is answered, whatever else comes."""

LONGEST_TAKING_S: Final = 0.005
"""Where there is no whole batch: what is there waits no longer for what may come to nothing."""

MOST_READING: Final = 8
"""Where there is no whole batch, messages of so many times the queue's rows may be on their way."""

MEAN_OF_CALLS: Final = 32
"""Over so many calls the mean of their rows is taken."""


STOPPING: Final = Draining("the server is stopping. Try another one, or try again later.")


@dataclass(slots=True, kw_only=True, eq=False)
class Passenger:
    """A call that was judged and waits for its batch."""

    call: LaneCall
    question: Question
    selector: Selector
    servable: Servable
    pixels: Rows
    rows: int
    kind: tuple[Servable, DType, bool]
    """Only calls of one version and dtype, that want the same outputs, share a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressOptions:
    """What the express lane obeys."""

    queue: QueueLimits
    max_streams: int
    max_request_rows: int
    max_batch_rows: int
    batch_wait_s: float = 0.0
    """A batch that is not full waits for so long: for engines that gain by bigger ones."""


class Express:
    """Takes what is ready, judges each call alone, runs one batch, answers each call alone.

    There is no other thread, and no timer unless one is asked for: while a batch runs, the next one
    gathers in gRPC's core. The messages of streams are judged and batched like calls.
    """

    def __init__(
        self,
        lane: Lane,
        codecs: Sequence[Codec],
        stream_codecs: Sequence[Codec],
        *,
        registry: Registry,
        ledger: Ledger,
        options: ExpressOptions,
    ) -> None:
        """Makes no thread yet: start() does, after the server's."""
        self._lane = lane
        self._stream_methods = frozenset(codec.method for codec in stream_codecs)
        self._codecs = {codec.method: codec for codec in (*codecs, *stream_codecs)}
        self._registry = registry
        self._ledger = ledger
        self._scribe = ledger.scribe
        if self._scribe:
            lane.on_refused = self._note_refused
        self._queue: ReadyQueue[Passenger] = ReadyQueue(options.queue)
        self._options = options
        self._busy = refusal_of(QueueFull("the server is busy. Try again later."))
        self._mean_rows = 1.0
        self._batch_s = 0.0
        self._closing = False
        self._conversations: set[Conversation] = set()
        self._draining = False
        self._thread = threading.Thread(target=self._work, name="express", daemon=True)
        self._rested = threading.Event()
        self.taken = 0
        """Calls so far. For one thread to write, for all to read."""

    def start(self) -> None:
        """Takes calls. After the server's start."""
        self._lane.open(self._converse)
        self._thread.start()

    def drain(self) -> None:
        """Ends every open stream, and each one that opens from now on, once what came is answered.

        It takes effect within WAIT_S.
        """
        self._draining = True

    def wait_idle(self, timeout_s: float) -> bool:
        """Waits until every call that was taken has ended; False where that takes longer."""
        return self._rested.wait(max(0.0, timeout_s))

    def close(self) -> None:
        """Ends the thread. After the server's end.

        A thread that is still in the engine then is left behind: nobody waits for its answers.
        """
        self._closing = True
        self._thread.join(JOIN_S)

    def _work(self) -> None:
        while not self._lane.ended:
            if self._draining:
                for conversation in list(self._conversations):
                    conversation.refuse(STOPPING)
            if not self._conversations:
                self._rested.set()
            self._registry.rest()
            if self._closing:
                self._lane.close()
            try:
                self._serve()
            except Exception:
                # Whatever it was, the calls that come later are answered.
                log.exception("the express lane stumbled")

    def _serve(self) -> None:
        """Waits a while for calls, and answers them and all that come meanwhile."""
        self._admit(*self._lane.take(wait_s=WAIT_S, at_most_events=AT_MOST_EVENTS))
        while self._queue:
            if self._options.batch_wait_s:
                self._gather(time.monotonic() + self._options.batch_wait_s)
            started_s = time.monotonic()
            self._ride(self._queue.take(self._options.max_batch_rows))
            self._batch_s = time.monotonic() - started_s
            self._admit(*self._lane.take(wait_s=0, at_most_events=AT_MOST_EVENTS))

    def _gather(self, until_s: float) -> None:
        """Waits for more calls, until then or until a batch is full."""
        while self._queue.rows < self._options.max_batch_rows:
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                break
            self._admit(*self._lane.take(wait_s=left_s, at_most_events=AT_MOST_EVENTS))

    def _admit(self, calls: list[LaneCall], more: bool) -> None:  # noqa: FBT001 -- of one take
        """Judges what was taken, and all that is there behind it: if need be, in several rounds."""
        started_s = time.monotonic()
        while True:
            self._judge_all(calls)
            is_full = self._queue.rows >= self._options.max_batch_rows
            longest_s = TAKING * self._batch_s if is_full else LONGEST_TAKING_S
            if not more or time.monotonic() - started_s > longest_s:
                return
            calls, more = self._lane.take(wait_s=0, at_most_events=AT_MOST_EVENTS)

    def _judge_all(self, calls: list[LaneCall]) -> None:
        if calls:
            self._rested.clear()
        for method, some in by_method(calls):
            if method in self._stream_methods:
                self._ledger.receive(method, len(some))
            else:
                self.taken += len(some)
                self._ledger.begin(method, len(some))
        for call in calls:
            self._judge(call)
        lane = self._lane
        lane.refusal = self._busy if self._is_full() else None
        if lane.refused:
            self.taken += lane.refused.total()
            for (method, refusal), refused in lane.refused.items():
                self._ledger.refuse(method, refusal, refused)
            lane.refused.clear()

    def _is_full(self) -> bool:
        """Whether what comes now would find no place."""
        limits, queue = self._options.queue, self._queue
        reading_rows = self._lane.reading * self._mean_rows
        if queue.rows < self._options.max_batch_rows:
            # Nobody waits: calls that send nothing must not keep others out.
            return reading_rows >= MOST_READING * limits.max_rows
        return queue.rows + reading_rows >= limits.max_rows or len(queue) >= limits.max_tasks

    def _judge(self, call: LaneCall) -> None:
        try:
            codec = self._codecs[call.method]
            question = codec.parse(call.message)
            selector = question.selector
            servable = self._registry.resolve(selector)
            call.answerer = servable.answerer
            pixels = question.rows(max_rows=self._options.max_request_rows)
            call.rows = len(pixels)
            if question.timeout_s is not None:
                call.deadline_s = soonest(call.deadline_s, call.arrived_s + question.timeout_s)
            passenger = Passenger(
                call=call,
                question=question,
                selector=selector,
                servable=servable,
                pixels=pixels,
                rows=call.rows,
                kind=(servable, pixels.dtype, question.hidden),
            )
            self._mean_rows += (passenger.rows - self._mean_rows) / MEAN_OF_CALLS
            self._queue.put(passenger)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the caller is told
            self._refuse(call, error)

    def _ride(self, batch: Sequence[Passenger]) -> None:
        servable = batch[0].servable
        over_s = time.monotonic() + servable.expected_s(sum(each.rows for each in batch))
        riding = [passenger for passenger in batch if self._is_wanted(passenger, over_s)]
        if not riding:
            return
        try:
            computed = servable.compute(
                [passenger.pixels for passenger in riding], hidden=batch[0].question.hidden
            )
        except Draining:
            for passenger in riding:
                self._transfer(passenger)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the callers are told
            for passenger in riding:
                self._refuse(passenger.call, error)
        else:
            answered = [
                passenger
                for passenger, outputs in zip(riding, computed.split(), strict=True)
                if self._answer(passenger, outputs)
            ]
            self._count(answered, servable)
            if self._scribe:
                self._scribe.batch([each.call for each in answered], servable, computed.ran)
            servable.record(computed, (passenger.call.arrived_s for passenger in riding))

    def _is_wanted(self, passenger: Passenger, over_s: float) -> bool:
        """Whether a call goes into a batch that is over then. One that does not is ended here."""
        call = passenger.call
        error: BaseException
        if call.deadline_s is not None and call.deadline_s <= over_s:
            error = DeadlineExpired("the deadline came before the request could be answered.")
        elif call.cancelled:
            error = CancelledError()
        else:
            return True
        self._refuse(call, error)
        return False

    def _transfer(self, passenger: Passenger) -> None:
        """A new version took over in this instant: the call goes to what its selector means now."""
        try:
            passenger.servable = servable = self._registry.resolve(passenger.selector)
            passenger.kind = (servable, *passenger.kind[1:])
            passenger.call.answerer = servable.answerer
            self._queue.put(passenger)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the caller is told
            self._refuse(passenger.call, error)

    def _answer(self, passenger: Passenger, outputs: Outputs) -> bool:
        """Whether a call was answered; one that was not is refused."""
        servable = passenger.servable
        try:
            message = passenger.question.answer(outputs, servable.identity)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the caller is told
            self._refuse(passenger.call, error)
            return False
        call = passenger.call
        if is_asking(call.metadata) and not call.in_stream:
            call.answer(
                message,
                write_trailers(
                    call.metadata, call.identify, outputs, call.answerer, call.arrived_s
                ),
            )
        else:
            call.answer(message)
        return True

    def _count(self, answered: Sequence[Passenger], servable: Servable) -> None:
        """Counts the calls of a batch, which may be of several methods."""
        for method, calls in by_method([each.call for each in answered]):
            if method in self._stream_methods:
                self._ledger.send(method, len(calls))
                continue
            self._ledger.succeed(
                method,
                servable.answerer,
                [call.arrived_s for call in calls],
                [call.metadata for call in calls],
            )

    def _refuse(self, call: LaneCall, error: BaseException) -> None:
        request_id = call.identify()
        status = (
            self._ledger.judge(call.method, error, request_id)
            if call.in_stream
            else self._ledger.fail(
                call.method, call.answerer, call.arrived_s, error, request_id, call.metadata
            )
        )
        if call.in_stream:
            told = self._codecs[call.method].refusal(call.message, status.message)
            if told is not None:
                self._ledger.send(call.method)
                call.answer(told)
                return
        call.refuse(status.code.value[0], status.message, status.metadata)
        if self._scribe and not call.in_stream:
            self._scribe.fail(call, status.code.name)

    def _note_refused(self, call: LaneCall, refusal: Refusal) -> None:
        if self._scribe:
            self._scribe.fail(call, refusal.name)

    def _converse(self, stream: LaneStream) -> None:
        """A stream came."""
        self._rested.clear()
        self.taken += 1
        conversation = Conversation(stream, self._ledger, self._conversations.discard)
        is_full = len(self._conversations) >= self._options.max_streams
        self._conversations.add(conversation)
        if self._draining:
            conversation.refuse(STOPPING)
        elif is_full:
            conversation.refuse(too_many_streams(self._options.max_streams))
        else:
            conversation.begin()


def by_method(calls: Sequence[LaneCall]) -> Iterable[tuple[str, Sequence[LaneCall]]]:
    """Calls, told apart by their methods. Mostly they are all of one."""
    methods = {call.method for call in calls}
    if len(methods) == 1:
        return ((methods.pop(), calls),)
    return [(method, [call for call in calls if call.method == method]) for method in methods]

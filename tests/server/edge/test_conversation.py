"""A stream in the express lane: what is read, in which order it is answered, how it ends."""

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

import pytest
from flatdense_server.edge.conversation import Conversation
from flatdense_server.edge.lane import LaneCall, Metadata
from flatdense_server.edge.ledger import Ledger
from flatdense_server.edge.stream import WINDOW
from flatdense_server.errors import Draining
from flatdense_server.observe.metrics.metrics import Metrics
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

METHOD = "flatdense.v1.Classifier/ClassifyStream"
CANCELLED = 1
INTERNAL = 13
UNAVAILABLE = 14

Received: TypeAlias = Callable[[bytes | None], LaneCall | None]


class ScriptedStream:
    """A LaneStream whose caller is the test: at most one message is asked for and one sent."""

    def __init__(self, deadline_s: float | None = None) -> None:
        self.method = METHOD
        self.metadata: Metadata = (("x-request-id", "1"),)
        self.request_id = "1"
        self.arrived_s = 0.0
        self.deadline_s = deadline_s
        self.answers: list[bytes] = []
        self.ended: int | None = None
        """The code of its status."""
        self.trailers: dict[str, str | bytes] = {}
        self.gone: Callable[[], None] = lambda: None
        self._asked: Received | None = None
        self._sent: Callable[[], object] | None = None

    @property
    def reads(self) -> bool:
        """Whether a message is asked for."""
        return self._asked is not None

    @property
    def sends(self) -> bool:
        """Whether an answer is on its way."""
        return self._sent is not None

    def watch(self, gone: Callable[[], None]) -> None:
        """See LaneStream.watch."""
        self.gone = gone

    def receive(self, then: Received) -> None:
        """See LaneStream.receive."""
        assert self._asked is None
        assert self.ended is None
        self._asked = then

    def send(self, message: bytes, then: Callable[[], object]) -> None:
        """See LaneStream.send."""
        assert self._sent is None
        assert self.ended is None
        self.answers.append(message)
        self._sent = then

    def end(self, code: int, _text: str, metadata: Metadata) -> None:
        """See LaneStream.end."""
        assert self.ended is None
        assert self._sent is None
        self.ended, self.trailers = code, dict(metadata)

    def say(self, message: bytes | None) -> LaneCall | None:
        """The caller's next message, or its half-close."""
        assert self._asked
        then, self._asked = self._asked, None
        return then(message)

    def hear(self) -> None:
        """The caller has room for another answer."""
        assert self._sent
        then, self._sent = self._sent, None
        then()


@pytest.fixture
def ends() -> list[Conversation]:
    """Those that ended."""
    return []


@pytest.fixture
def converse(
    metrics: Metrics, ends: list[Conversation]
) -> Callable[[ScriptedStream], Conversation]:
    """Begins a conversation over a stream."""

    def begin(stream: ScriptedStream) -> Conversation:
        conversation = Conversation(stream, Ledger(metrics), ends.append)  # type: ignore[arg-type]
        conversation.begin()
        return conversation

    return begin


def ask(stream: ScriptedStream, message: bytes = b"?") -> LaneCall:
    """A message that becomes a call."""
    call = stream.say(message)
    assert call is not None
    return call


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), count=st.integers(0, 30))
def test_answers_keep_the_order_of_messages(
    data: st.DataObject, count: int, converse: Callable[[ScriptedStream], Conversation]
) -> None:
    """In whatever order calls are answered and heard: each answer once, in order, then OK."""
    stream = ScriptedStream()
    converse(stream)
    said, waiting = 0, deque[LaneCall]()
    while stream.ended is None:
        steps = []
        if stream.reads:
            steps.append("say")
        if waiting:
            steps.append("answer")
        if stream.sends:
            steps.append("hear")
        match data.draw(st.sampled_from(steps)):
            case "say":
                call = stream.say(b"%d" % said if said < count else None)
                said += 1
                if call:
                    waiting.append(call)
            case "answer":
                waiting.rotate(data.draw(st.integers(0, len(waiting))))
                call = waiting.popleft()
                call.answer(call.message)
            case _:
                stream.hear()
    assert stream.answers == [b"%d" % number for number in range(count)]
    assert stream.ended == 0


def test_no_more_is_read_than_the_window(
    converse: Callable[[ScriptedStream], Conversation],
) -> None:
    """While nothing is answered WINDOW messages are read; one more for each answer heard."""
    stream = ScriptedStream()
    converse(stream)
    calls = [ask(stream) for _ in range(WINDOW)]
    assert not stream.reads
    calls[1].answer(b"1")
    assert not stream.reads
    calls[0].answer(b"0")
    assert not stream.reads
    stream.hear()
    assert stream.reads


def test_a_call_carries_what_the_stream_has(
    converse: Callable[[ScriptedStream], Conversation],
) -> None:
    """Metadata and deadline of the stream are those of its messages."""
    stream = ScriptedStream(deadline_s=5.0)
    converse(stream)
    call = ask(stream, b"pixels")
    assert (call.method, call.message, call.in_stream) == (METHOD, b"pixels", True)
    assert (call.metadata, call.deadline_s) == (stream.metadata, 5.0)


def test_the_first_refusal_ends_it_after_the_answers_before(
    converse: Callable[[ScriptedStream], Conversation],
    ends: list[Conversation],
    sample: Callable[..., float | None],
) -> None:
    """Of good, bad, good: one answer, then the status; the last is marked as not wanted."""
    stream = ScriptedStream()
    conversation = converse(stream)
    first, bad, behind = ask(stream), ask(stream), ask(stream)
    first.answerer = bad.answerer = ("mnist", "1")
    bad.refuse(INTERNAL, "no", ())
    assert behind.cancelled
    behind.refuse(CANCELLED, "not wanted", ())  # as the lane does with what is marked so
    assert stream.ended is None
    assert stream.reads
    assert stream.say(b"late") is None  # it had been asked for
    first.answer(b"1")
    stream.hear()
    assert stream.answers == [b"1"]
    assert stream.ended == INTERNAL
    behind.answer(b"3")
    assert ends == [conversation]
    labels = {"method": METHOD, "model": "mnist", "version": "1", "code": "INTERNAL"}
    assert sample("flatdense_requests_total", labels) == 1
    assert sample("flatdense_inflight_requests") == 0


def test_a_caller_that_leaves_is_computed_for_no_more(
    converse: Callable[[ScriptedStream], Conversation],
    ends: list[Conversation],
    sample: Callable[..., float | None],
) -> None:
    """What waits is marked, nothing is sent any more, and CANCELLED is counted once."""
    stream = ScriptedStream()
    conversation = converse(stream)
    first, second = ask(stream), ask(stream)
    first.answer(b"1")
    stream.gone()
    assert second.cancelled
    second.answer(b"2")
    stream.hear()
    assert stream.answers == [b"1"]
    assert stream.ended is None
    assert stream.say(None) is None
    stream.gone()
    assert ends == [conversation]
    labels = {"method": METHOD, "model": "mnist", "version": "1", "code": "CANCELLED"}
    labels |= {"model": "", "version": ""}
    assert sample("flatdense_requests_total", labels) == 1


def test_a_deadline_that_passes_is_counted_as_such(
    converse: Callable[[ScriptedStream], Conversation], sample: Callable[..., float | None]
) -> None:
    """GRPC ends the call; it is DEADLINE_EXCEEDED, not CANCELLED."""
    stream = ScriptedStream(deadline_s=0.0)
    converse(stream)
    stream.gone()
    labels = {"method": METHOD, "model": "", "version": "", "code": "DEADLINE_EXCEEDED"}
    assert sample("flatdense_requests_total", labels) == 1


def test_it_is_told_to_end_once_and_answers_what_was_read(
    converse: Callable[[ScriptedStream], Conversation], sample: Callable[..., float | None]
) -> None:
    """After refuse() nothing is read; the answers come, then the status; a second time is none."""
    stream = ScriptedStream()
    conversation = converse(stream)
    call = ask(stream)
    conversation.refuse(Draining("stopping"))
    conversation.refuse(Draining("stopping"))
    assert stream.say(b"late") is None
    assert not stream.reads
    call.answer(b"1")
    stream.hear()
    assert stream.answers == [b"1"]
    assert stream.ended == UNAVAILABLE
    assert sample("flatdense_rejected_total", {"reason": "draining"}) == 1


def test_one_that_was_half_closed_is_not_told_to_end(
    converse: Callable[[ScriptedStream], Conversation],
) -> None:
    """It ends by itself, with OK."""
    stream = ScriptedStream()
    conversation = converse(stream)
    call = ask(stream)
    assert stream.say(None) is None
    conversation.refuse(Draining("stopping"))
    call.answer(b"1")
    stream.hear()
    assert stream.ended == 0

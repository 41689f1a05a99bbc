"""Many small calls of threads as few messages, without a server."""

import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import (
    Closed,
    DeadlineExceeded,
    InvalidInput,
    NotFound,
    Overloaded,
    ServerError,
    Unavailable,
)
from flatdense_client._calls.session import Session
from flatdense_client._calls.thread_coalesce import ThreadCoalescer, _Reply
from flatdense_client._channel.channel import Connector
from flatdense_client._core.classify import Answer
from flatdense_client._images.pixels import check_array
from flatdense_proto.v1 import classifier_pb2 as pb
from hypothesis import given, settings
from hypothesis import strategies as st

Judge = Callable[[npt.NDArray[np.float32]], None]
Marks = list[tuple[int, int]]


def _marked(mark: int, rows: int = 1, dtype: str = "uint8") -> npt.NDArray[np.generic]:
    """Rows that can be told from all others by what they are answered."""
    pixels = np.zeros((rows, 784), np.uint8)
    pixels[:, 0] = mark
    pixels[:, 1] = np.arange(rows)
    return pixels if dtype == "uint8" else (pixels / 255).astype(dtype)


def _marks(answer: Answer) -> Marks:
    """Which rows an answer is the answer to."""
    pairs = (answer.read_probabilities()[:, :2] * 255).round().astype(int)
    return [(int(mark), int(row)) for mark, row in pairs]


class Server:
    """Answers messages with their own pixels, on the thread that sends them and when told so."""

    def __init__(self, judge: Judge = lambda _rows: None, *, is_held: bool = False) -> None:
        self.session = Session(
            Connector("server:8500"),
            model=pb.ModelSelector(),
            timeout_s=10,
            rows_per_message=8,
            messages_in_flight=2,
        )
        self.coalescer = ThreadCoalescer(self.session, self._answer)
        self.marks: list[set[int]] = []
        """Of each message, in the order of arrival."""
        self.rows: list[int] = []
        self.threads: list[int] = []
        self.timeouts_s: list[float | None] = []
        self.most_in_flight = 0
        self.go = threading.Event()
        self._judge = judge
        self._changed = threading.Condition()
        self._in_flight = 0
        if not is_held:
            self.go.set()

    def ask(self, images: npt.NDArray[np.generic], timeout_s: float = 30) -> Marks:
        """One caller; gives the rows that it was answered."""
        deadline = self.session.deadline(timeout_s)
        return _marks(self.coalescer.ask(check_array(images), deadline))

    def wait_for(self, messages: int) -> None:
        """Waits until so many messages came in all."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.rows) >= messages, 30)

    def wait_for_waiting(self, calls: int) -> None:
        """Waits until so many calls wait to be sent."""
        lanes = self.coalescer._lanes
        for _ in range(30_000):
            with self.coalescer._lock:
                if sum(map(len, lanes._lanes.values())) == calls:
                    return
            threading.Event().wait(0.001)
        pytest.fail(f"there are no {calls} calls that wait")

    def _answer(
        self, request: pb.ClassifyRequest, timeout_s: float | None
    ) -> tuple[pb.ClassifyResponse, None]:
        if request.data_type == pb.DATA_TYPE_UINT8:
            pixels = np.frombuffer(request.images, np.uint8).astype("<f4") / np.float32(255)
        else:
            pixels = np.frombuffer(request.images, "<f4")
        pixels = pixels.reshape(-1, 784)
        with self._changed:
            self.marks.append(set((pixels[:, 0] * 255).round().astype(int).tolist()))
            self.rows.append(len(pixels))
            self.threads.append(threading.get_ident())
            self.timeouts_s.append(timeout_s)
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
            self._changed.notify_all()
        try:
            assert self.go.wait(60)
            self._judge(pixels)
        finally:
            with self._changed:
                self._in_flight -= 1
        response = pb.ClassifyResponse(
            probabilities=pixels[:, :2].astype("<f4").tobytes(),
            classes=[0] * len(pixels),
            model_version=1,
        )
        return response, None


class Refusal(grpc.RpcError, grpc.Call):
    """A status as a blocking call raises it."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = lambda: code
        self.details = lambda: text
        self.trailing_metadata = lambda: ()

    def __getattr__(self, name: str) -> object:
        raise AttributeError(name)

    add_callback = cancel = initial_metadata = is_active = time_remaining = None


@contextmanager
def _blocked(server: Server, pool: ThreadPoolExecutor) -> Iterator[list[Future[Marks]]]:
    """Both places are taken by callers 250 and 251, until the block is left."""
    blockers = []
    for number in range(2):
        blockers.append(pool.submit(server.ask, _marked(250 + number)))
        server.wait_for(number + 1)
    try:
        yield blockers
    finally:
        server.go.set()
    for number, blocker in enumerate(blockers):
        assert blocker.result(30) == [(250 + number, 0)]


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads for callers; none is left in the end."""
    with ThreadPoolExecutor(24) as pool:
        yield pool


def test_a_lone_call_is_sent_by_its_own_thread() -> None:
    """A call without company is sent at once, and no other thread takes part."""
    server = Server()
    assert server.ask(_marked(1), math.inf) == [(1, 0)]
    assert server.threads == [threading.get_ident()]
    assert server.timeouts_s == [None]


def test_calls_gather_while_messages_travel(pool: ThreadPoolExecutor) -> None:
    """While all places are taken calls wait, and travel together as soon as one is free."""
    server = Server(is_held=True)
    with _blocked(server, pool):
        calls = [pool.submit(server.ask, _marked(mark)) for mark in range(5)]
        server.wait_for_waiting(5)
        assert server.rows == [1, 1]
    assert [call.result(30) for call in calls] == [[(mark, 0)] for mark in range(5)]
    assert server.rows == [1, 1, 5]
    assert server.most_in_flight == 2


@settings(max_examples=30, deadline=None)
@given(
    calls=st.lists(
        st.tuples(st.integers(1, 8), st.sampled_from(["uint8", "float32", "float64"])),
        min_size=1,
        max_size=40,
    )
)
def test_everybody_gets_the_answers_to_their_own_rows(calls: list[tuple[int, str]]) -> None:
    """In any mix of sizes and types, each thread gets its own rows, in order."""
    server = Server()
    with ThreadPoolExecutor(len(calls)) as pool:
        answers = [
            pool.submit(server.ask, _marked(mark, rows, dtype))
            for mark, (rows, dtype) in enumerate(calls)
        ]
        for mark, (rows, _) in enumerate(calls):
            assert answers[mark].result(30) == [(mark, row) for row in range(rows)]
    assert max(server.rows) <= 8
    assert server.most_in_flight <= 2
    assert sum(server.rows) == sum(rows for rows, _ in calls)


def test_rows_of_those_who_left_are_not_sent(pool: ThreadPoolExecutor) -> None:
    """Who is out of time before the message is written is not in it."""
    server = Server(is_held=True)
    with _blocked(server, pool):
        stays = pool.submit(server.ask, _marked(2))
        server.wait_for_waiting(1)
        with pytest.raises(DeadlineExceeded, match=r"within 0\.01 s"):
            server.ask(_marked(3), 0.01)
    assert stays.result(30) == [(2, 0)]
    assert server.marks == [{250}, {251}, {2}]


def test_who_runs_out_of_time_leaves_the_others_alone(pool: ThreadPoolExecutor) -> None:
    """A deadline while the message travels is its caller's alone; the one with most time sends."""
    server = Server(is_held=True)
    freed = threading.Event()

    def _free_one(pixels: npt.NDArray[np.float32]) -> None:
        if round(float(pixels[0, 0]) * 255) == 250:
            return
        assert freed.wait(60)

    server._judge = _free_one
    blockers = []
    for number in range(2):
        blockers.append(pool.submit(server.ask, _marked(250 + number)))
        server.wait_for(number + 1)
    late = pool.submit(server.ask, _marked(1), 0.5)
    stays = pool.submit(server.ask, _marked(2), 60)
    server.wait_for_waiting(2)
    server.go.set()
    server.wait_for(3)
    with pytest.raises(DeadlineExceeded, match=r"within 0\.5 s"):
        late.result(30)
    freed.set()
    assert stays.result(30) == [(2, 0)]
    assert server.marks[2] == {1, 2}
    assert 30 < (server.timeouts_s[2] or 0) <= 60
    assert [len(blocker.result(30)) for blocker in blockers] == [1, 1]


def test_a_carrier_that_is_interrupted_leaves_its_message_to_the_others(
    pool: ThreadPoolExecutor,
) -> None:
    """Where the thread that sends for all is interrupted, another one sends for the rest."""

    class Interrupt(BaseException):
        """As Ctrl-C raises it."""

    interrupts = iter([Interrupt()])

    def judge(pixels: npt.NDArray[np.float32]) -> None:
        if len(pixels) == 3:
            for interrupt in interrupts:
                raise interrupt

    server = Server(judge, is_held=True)
    with _blocked(server, pool):
        calls = [pool.submit(server.ask, _marked(mark)) for mark in range(3)]
        server.wait_for_waiting(3)
    outcomes = [call.exception(30) or call.result() for call in calls]
    assert sum(isinstance(outcome, Interrupt) for outcome in outcomes) == 1
    for mark, outcome in enumerate(outcomes):
        assert isinstance(outcome, Interrupt) or outcome == [(mark, 0)]
    assert server.rows == [1, 1, 3, 2]
    assert server.ask(_marked(9)) == [(9, 0)]
    assert server.coalescer._travelling == {}


def test_one_whose_time_ends_before_it_sends_lets_another_send(pool: ThreadPoolExecutor) -> None:
    """A caller that is named to send, and is gone by then, leaves the message to the others."""
    server = Server(is_held=True)
    coalescer = server.coalescer
    with _blocked(server, pool):
        waits = pool.submit(server.ask, _marked(1), 60)
        server.wait_for_waiting(1)
        with coalescer._lock:  # as its thread does, before it is interrupted
            deadline = server.session.deadline(math.inf)
            gone = coalescer._lanes.add(check_array(_marked(2)), deadline, _Reply())
        server.go.set()
        server.wait_for(2)
        while gone not in coalescer._travelling:
            threading.Event().wait(0.001)
        assert not waits.done()
        coalescer._leave(gone)
        assert waits.result(30) == [(1, 0)]
    assert server.marks == [{250}, {251}, {1}]
    assert coalescer._travelling == {}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Overloaded),
        (grpc.StatusCode.UNAVAILABLE, Unavailable),
        (grpc.StatusCode.NOT_FOUND, NotFound),
        (grpc.StatusCode.INTERNAL, ServerError),
        (grpc.StatusCode.CANCELLED, Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded),
    ],
)
def test_a_failure_is_raised_to_each(
    pool: ThreadPoolExecutor, code: grpc.StatusCode, kind: type[Exception]
) -> None:
    """Each caller of a failed message gets an error of its own."""

    def judge(pixels: npt.NDArray[np.float32]) -> None:
        if pixels[0, 0] * 255 < 200:
            raise Refusal(code, "of no use")

    server = Server(judge, is_held=True)
    with _blocked(server, pool):
        calls = [pool.submit(server.ask, _marked(mark)) for mark in range(5)]
        server.wait_for_waiting(5)
    errors = [call.exception(30) for call in calls]
    assert [type(error) for error in errors] == [kind] * 5
    assert len(set(map(id, errors))) == 5
    assert server.rows == [1, 1, 5]


@settings(max_examples=30, deadline=None)
@given(
    guilty=st.sets(st.integers(0, 11)), sizes=st.lists(st.integers(1, 3), min_size=12, max_size=12)
)
def test_only_the_guilty_fail(guilty: set[int], sizes: list[int]) -> None:
    """Where a message is refused as invalid, each caller is judged by its own rows alone."""

    def judge(rows: npt.NDArray[np.float32]) -> None:
        if guilty & set((rows[:, 0] * 255).round().astype(int).tolist()):
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "a row that I do not take")

    server = Server(judge, is_held=True)
    with ThreadPoolExecutor(14) as pool:
        with _blocked(server, pool):
            calls = [
                pool.submit(server.ask, _marked(mark, rows)) for mark, rows in enumerate(sizes)
            ]
            server.wait_for_waiting(12)
        for mark, call in enumerate(calls):
            if mark in guilty:
                assert isinstance(call.exception(30), InvalidInput)
            else:
                assert call.result(30) == [(mark, row) for row in range(sizes[mark])]
    assert server.most_in_flight <= 2


def test_closing_ends_those_who_wait(pool: ThreadPoolExecutor) -> None:
    """Everybody who waits raises Closed, with an error of its own."""
    server = Server(is_held=True)
    with _blocked(server, pool):
        calls = [pool.submit(server.ask, _marked(mark, 5)) for mark in range(5)]
        server.wait_for_waiting(5)
        server.session.is_closed = True
        server.coalescer.close()
        errors = [call.exception(30) for call in calls]
        assert [type(error) for error in errors] == [Closed] * 5
        assert len(set(map(id, errors))) == 5

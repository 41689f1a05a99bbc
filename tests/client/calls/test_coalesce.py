"""Many small calls as few messages, without a server."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

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
from flatdense_client._calls.coalesce import Coalescer
from flatdense_client._calls.session import Session
from flatdense_client._channel.channel import Connector
from flatdense_client._core.classify import Answer
from flatdense_client._core.deadline import Deadline
from flatdense_client._images.inputs import check_images
from flatdense_client._images.pixels import Rows
from flatdense_proto.v1 import classifier_pb2 as pb
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

Judge = Callable[[npt.NDArray[np.float32]], None]


def _marked(mark: int, rows: int = 1, dtype: str = "uint8") -> npt.NDArray[np.generic]:
    """Rows that can be told from all others by what they are answered."""
    pixels = np.zeros((rows, 784), np.uint8)
    pixels[:, 0] = mark
    pixels[:, 1] = np.arange(rows)
    return pixels if dtype == "uint8" else (pixels / 255).astype(dtype)


def _marks(answer: Answer) -> list[tuple[int, int]]:
    """Which rows an answer is the answer to."""
    pairs = (answer.read_probabilities()[:, :2] * 255).round().astype(int)
    return [(int(mark), int(row)) for mark, row in pairs]


async def ask(coalescer: Coalescer, rows: Rows, deadline: Deadline) -> Answer:
    """One call, as the client makes it."""
    ticket = coalescer.add(rows, deadline)
    try:
        return await ticket.reply
    except BaseException:
        coalescer.leave(ticket)
        raise


class Server:
    """Answers messages with their own pixels, one by one and when told so."""

    def __init__(self, judge: Judge = lambda _rows: None, *, is_held: bool = False) -> None:
        self.session = Session(
            Connector("server:8500"),
            model=pb.ModelSelector(),
            timeout_s=10,
            rows_per_message=8,
            messages_in_flight=2,
        )
        self.coalescer = Coalescer(self.session, self._answer)
        self.rows: list[int] = []
        """Of each message, in the order of arrival."""
        self.marks: list[set[int]] = []
        self.timeouts_s: list[float | None] = []
        self.most_in_flight = 0
        self.cancelled = 0
        self.came = asyncio.Condition()
        self.go = asyncio.Event()
        self._judge = judge
        self._in_flight = 0
        if not is_held:
            self.go.set()

    async def ask(
        self, images: npt.NDArray[np.generic], timeout_s: float = math.inf
    ) -> list[tuple[int, int]]:
        """One caller; gives the rows that it was answered."""
        deadline = self.session.deadline(timeout_s)
        return _marks(await ask(self.coalescer, check_images(images), deadline))

    async def wait_for(self, messages: int) -> None:
        """Waits until so many messages came in all."""
        async with self.came:
            await self.came.wait_for(lambda: len(self.rows) >= messages)

    async def _answer(
        self, request: pb.ClassifyRequest, timeout_s: float | None
    ) -> tuple[pb.ClassifyResponse, None]:
        if request.data_type == pb.DATA_TYPE_UINT8:
            pixels = np.frombuffer(request.images, np.uint8).astype("<f4") / np.float32(255)
        else:
            pixels = np.frombuffer(request.images, "<f4")
        pixels = pixels.reshape(-1, 784)
        self.rows.append(len(pixels))
        self.marks.append(set((pixels[:, 0] * 255).round().astype(int).tolist()))
        self.timeouts_s.append(timeout_s)
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            async with self.came:
                self.came.notify_all()
            await self.go.wait()
            self._judge(pixels)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self._in_flight -= 1
        response = pb.ClassifyResponse(
            probabilities=pixels[:, :2].astype("<f4").tobytes(),
            classes=[0] * len(pixels),
            model_version=1,
        )
        return response, None


def _refusal(
    code: grpc.StatusCode, text: str, retry_after_ms: int | None = None
) -> grpc.aio.AioRpcError:
    status = status_pb2.Status(code=code.value[0], message=text)
    if retry_after_ms is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(retry_after_ms)
        status.details.add().Pack(retry)
    trailers = grpc.aio.Metadata(("grpc-status-details-bin", status.SerializeToString()))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers, details=text)


def _run(law: Callable[[], Awaitable[None]]) -> None:
    """Runs a law on an event loop, and checks that it leaves no task behind."""

    async def checked() -> None:
        await asyncio.wait_for(law(), 30)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(checked())


@asynccontextmanager
async def _blocked(server: Server) -> AsyncIterator[list[asyncio.Task[list[tuple[int, int]]]]]:
    """Both places are taken by callers 250 and 251, until the block is left."""
    blockers = []
    for number in range(2):
        blockers.append(asyncio.create_task(server.ask(_marked(250 + number))))
        await server.wait_for(number + 1)
    yield blockers
    server.go.set()
    await asyncio.gather(*blockers)


def test_calls_of_one_turn_travel_together() -> None:
    """Calls that come in one turn of the loop make as few messages as their rows need."""

    async def _law() -> None:
        server = Server()
        answers = await asyncio.gather(*(server.ask(_marked(mark)) for mark in range(16)))
        assert answers == [[(mark, 0)] for mark in range(16)]
        assert server.rows == [8, 8]

    _run(_law)


def test_a_lone_call_is_sent_at_once() -> None:
    """A call without company is sent within the turns of the loop that follow it, by no timer."""

    async def _law() -> None:
        server = Server(is_held=True)
        call = asyncio.create_task(server.ask(_marked(1)))
        for _ in range(4):
            await asyncio.sleep(0)
        assert server.rows == [1]
        server.go.set()
        assert await call == [(1, 0)]

    _run(_law)


def test_calls_gather_while_messages_travel() -> None:
    """While all places are taken calls wait, and travel together as soon as one is free."""

    async def _law() -> None:
        server = Server(is_held=True)
        calls: list[asyncio.Task[list[tuple[int, int]]]] = []
        async with _blocked(server):
            for mark in range(5):
                calls.append(asyncio.create_task(server.ask(_marked(mark))))
                await asyncio.sleep(0)
            assert server.rows == [1, 1]
        assert [await call for call in calls] == [[(mark, 0)] for mark in range(5)]
        assert server.rows == [1, 1, 5]
        assert server.most_in_flight == 2

    _run(_law)


calls_of_a_mix = st.lists(
    st.tuples(
        st.integers(1, 8),
        st.sampled_from(["uint8", "float32", "float64"]),
        st.integers(0, 3),  # after so many turns it comes
        st.none() | st.integers(0, 6),  # after so many turns it is cancelled
    ),
    max_size=40,
)


async def _after(turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


@given(mix=calls_of_a_mix)
def test_everybody_gets_the_answers_to_their_own_rows(
    mix: list[tuple[int, str, int, int | None]],
) -> None:
    """In any mix of sizes, types and cancellations, each caller gets its own rows, in order."""

    async def _caller(server: Server, mark: int) -> None:
        rows, dtype, turns, cancelled = mix[mark]
        await _after(turns)
        call = asyncio.create_task(server.ask(_marked(mark, rows, dtype)))
        if cancelled is not None:
            await _after(cancelled)
            call.cancel()
        await asyncio.wait({call})
        if cancelled is None or not call.cancelled():
            assert call.result() == [(mark, row) for row in range(rows)]

    async def _law() -> None:
        server = Server()
        await asyncio.gather(*(_caller(server, mark) for mark in range(len(mix))))
        assert max(server.rows, default=0) <= 8
        assert server.most_in_flight <= 2
        await _after(5)  # a message that everybody left ends

    _run(_law)


def test_rows_of_those_who_left_are_not_sent() -> None:
    """Who is cancelled, or out of time, before the message is written is not in it."""

    async def _law() -> None:
        server = Server(is_held=True)
        async with _blocked(server):
            leaves, stays = (asyncio.create_task(server.ask(_marked(mark))) for mark in (1, 2))
            with pytest.raises(DeadlineExceeded):
                await server.ask(_marked(3), 0.01)
            leaves.cancel()
        assert await stays == [(2, 0)]
        assert leaves.cancelled()
        assert server.marks == [{250}, {251}, {2}]

    _run(_law)


@settings(max_examples=10, deadline=None)
@given(timeouts_ms=st.lists(st.integers(1, 60), min_size=1, max_size=20))
def test_nobody_waits_for_another_ones_deadline(timeouts_ms: list[int]) -> None:
    """Each call ends by its own deadline and never before, whether it waits or travels."""

    async def _law() -> None:
        server = Server(is_held=True)

        async def _caller(number: int, timeout_ms: int) -> None:
            deadline = server.session.deadline(timeout_ms / 1000)
            with pytest.raises(DeadlineExceeded, match=f"within {timeout_ms / 1000:g} s"):
                await ask(server.coalescer, check_images(_marked(number)), deadline)
            assert time.monotonic() >= deadline.at_s

        await asyncio.gather(*map(_caller, range(len(timeouts_ms)), timeouts_ms))

    _run(_law)


def test_who_leaves_a_message_leaves_the_others_alone() -> None:
    """One who is cancelled or out of time while the message travels costs the others nothing."""

    async def _law() -> None:
        server = Server(is_held=True)
        stays, leaves, late = (
            asyncio.create_task(server.ask(_marked(mark), timeout_s))
            for mark, timeout_s in ((1, math.inf), (2, math.inf), (3, 0.05))
        )
        await server.wait_for(1)
        leaves.cancel()
        with pytest.raises(DeadlineExceeded, match=r"within 0\.05 s"):
            await late
        server.go.set()
        assert await stays == [(1, 0)]
        assert leaves.cancelled()
        assert server.marks == [{1, 2, 3}]

    _run(_law)


@pytest.mark.parametrize("is_late", [False, True])
def test_a_message_that_everybody_left_is_cancelled(is_late: bool) -> None:
    """With its last caller the message goes, and its place is free."""

    async def _law() -> None:
        server = Server(is_held=True)
        timeout_s = 0.05 if is_late else math.inf
        calls = [asyncio.create_task(server.ask(_marked(mark), timeout_s)) for mark in range(3)]
        await server.wait_for(1)
        if not is_late:
            for call in calls:
                call.cancel()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        kind = DeadlineExceeded if is_late else asyncio.CancelledError
        assert [type(outcome) for outcome in outcomes] == [kind] * 3
        server.go.set()
        assert await server.ask(_marked(9)) == [(9, 0)]
        assert server.cancelled == 1

    _run(_law)


@pytest.mark.parametrize(
    ("timeouts_s", "least_s", "most_s"), [((5, 60, 20), 50, 60), ((5, math.inf, 20), None, None)]
)
def test_a_message_has_the_longest_time_of_its_callers(
    timeouts_s: tuple[float, ...], least_s: float | None, most_s: float | None
) -> None:
    """The message's deadline is the latest of its callers', and none where one has none."""

    async def _law() -> None:
        server = Server()
        await asyncio.gather(*(server.ask(_marked(1), timeout_s) for timeout_s in timeouts_s))
        (timeout_s,) = server.timeouts_s
        if timeout_s is None or least_s is None or most_s is None:
            assert timeout_s is least_s is most_s
        else:
            assert least_s < timeout_s <= most_s

    _run(_law)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Overloaded),
        (grpc.StatusCode.UNAVAILABLE, Unavailable),
        (grpc.StatusCode.NOT_FOUND, NotFound),
        (grpc.StatusCode.INTERNAL, ServerError),
        (grpc.StatusCode.CANCELLED, Unavailable),
    ],
)
def test_a_failure_is_raised_to_each(code: grpc.StatusCode, kind: type[Exception]) -> None:
    """Each caller of a failed message gets an error of its own, with everything that it says."""

    def fail(_rows: npt.NDArray[np.float32]) -> None:
        raise _refusal(code, "of no use", 50)

    async def _law() -> None:
        server = Server(fail)
        calls = (server.ask(_marked(mark)) for mark in range(5))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [kind] * 5
        assert len(set(map(id, outcomes))) == 5
        for outcome in outcomes:
            if isinstance(outcome, Overloaded):
                assert outcome.retry_after_s == 0.05
        assert server.rows == [5]

    _run(_law)


@given(
    guilty=st.sets(st.integers(0, 19)), sizes=st.lists(st.integers(1, 3), min_size=20, max_size=20)
)
def test_only_the_guilty_fail(guilty: set[int], sizes: list[int]) -> None:
    """Where a message is refused as invalid, each caller is judged by its own rows alone."""

    def judge(rows: npt.NDArray[np.float32]) -> None:
        if guilty & set((rows[:, 0] * 255).round().astype(int).tolist()):
            raise _refusal(grpc.StatusCode.INVALID_ARGUMENT, "a row that I do not take")

    async def _law() -> None:
        server = Server(judge)
        calls = (server.ask(_marked(mark, rows)) for mark, rows in enumerate(sizes))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        for mark, outcome in enumerate(outcomes):
            if mark in guilty:
                assert isinstance(outcome, InvalidInput)
            else:
                assert outcome == [(mark, row) for row in range(sizes[mark])]
        assert server.most_in_flight <= 2

    _run(_law)


def test_an_answer_that_does_not_fit_is_an_error_of_each() -> None:
    """Callers of a message with a garbled answer each get a ServerError of their own."""

    async def _garbled(
        _request: pb.ClassifyRequest, _: float | None
    ) -> tuple[pb.ClassifyResponse, None]:
        return pb.ClassifyResponse(probabilities=b"seven", classes=[7]), None

    async def _law() -> None:
        session = Server().session
        coalescer = Coalescer(session, _garbled)
        rows, deadline = check_images(_marked(1)), session.deadline(None)
        calls = (ask(coalescer, rows, deadline) for _ in range(3))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ServerError] * 3
        assert len(set(map(id, outcomes))) == 3

    _run(_law)


def test_closing_ends_those_who_wait_and_those_who_travel() -> None:
    """Everybody under way raises Closed, wherever the rows are, and the messages are cancelled."""

    async def _law() -> None:
        server = Server(is_held=True)
        calls = [asyncio.create_task(server.ask(_marked(mark, 5))) for mark in range(5)]
        await server.wait_for(2)
        server.session.is_closed = True
        await asyncio.wait(server.coalescer.close())
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Closed] * 5
        assert len(set(map(id, outcomes))) == 5
        assert server.cancelled == 2

    _run(_law)

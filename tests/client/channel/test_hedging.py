"""Messages that are slow to be answered are sent a second time, and no more than that."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from flatdense_client import (
    AsyncClient,
    Client,
    Closed,
    DeadlineExceeded,
    Hedging,
    Overloaded,
    ServerError,
    Unavailable,
)
from flatdense_client._channel.hedging import Budget
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierServicer
from hypothesis import given
from hypothesis import strategies as st

Serve = Callable[[ClassifierServicer], str]
Act = Callable[["Copy", grpc.ServicerContext], None]

IMAGE = np.zeros((28, 28), np.uint8)

SOON = Hedging(after_s=0.05)
NEVER = Hedging(after_s=600)

BOTH = pytest.mark.parametrize("is_async", [False, True], ids=["threads", "asyncio"])


class Copy:
    """One message that has come to the server."""

    def __init__(self) -> None:
        self.came = threading.Event()
        self.release = threading.Event()
        self.cancelled = threading.Event()
        self.remaining_s = 0.0

    def end(self) -> None:
        """The call is over, however."""
        if not self.release.is_set():
            self.cancelled.set()
            self.release.set()


def hold(copy: Copy, context: grpc.ServicerContext) -> None:
    """Answers when it is released."""
    context.add_callback(copy.end)
    copy.came.set()
    copy.release.wait(60)


def answer(copy: Copy, context: grpc.ServicerContext) -> None:
    """Answers at once."""
    del context
    copy.came.set()


def fail(code: grpc.StatusCode) -> Act:
    """Answers at once with an error."""

    def act(copy: Copy, context: grpc.ServicerContext) -> None:
        copy.came.set()
        context.abort(code, "so be it")

    return act


class Server(ClassifierServicer):
    """Does with the messages, in the order of arrival, what the test says; with the rest the last.

    The version that answers is the number of the message, from 1.
    """

    def __init__(self, *acts: Act) -> None:
        self._acts = acts
        self._lock = threading.Lock()
        self.copies = [Copy() for _ in range(1000)]
        self.count = 0
        self._seen: set[bytes] = set()

    def Classify(  # noqa: N802  # gRPC's name
        self, request: pb.ClassifyRequest, context: grpc.ServicerContext
    ) -> pb.ClassifyResponse:
        """One row."""
        del request
        with self._lock:
            number = self.count
            self.count += 1
        self.copies[number].remaining_s = context.time_remaining()
        self._acts[min(number, len(self._acts) - 1)](self.copies[number], context)
        return _seven(number + 1)

    def ClassifyStream(  # noqa: N802  # gRPC's name
        self, request_iterator: Iterator[pb.ClassifyRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ClassifyResponse]:
        """The same over one call."""
        for request in request_iterator:
            yield self.Classify(request, context)

    def GetModel(  # noqa: N802  # gRPC's name
        self, request: pb.GetModelRequest, context: grpc.ServicerContext
    ) -> pb.GetModelResponse:
        """Of no interest."""
        del context
        return pb.GetModelResponse(version=request.model.version)


class OncePerImage(Server):
    """Holds the first copy of each image and answers the second."""

    def Classify(  # noqa: N802  # gRPC's name
        self, request: pb.ClassifyRequest, context: grpc.ServicerContext
    ) -> pb.ClassifyResponse:
        """One row."""
        with self._lock:
            is_new = request.images not in self._seen
            self._seen.add(request.images)
        if is_new:
            return super().Classify(request, context)
        return _seven(0)


def _seven(version: int) -> pb.ClassifyResponse:
    probabilities = np.eye(10, dtype="<f4")[7].tobytes()
    return pb.ClassifyResponse(probabilities=probabilities, classes=[7], model_version=version)


def _versions(
    address: str, hedging: Hedging, *, is_async: bool, calls: int = 1, timeout_s: float = 60
) -> list[int | None]:
    """Which message was answered, of so many calls one after the other."""
    if not is_async:
        with Client(address, hedging=hedging, timeout_s=timeout_s) as client:
            return [client.classify(IMAGE).model_version for _ in range(calls)]

    async def _call() -> list[int | None]:
        async with AsyncClient(address, hedging=hedging, timeout_s=timeout_s) as client:
            versions = [(await client.classify(IMAGE)).model_version for _ in range(calls)]
        # gRPC's own tasks learn a moment later that their calls were cancelled.
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            _, left = await asyncio.wait(others, timeout=30)
            assert not left
        return versions

    return asyncio.run(_call())


@BOTH
def test_a_slow_message_is_sent_again(serve: Serve, is_async: bool) -> None:
    """The second copy's answer counts, and the first copy is cancelled at once."""
    server = Server(hold, answer)
    address = serve(server)
    if is_async:

        async def _law() -> None:
            async with AsyncClient(address, hedging=SOON, timeout_s=600) as client:
                assert (await client.classify(IMAGE)).model_version == 2
                assert await asyncio.to_thread(server.copies[0].cancelled.wait, 30)

        asyncio.run(_law())
    else:
        with Client(address, hedging=SOON, timeout_s=600) as client:
            assert client.classify(IMAGE).model_version == 2
            assert server.copies[0].cancelled.wait(30)
    assert server.count == 2


@BOTH
def test_the_first_answer_counts_whoever_it_is_of(serve: Serve, is_async: bool) -> None:
    """Where the first copy is answered after all the second is cancelled."""
    server = Server(hold)
    with ThreadPoolExecutor(1) as pool:
        versions = pool.submit(_versions, serve(server), SOON, is_async=is_async)
        assert server.copies[1].came.wait(30)
        server.copies[0].release.set()
        assert versions.result(30) == [1]
    assert server.copies[1].cancelled.wait(30)


@BOTH
def test_what_is_answered_in_time_is_sent_once(serve: Serve, is_async: bool) -> None:
    """Nobody is hedged without need."""
    server = Server(answer)
    assert _versions(serve(server), NEVER, is_async=is_async, calls=20) == list(range(1, 21))
    assert server.count == 20


@BOTH
def test_each_message_of_a_big_call_is_hedged(serve: Serve, is_async: bool) -> None:
    """A replica that hangs delays no part of an array for long."""
    server = OncePerImage(hold)
    address, images = serve(server), np.array([[1] * 784, [2] * 784], np.uint8)
    hedging = Hedging(after_s=0.05, max_share=1)
    if is_async:

        async def _law() -> None:
            async with AsyncClient(address, hedging=hedging, rows_per_message=1) as client:
                assert len(await client.classify(images)) == 2

        asyncio.run(_law())
    else:
        with Client(address, hedging=hedging, rows_per_message=1) as client:
            assert len(client.classify(images)) == 2
    assert server.count == 2
    assert all(copy.cancelled.wait(30) for copy in server.copies[:2])


@BOTH
def test_an_error_is_an_answer(serve: Serve, is_async: bool) -> None:
    """What another server would say as well ends the call, and cancels the other copy."""
    server = Server(hold, fail(grpc.StatusCode.INTERNAL))
    with pytest.raises(ServerError, match="so be it"):
        _versions(serve(server), SOON, is_async=is_async)
    assert server.copies[0].cancelled.wait(30)


@BOTH
def test_an_overloaded_server_leaves_it_to_the_other(serve: Serve, is_async: bool) -> None:
    """RESOURCE_EXHAUSTED of one copy does not end the call while another may be answered."""
    server = Server(hold, fail(grpc.StatusCode.RESOURCE_EXHAUSTED))
    with ThreadPoolExecutor(1) as pool:
        versions = pool.submit(_versions, serve(server), SOON, is_async=is_async)
        assert server.copies[1].came.wait(30)
        server.copies[0].release.set()
        assert versions.result(30) == [1]


@BOTH
def test_an_error_in_time_is_not_hedged(serve: Serve, is_async: bool) -> None:
    """A server that refuses is not asked twice: hedging is against silence alone."""
    server = Server(fail(grpc.StatusCode.RESOURCE_EXHAUSTED))
    with pytest.raises(Overloaded):
        _versions(serve(server), NEVER, is_async=is_async)
    assert server.count == 1


@BOTH
def test_both_copies_may_be_refused(serve: Serve, is_async: bool) -> None:
    """Where no copy is answered the last refusal is the call's."""

    def hold_and_fail(copy: Copy, context: grpc.ServicerContext) -> None:
        hold(copy, context)
        context.abort(grpc.StatusCode.UNAVAILABLE, "the last")

    refuse = fail(grpc.StatusCode.RESOURCE_EXHAUSTED)
    server = Server(hold_and_fail, refuse, fail(grpc.StatusCode.UNAVAILABLE))
    with ThreadPoolExecutor(1) as pool:
        versions = pool.submit(_versions, serve(server), SOON, is_async=is_async)
        assert server.copies[1].came.wait(30)
        server.copies[0].release.set()
        with pytest.raises(Unavailable, match="so be it"):  # of the third attempt
            versions.result(30)


@BOTH
def test_both_copies_have_the_deadline_of_the_call(serve: Serve, is_async: bool) -> None:
    """A second copy gets no more time than the first has left, and both end with the call."""
    server = Server(hold)
    with pytest.raises(DeadlineExceeded):
        _versions(serve(server), Hedging(after_s=0.2), is_async=is_async, timeout_s=1)
    assert server.count == 2
    assert all(copy.cancelled.wait(30) for copy in server.copies[:2])
    assert server.copies[1].remaining_s < 0.9


def test_cancelling_cancels_both_copies(serve: Serve) -> None:
    """A task that gives up leaves nothing behind."""
    server = Server(hold)
    address = serve(server)

    async def _law() -> None:
        async with AsyncClient(address, hedging=SOON) as client:
            call = asyncio.create_task(client.classify(IMAGE))
            assert await asyncio.to_thread(server.copies[1].came.wait, 30)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            for copy in server.copies[:2]:
                assert await asyncio.to_thread(copy.cancelled.wait, 30)

    asyncio.run(asyncio.wait_for(_law(), 60))


@BOTH
def test_closing_ends_both_copies(serve: Serve, is_async: bool) -> None:
    """A call under way when its client is closed is Closed."""
    server = Server(hold)
    address = serve(server)
    if is_async:

        async def _law() -> None:
            client = AsyncClient(address, hedging=SOON)
            call = asyncio.create_task(client.classify(IMAGE))
            assert await asyncio.to_thread(server.copies[1].came.wait, 30)
            await client.close()
            with pytest.raises(Closed):
                await call

        asyncio.run(asyncio.wait_for(_law(), 60))
    else:
        client = Client(address, hedging=SOON)
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(client.classify, IMAGE)
            assert server.copies[1].came.wait(30)
            client.close()
            with pytest.raises(Closed):
                call.result(30)
    assert all(copy.cancelled.wait(30) for copy in server.copies[:2])


def test_streams_are_not_hedged(serve: Serve) -> None:
    """A stream is one call, however slow its answers are."""
    server = Server(hold)
    with Client(serve(server), hedging=SOON) as client, ThreadPoolExecutor(1) as pool:
        predictions = pool.submit(next, client.classify_stream([IMAGE]))
        assert server.copies[0].came.wait(30)
        assert not server.copies[1].came.wait(0.2)
        server.copies[0].release.set()
        assert predictions.result(30)[0].label == "7"


@BOTH
def test_servers_that_are_all_slow_are_not_asked_twice_as_much(
    serve: Serve, is_async: bool
) -> None:
    """However slow they are, second copies keep to their share of the messages."""

    def dawdle(copy: Copy, context: grpc.ServicerContext) -> None:
        del context
        copy.release.wait(0.02)

    server = Server(dawdle)
    hedging = Hedging(after_s=0.001, max_share=0.1)
    _versions(serve(server), hedging, is_async=is_async, calls=50)
    # A copy that lost may have been cancelled before the server took it.
    assert 50 < server.count <= 50 + 1 + 50 * 0.1


@given(
    share=st.floats(0.01, 1),
    steps=st.lists(st.booleans(), max_size=300),
)
def test_the_budget(share: float, steps: list[bool]) -> None:
    """Never more second copies than their share of the messages, and one."""
    budget, messages, copies = Budget(share), 0, 0
    for is_message in steps:
        if is_message:
            budget.earn()
            messages += 1
        elif budget.spend():
            copies += 1
        assert copies <= 1 + share * messages + 1e-6


def test_a_long_good_time_is_no_credit() -> None:
    """However many messages needed no second copy, ten at once are all that may."""
    budget = Budget(0.5)
    for _ in range(1000):
        budget.earn()
    assert [budget.spend() for _ in range(12)] == [True] * 10 + [False] * 2


@pytest.mark.parametrize(
    "options",
    [
        {"after_s": 0},
        {"after_s": -1},
        {"after_s": float("nan")},
        {"after_s": 1, "max_share": 0},
        {"after_s": 1, "max_share": 1.01},
    ],
)
def test_numbers_that_make_no_sense(options: dict[str, float]) -> None:
    """They are refused when they are said."""
    with pytest.raises(ValueError, match="expected more than 0"):
        Hedging(**options)

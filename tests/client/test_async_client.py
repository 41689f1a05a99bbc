"""The asynchronous client against a real server."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import (
    AsyncClient,
    Client,
    Closed,
    DeadlineExceeded,
    InvalidInput,
    NotFound,
    Overloaded,
    ServerError,
    Unauthenticated,
    Unavailable,
)
from flatdense_client._channel.fork import ANCESTRY
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierServicer
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

Serve = Callable[[ClassifierServicer], str]
Probabilities = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
Answer = Callable[[pb.ClassifyRequest, grpc.ServicerContext], pb.ClassifyResponse]
Answers = Callable[
    [Iterator[pb.ClassifyRequest], grpc.ServicerContext], Iterator[pb.ClassifyResponse]
]

IMAGE = np.arange(784, dtype=np.uint8).reshape(28, 28)

BOTH = pytest.mark.parametrize("coalesce", [False, True])


class Servicer(ClassifierServicer):
    """Answers every Classify by a function, every ClassifyStream by another, and knows no names."""

    def __init__(self, answer: Answer | None = None, stream: Answers | None = None) -> None:
        self._answer = answer
        self._stream = stream

    def Classify(  # noqa: N802  # gRPC's name
        self, request: pb.ClassifyRequest, context: grpc.ServicerContext
    ) -> pb.ClassifyResponse:
        """One unary call."""
        assert self._answer is not None
        return self._answer(request, context)

    def ClassifyStream(  # noqa: N802  # gRPC's name
        self, request_iterator: Iterator[pb.ClassifyRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ClassifyResponse]:
        """One stream."""
        assert self._stream is not None
        return self._stream(request_iterator, context)

    def GetModel(  # noqa: N802  # gRPC's name
        self, request: pb.GetModelRequest, context: grpc.ServicerContext
    ) -> pb.GetModelResponse:
        """A replica that has no such version."""
        del request
        context.abort(grpc.StatusCode.NOT_FOUND, "no such version")


class Held:
    """A server's answers that wait until the test lets them go, or one of them is cancelled."""

    def __init__(self, *, is_patient: bool = False) -> None:
        """`is_patient`: the others wait on when one is cancelled."""
        self._is_patient = is_patient
        self.entered = threading.Event()
        self.cancelled = threading.Event()
        self.release = threading.Event()

    def answer(
        self, request: pb.ClassifyRequest, context: grpc.ServicerContext
    ) -> pb.ClassifyResponse:
        """Answers late."""
        context.add_callback(self._end)
        self.entered.set()
        self.release.wait(60)
        return _sevens(len(request.images) // 784)

    def _end(self) -> None:
        self.cancelled.set()
        if not self._is_patient:
            self.release.set()


def _sevens(rows: int, version: int = 1) -> pb.ClassifyResponse:
    probabilities = np.tile(np.eye(10, dtype="<f4")[7], rows).tobytes()
    return pb.ClassifyResponse(
        probabilities=probabilities, classes=[7] * rows, model_version=version
    )


def _run(law: Awaitable[None]) -> None:
    """Runs a law on an event loop, and checks that it leaves no task behind."""

    async def checked() -> None:
        await asyncio.wait_for(law, 40)
        # gRPC's own tasks learn a moment later that their calls were cancelled.
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            _, left = await asyncio.wait(others, timeout=30)
            assert not left

    asyncio.run(checked())


async def _happens(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 30)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@BOTH
def test_many_calls_of_many_sizes(
    address: str,
    probabilities_of: Probabilities,
    seen_rows: list[int],
    class_names: tuple[str, ...],
    coalesce: bool,
) -> None:
    """Each of many tasks gets the answers to its own images, in order and named."""
    rng = np.random.default_rng(1)
    arrays = [rng.random((int(rows), 784), np.float32) for rows in rng.integers(1, 100, 60)]

    async def _law() -> None:
        async with AsyncClient(address, rows_per_message=70, coalesce=coalesce) as client:
            answers = await asyncio.gather(*map(client.classify, arrays))
        for array, answer in zip(arrays, answers, strict=True):
            expected = probabilities_of(array)
            assert np.allclose(answer.probabilities, expected, atol=1e-6)
            assert answer.labels == tuple(class_names[index] for index in expected.argmax(axis=1))
        assert sum(seen_rows) == sum(map(len, arrays))
        assert max(seen_rows) <= 70

    _run(_law())


def test_small_calls_share_messages(address: str, seen_rows: list[int]) -> None:
    """A thousand single rows at a time travel in a few messages; without coalescing each alone."""

    async def _law() -> None:
        async with AsyncClient(address) as client:
            await asyncio.gather(*(client.classify(IMAGE) for _ in range(1000)))
        assert sorted(seen_rows) == [1, 487, 512]  # the first one waits for nobody
        seen_rows.clear()
        async with AsyncClient(address, coalesce=False) as client:
            await asyncio.gather(*(client.classify(IMAGE) for _ in range(20)))
        assert seen_rows == [1] * 20

    _run(_law())


@BOTH
def test_bad_images_never_leave(address: str, seen_rows: list[int], coalesce: bool) -> None:
    """Images that are none are refused before a byte is sent, and hurt nobody beside them."""

    async def _law() -> None:
        async with AsyncClient(address, coalesce=coalesce) as client:
            bad, good, wrong = await asyncio.gather(
                client.classify(np.full((28, 28), 2.0)),
                client.classify(IMAGE),
                client.classify(np.zeros((3, 3))),
                return_exceptions=True,
            )
        assert isinstance(bad, InvalidInput)
        assert isinstance(wrong, InvalidInput)
        assert not isinstance(good, BaseException)
        assert seen_rows == [1]

    _run(_law())


def test_the_clients_agree(address: str) -> None:
    """Both clients say the same of the same server: predictions, model, readiness."""

    async def _law() -> None:
        async with AsyncClient(address) as client:
            prediction = (await client.classify(IMAGE))[0]
            model, ready = await client.model(), await client.ready()
            streamed = [answer async for answer in client.classify_stream([IMAGE])]
            assert (repr(client), client.address) == (f"AsyncClient({address!r})", address)
        with Client(address) as other:
            assert repr(other.classify(IMAGE)[0]) == repr(prediction) == repr(streamed[0][0])
            assert (other.model(), other.ready()) == (model, ready)

    _run(_law())


def test_the_names_are_asked_for_once(serve: Serve) -> None:
    """Many first calls at a time cost one GetModel; at most one a message where it is in vain."""
    asked: list[int] = []

    class Named(Servicer):
        """A server that notes who asks for names."""

        def GetModel(  # noqa: N802  # gRPC's name
            self, request: pb.GetModelRequest, context: grpc.ServicerContext
        ) -> pb.GetModelResponse:
            """Names, for version 1 alone."""
            asked.append(request.model.version)
            if request.model.version != 1:
                context.abort(grpc.StatusCode.NOT_FOUND, "no such version")
            return pb.GetModelResponse(version=1, class_names=[f"n{index}" for index in range(10)])

    versions = iter([1, 1, 1, 1, 2, 2])
    """Of each message: the first call of many goes alone, the others share one."""
    answered = threading.Lock()

    def answer(request: pb.ClassifyRequest, _: grpc.ServicerContext) -> pb.ClassifyResponse:
        with answered:
            return _sevens(len(request.images) // 784, next(versions))

    async def _law() -> None:
        async with AsyncClient(serve(Named(answer))) as client:
            for label, all_asked in (("n7", [[1]]), ("n7", [[1]]), ("7", [[1, 2], [1, 2, 2]])):
                answers = await asyncio.gather(*(client.classify(IMAGE) for _ in range(50)))
                assert {one[0].label for one in answers} == {label}
                assert asked in all_asked

    _run(_law())


def test_a_cancelled_caller_does_not_keep_the_names_from_others(serve: Serve) -> None:
    """Where the caller that asks for the names is cancelled, another one asks."""
    entered, release = threading.Event(), threading.Event()

    class Slow(Servicer):
        """A server whose first word of names takes long."""

        def GetModel(  # noqa: N802  # gRPC's name
            self, request: pb.GetModelRequest, context: grpc.ServicerContext
        ) -> pb.GetModelResponse:
            """The names."""
            del request, context
            if not entered.is_set():
                entered.set()
                release.wait(30)
            return pb.GetModelResponse(version=1, class_names=[f"n{index}" for index in range(10)])

    async def _law() -> None:
        servicer = Slow(lambda request, _: _sevens(len(request.images) // 784))
        async with AsyncClient(serve(servicer)) as client:
            coalescer = client._connect().coalescer
            coalescer.set_out_alone()  # as if a call were under way: they share
            asks, waits = (asyncio.create_task(client.classify(IMAGE)) for _ in range(2))
            await _happens(entered)
            coalescer.come_back()
            asks.cancel()
            assert (await waits)[0].label == "n7"
            assert asks.cancelled()
        release.set()

    _run(_law())


@BOTH
def test_rich_errors_arrive(serve: Serve, coalesce: bool) -> None:
    """An error with details keeps them, for each of its callers."""

    def _refuse(_request: pb.ClassifyRequest, context: grpc.ServicerContext) -> pb.ClassifyResponse:
        status = status_pb2.Status(
            code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], message="the queue is full"
        )
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(50)
        status.details.add().Pack(retry)
        context.abort_with_status(rpc_status.to_status(status))

    async def _law() -> None:
        async with AsyncClient(serve(Servicer(_refuse)), coalesce=coalesce) as client:
            calls = (client.classify(IMAGE) for _ in range(3))
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert len(set(map(id, outcomes))) == 3
        for outcome in outcomes:
            assert isinstance(outcome, Overloaded)
            assert outcome.retry_after_s == 0.05
            assert "the queue is full" in str(outcome)

    _run(_law())


@BOTH
def test_unavailable_is_tried_again(serve: Serve, coalesce: bool) -> None:
    """A call that meets UNAVAILABLE twice is answered the third time, and the caller sees none."""
    attempts: list[None] = []

    def answer(_request: pb.ClassifyRequest, context: grpc.ServicerContext) -> pb.ClassifyResponse:
        attempts.append(None)
        if len(attempts) < 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        return _sevens(1)

    async def _law() -> None:
        async with AsyncClient(serve(Servicer(answer)), coalesce=coalesce) as client:
            assert (await client.classify(IMAGE))[0].class_index == 7
        assert len(attempts) == 3

    _run(_law())


def test_a_version_can_be_chosen(address: str) -> None:
    """The chosen version is sent, and one that is not there is NotFound in the server's words."""

    async def _law() -> None:
        async with AsyncClient(address, model_version=2) as client:
            with pytest.raises(NotFound, match="there is no version 2; there is 1"):
                await client.classify(IMAGE)
        async with AsyncClient(address, model_label="stable") as client:
            assert (await client.classify(IMAGE)).model_version == 1

    _run(_law())


@BOTH
@pytest.mark.parametrize("rows", [1, 100])
def test_the_deadline_spans_the_whole_call(serve: Serve, coalesce: bool, rows: int) -> None:
    """A server that does not answer is DeadlineExceeded, and the call there is cancelled."""
    held = Held()

    async def _law() -> None:
        async with AsyncClient(serve(Servicer(held.answer)), coalesce=coalesce) as client:
            with pytest.raises(DeadlineExceeded, match=r"within 0\.2 s"):
                await client.classify(np.zeros((rows, 784)), timeout_s=0.2)
            await _happens(held.cancelled)

    _run(_law())


@BOTH
@pytest.mark.parametrize("rows", [1, 100])
def test_a_cancelled_call_is_cancelled_on_the_server(
    serve: Serve, coalesce: bool, rows: int
) -> None:
    """Cancelling a call ends it at once, and what travels for it."""
    held = Held()

    async def _law() -> None:
        async with AsyncClient(serve(Servicer(held.answer)), coalesce=coalesce) as client:
            call = asyncio.create_task(client.classify(np.zeros((rows, 784)), timeout_s=600))
            await _happens(held.entered)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await _happens(held.cancelled)

    _run(_law())


@BOTH
def test_cancelling_at_any_point_leaves_the_client_whole(
    address: str, probabilities_of: Probabilities, coalesce: bool
) -> None:
    """A call may be cancelled after any number of the loop's turns; others are answered."""
    image = np.random.default_rng(0).random((1, 784), np.float32)

    async def _law() -> None:
        async with AsyncClient(address, coalesce=coalesce) as client:
            for turns in range(30):
                cancelled = asyncio.create_task(client.classify(IMAGE))
                other = asyncio.create_task(client.classify(image))
                for _ in range(turns):
                    await asyncio.sleep(0)
                cancelled.cancel()
                expected = probabilities_of(image)
                assert np.allclose((await other).probabilities, expected, atol=1e-6)
                await asyncio.wait({cancelled})

    _run(_law())


@BOTH
def test_a_dead_port_is_unavailable(coalesce: bool) -> None:
    """Where nothing listens every method says so, and nothing hangs."""
    address = f"127.0.0.1:{_free_port()}"

    async def _law() -> None:
        async with AsyncClient(address, coalesce=coalesce) as client:
            told = f"{address} cannot be reached: nothing listens"
            for call in (client.classify(IMAGE), client.classify(np.zeros((99, 784)))):
                with pytest.raises(Unavailable, match=told):
                    await call
            with pytest.raises(Unavailable, match=told):
                await client.model()
            with pytest.raises(Unavailable, match=told):
                await anext(client.classify_stream([IMAGE]))
            assert await client.ready() is False

    _run(_law())


@BOTH
@pytest.mark.parametrize(
    "response",
    [
        pb.ClassifyResponse(),
        pb.ClassifyResponse(probabilities=b"seven", classes=[7]),
        pb.ClassifyResponse(probabilities=bytes(80), classes=[1, 2]),
    ],
)
def test_an_answer_that_does_not_fit_is_the_servers_error(
    serve: Serve, coalesce: bool, response: pb.ClassifyResponse
) -> None:
    """An answer that does not fit the rows is never taken for a prediction."""

    async def _law() -> None:
        servicer = Servicer(lambda _request, _context: response)
        async with AsyncClient(serve(servicer), coalesce=coalesce) as client:
            with pytest.raises(ServerError, match=r"do not fit|outside"):
                await client.classify(IMAGE)

    _run(_law())


@BOTH
@pytest.mark.parametrize("rows", [1, 100])
def test_closing_ends_calls_and_may_be_repeated(serve: Serve, coalesce: bool, rows: int) -> None:
    """A call under way raises Closed, as does every later one."""
    held = Held(is_patient=True)

    async def _law() -> None:
        client = AsyncClient(serve(Servicer(held.answer)), coalesce=coalesce)
        images = np.zeros((rows, 784))
        calls = [asyncio.create_task(client.classify(images, timeout_s=600)) for _ in range(3)]
        await _happens(held.entered)
        await client.close()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Closed] * 3
        await client.close()
        with pytest.raises(Closed):
            await client.classify(IMAGE)
        with pytest.raises(Closed):
            await client.model()
        with pytest.raises(Closed):
            await client.ready()
        with pytest.raises(Closed):
            await anext(client.classify_stream([IMAGE]))
        held.release.set()

    _run(_law())


def test_a_server_that_restarts_is_found_again() -> None:
    """Calls to a server that went raise; once one listens there again calls reach it."""
    address = f"127.0.0.1:{_free_port()}"

    async def _law() -> None:
        async with AsyncClient(address) as client:
            for _ in range(2):
                server = grpc.aio.server()
                server.add_insecure_port(address)
                await server.start()
                while True:  # gRPC connects again in its own time
                    try:
                        await client.classify(IMAGE)
                    except Unavailable:
                        continue
                    except ServerError:  # it answers, and has no Classifier
                        break
                await server.stop(None)
                with pytest.raises(Unavailable):
                    await client.classify(IMAGE)

    _run(_law())


def test_a_hundred_clients_leave_nothing(address: str) -> None:
    """Clients that were opened, used and closed leave no thread and no socket."""

    async def _use() -> None:
        async with AsyncClient(address) as client:
            await client.classify(IMAGE)

    def opened() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    def threads() -> list[str]:
        # The test's own server adds threads as it needs them. Others have numbers in their names:
        # gRPC's own, of which there is one for all clients, may end and begin again.
        names = (thread.name for thread in threading.enumerate())
        return sorted(name.partition("(")[2] for name in names if "Executor" not in name)

    async def _law() -> None:
        async with AsyncClient(address) as client:
            await client.classify(IMAGE)
            before = threads()
        await _use()
        files = opened()
        for _ in range(100):
            await _use()
        async with AsyncClient(address) as client:
            await client.classify(IMAGE)
            assert threads() == before
        while opened() > files + 2:  # gRPC lets go of sockets a moment after the channel is closed
            await _use()

    _run(_law())


def test_another_event_loop_is_refused(address: str) -> None:
    """A client that is used from another loop says so at once, whatever is called."""
    client = AsyncClient(address)

    async def _use() -> None:
        await client.classify(IMAGE)

    async def _refuse() -> None:
        for call in (client.classify(IMAGE), client.model(), client.ready(), client.close()):
            with pytest.raises(RuntimeError, match="of another event loop"):
                await call
        with pytest.raises(RuntimeError, match="of another event loop"):
            await anext(client.classify_stream([IMAGE]))

    async def _law() -> None:
        await _use()
        await asyncio.to_thread(asyncio.run, _refuse())
        await _use()
        await client.close()

    _run(_law())


def test_after_a_fork_the_client_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a child process the parent's client says so at once."""

    async def _law() -> None:
        async with AsyncClient(address) as client:
            await client.classify(IMAGE)
            with monkeypatch.context() as child:
                child.setattr(ANCESTRY, "forks", ANCESTRY.forks + 1)
                with pytest.raises(RuntimeError, match="before the fork"):
                    await client.classify(IMAGE)

    _run(_law())


@pytest.mark.parametrize("option", ["rows_per_message", "messages_in_flight", "timeout_s"])
def test_options_are_checked_at_birth(option: str) -> None:
    """A number that makes no sense is refused before any call, and without an event loop."""
    with pytest.raises(ValueError, match=option):
        AsyncClient("localhost:8500", **{option: 0})


@pytest.mark.parametrize("is_async", [False, True])
def test_streamed_answers_come_in_order(
    address: str, probabilities_of: Probabilities, is_async: bool
) -> None:
    """Arrays of any size, cut or not, each get their own predictions in their own order."""
    rng = np.random.default_rng(0)
    arrays = [rng.random((rows, 784), np.float32) for rows in (1, 9, 2, 3, 30, 1)]

    async def _each() -> AsyncIterator[npt.ArrayLike]:
        for array in arrays:
            await asyncio.sleep(0)
            yield array

    async def _law() -> None:
        async with AsyncClient(address, rows_per_message=3, messages_in_flight=2) as client:
            stream = client.classify_stream(_each() if is_async else iter(arrays))
            answers = [answer async for answer in stream]
            assert [answer async for answer in client.classify_stream([])] == []
        for array, answer in zip(arrays, answers, strict=True):
            assert np.allclose(answer.probabilities, probabilities_of(array), atol=1e-6)

    _run(_law())


def test_a_slow_caller_slows_the_arrays_down(address: str) -> None:
    """Without end of arrays, no more are read than taken and in flight."""
    read: list[int] = []

    def endless() -> Iterator[npt.NDArray[np.uint8]]:
        while True:
            read.append(len(read))
            yield IMAGE

    async def _law() -> None:
        client = AsyncClient(address, messages_in_flight=3)
        async with client, aclosing(client.classify_stream(endless())) as stream:
            for taken in range(1, 20):
                await anext(stream)
                await client.ready()  # many turns of the loop
                assert len(read) <= taken + 3

    _run(_law())


def test_what_the_arrays_raise_comes_after_the_answers(address: str) -> None:
    """An error of the arrays reaches the caller after the answers to those before it."""

    async def _broken() -> AsyncIterator[npt.NDArray[np.uint8]]:
        yield IMAGE
        yield IMAGE
        raise LookupError("the camera is gone")

    async def _law() -> None:
        async with AsyncClient(address) as client:
            for images, kind, told in (
                (_broken(), LookupError, "the camera is gone"),
                ([IMAGE, IMAGE, np.full((28, 28), 254.0)], InvalidInput, r"value 254\.0"),
            ):
                stream = client.classify_stream(images)
                assert len(await anext(stream)) == 1
                assert len(await anext(stream)) == 1
                with pytest.raises(kind, match=told):
                    await anext(stream)

    _run(_law())


def test_a_refusal_ends_the_stream_with_its_error(serve: Serve) -> None:
    """The server's error is typed, after the answers before it."""

    def answer(
        requests: Iterator[pb.ClassifyRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ClassifyResponse]:
        next(requests)
        yield _sevens(1)
        next(requests)
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token ran out")

    async def _law() -> None:
        async with AsyncClient(serve(Servicer(stream=answer))) as client:
            stream = client.classify_stream([IMAGE] * 9)
            assert (await anext(stream))[0].class_index == 7
            with pytest.raises(Unauthenticated, match="the token ran out"):
                await anext(stream)

    _run(_law())


@pytest.mark.parametrize(
    ("answers", "told"), [(0, "unanswered"), (2, "never sent"), (None, "before the arrays did")]
)
def test_a_server_that_miscounts_is_the_servers_error(
    serve: Serve, answers: int | None, told: str
) -> None:
    """Too few or too many answers, or an early end, are never taken for the whole."""

    def answer(
        requests: Iterator[pb.ClassifyRequest], _context: grpc.ServicerContext
    ) -> Iterator[pb.ClassifyResponse]:
        for _ in requests:
            if answers is None:
                yield _sevens(1)
                return
            yield from [_sevens(1)] * answers

    async def _pauses() -> AsyncIterator[npt.NDArray[np.uint8]]:
        yield IMAGE
        if answers is None:
            await asyncio.Event().wait()

    async def _law() -> None:
        async with AsyncClient(serve(Servicer(stream=answer))) as client:
            with pytest.raises(ServerError, match=told):
                async for _ in client.classify_stream(_pauses()):
                    pass

    _run(_law())


def _silent(
    cancelled: threading.Event, entered: threading.Event
) -> Callable[[Iterator[pb.ClassifyRequest], grpc.ServicerContext], Iterator[pb.ClassifyResponse]]:
    """One answer, then none."""

    def answer(
        requests: Iterator[pb.ClassifyRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ClassifyResponse]:
        context.add_callback(cancelled.set)
        next(requests)
        yield _sevens(1)
        entered.set()
        cancelled.wait(60)

    return answer


@pytest.mark.parametrize("how", ["late", "cancelled", "left", "closed"])
def test_however_a_stream_ends_its_call_is_cancelled(serve: Serve, how: str) -> None:
    """A silent server is a deadline; that, cancelling, leaving and closing cancel the call."""
    cancelled, entered = threading.Event(), threading.Event()

    async def _law() -> None:
        async with AsyncClient(serve(Servicer(stream=_silent(cancelled, entered)))) as client:
            stream = client.classify_stream([IMAGE] * 2, timeout_s=2 if how == "late" else 600)
            await anext(stream)
            following = asyncio.ensure_future(anext(stream)) if how != "left" else None
            await _happens(entered)
            if following is None:
                await stream.aclose()
            elif how == "late":
                with pytest.raises(DeadlineExceeded, match="within 2 s"):
                    await following
            elif how == "cancelled":
                following.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await following
            else:
                await client.close()
                with pytest.raises(Closed):
                    await following
            await _happens(cancelled)

    _run(_law())


def test_closing_ends_a_stream_that_nobody_reads(address: str) -> None:
    """close() leaves no task of a stream whose caller is elsewhere."""
    ended = asyncio.Event()

    async def _slow() -> AsyncIterator[npt.NDArray[np.uint8]]:
        try:
            yield IMAGE
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def _law() -> None:
        client = AsyncClient(address)
        stream = client.classify_stream(_slow())
        await anext(stream)
        await client.close()
        assert ended.is_set()
        with pytest.raises(Closed):
            await anext(stream)

    _run(_law())

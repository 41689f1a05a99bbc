"""What goes wrong on the way: nothing hangs, nothing is lost, and nothing stays."""

import asyncio
import gc
import random
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import (
    AsyncClient,
    Client,
    DeadlineExceeded,
    FlatdenseError,
    Predictions,
    ServerError,
    Unavailable,
)
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import (
    ClassifierServicer,
    add_ClassifierServicer_to_server,
)

Serve = Callable[[ClassifierServicer], str]
Images = npt.NDArray[np.uint8]
Outcome = Predictions | Exception
Classify = Callable[..., list[Outcome]]

MESSAGE_ROWS = 5


def _by_threads(address: str, arrays: list[Images], **options: object) -> list[Outcome]:
    """Each array by a thread of its own."""
    client = Client(address, rows_per_message=MESSAGE_ROWS, messages_in_flight=2, **options)
    with client, ThreadPoolExecutor(len(arrays)) as pool:
        calls = [pool.submit(client.classify, array) for array in arrays]
        return [call.exception(60) or call.result() for call in calls]


def _by_tasks(address: str, arrays: list[Images], **options: object) -> list[Outcome]:
    """Each array by a task of its own."""

    async def _classify() -> list[Outcome]:
        client = AsyncClient(
            address, rows_per_message=MESSAGE_ROWS, messages_in_flight=2, **options
        )
        async with client:
            calls = (client.classify(array) for array in arrays)
            return await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 60)

    return asyncio.run(_classify())


BOTH = pytest.mark.parametrize("classify", [_by_threads, _by_tasks])
EITHER = pytest.mark.parametrize("coalesce", [False, True])


def _numbered(number: int, rows: int) -> Images:
    """Rows that can be told from all others by what they are answered."""
    images = np.zeros((rows, 784), np.uint8)
    images[:, 0] = number
    images[:, 1] = np.arange(rows)
    return images


def _echo(request: pb.ClassifyRequest) -> pb.ClassifyResponse:
    """Answers each row with its number and its place."""
    pixels = np.frombuffer(request.images, np.uint8).reshape(-1, 784)
    return pb.ClassifyResponse(
        probabilities=pixels[:, :2].astype("<f4").tobytes(),
        classes=[0] * len(pixels),
        model_version=1,
    )


def _is_whole(outcome: Predictions, images: Images) -> bool:
    return np.array_equal(outcome.probabilities, images[:, :2])


class Echoes(ClassifierServicer):
    """Answers with what it was sent, or as a test says; knows no names."""

    def __init__(self, spoil: Callable[[grpc.ServicerContext], None] | None = None) -> None:
        self._spoil = spoil

    def Classify(  # noqa: N802  # gRPC's name
        self, request: pb.ClassifyRequest, context: grpc.ServicerContext
    ) -> pb.ClassifyResponse:
        """One unary call."""
        if self._spoil is not None:
            self._spoil(context)
        return _echo(request)

    def ClassifyStream(  # noqa: N802  # gRPC's name
        self, request_iterator: Iterator[pb.ClassifyRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.ClassifyResponse]:
        """One answer for each request."""
        for request in request_iterator:
            yield self.Classify(request, context)

    def GetModel(  # noqa: N802  # gRPC's name
        self, request: pb.GetModelRequest, context: grpc.ServicerContext
    ) -> pb.GetModelResponse:
        """No names."""
        del context
        return pb.GetModelResponse(version=request.model.version)


@BOTH
@EITHER
@pytest.mark.parametrize("seed", range(3))
def test_every_row_is_answered_in_order_or_the_call_raises(
    serve: Serve, classify: Classify, coalesce: bool, seed: int
) -> None:
    """Whatever a server does to some messages, a call has all its rows in order, or an error."""
    rng, lock = random.Random(seed), threading.Lock()
    codes = [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.CANCELLED,
    ]

    def spoil(context: grpc.ServicerContext) -> None:
        with lock:
            fate = rng.random()
            code = rng.choice(codes)
        if fate < 0.15:
            context.abort(code, "as it happens")
        if fate > 0.9:
            threading.Event().wait(0.02)

    arrays = [_numbered(number, rng.randint(1, 23)) for number in range(60)]
    outcomes = classify(serve(Echoes(spoil)), arrays, coalesce=coalesce)
    whole = 0
    for outcome, images in zip(outcomes, arrays, strict=True):
        if isinstance(outcome, Predictions):
            assert _is_whole(outcome, images)
            whole += 1
        else:
            assert isinstance(outcome, FlatdenseError)
    assert 0 < whole < len(arrays)


class Restarts:
    """A server that can be stopped, and started on the same port."""

    def __init__(self, servicer: ClassifierServicer) -> None:
        self._servicer = servicer
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.start()

    def start(self) -> None:
        """Serves."""
        self._server = grpc.server(ThreadPoolExecutor(8))
        add_ClassifierServicer_to_server(self._servicer, self._server)
        assert self._server.add_insecure_port(self.address)
        self._server.start()

    def stop(self) -> None:
        """Cuts everything off."""
        self._server.stop(None).wait()


@contextmanager
def _restarting(servicer: ClassifierServicer) -> Iterator[Restarts]:
    server = Restarts(servicer)
    try:
        yield server
    finally:
        server.stop()


@BOTH
@EITHER
def test_calls_outlive_a_server_that_restarts(classify: Classify, coalesce: bool) -> None:
    """Calls under way at a restart are whole, as they are tried again, or are Unavailable."""
    came, messages = threading.Event(), count()

    def note(_context: grpc.ServicerContext) -> None:
        if next(messages) == 30:
            came.set()

    with _restarting(Echoes(note)) as server:

        def restart() -> None:
            assert came.wait(60)
            server.stop()
            server.start()

        thread = threading.Thread(target=restart)
        thread.start()
        arrays = [_numbered(number, 300) for number in range(8)]
        outcomes = classify(server.address, arrays, coalesce=coalesce)
        thread.join()
        for outcome, images in zip(outcomes, arrays, strict=True):
            if isinstance(outcome, Predictions):
                assert _is_whole(outcome, images)
            else:
                assert isinstance(outcome, Unavailable)
        (after,) = classify(server.address, arrays[:1])
        assert isinstance(after, Predictions)


def test_a_stream_that_is_cut_off_says_so() -> None:
    """A server that restarts mid-stream: what it answered is whole, then the stream raises."""
    with _restarting(Echoes()) as server, Client(server.address) as client:
        stream = client.classify_stream(_numbered(number, 3) for number in count() if number < 256)
        for number in range(20):
            assert _is_whole(next(stream), _numbered(number, 3))
        server.stop()
        server.start()
        with pytest.raises(Unavailable):  # noqa: PT012  # at some point
            for number in range(20, 256):
                assert _is_whole(next(stream), _numbered(number, 3))
        assert _is_whole(next(client.classify_stream([_numbered(1, 3)])), _numbered(1, 3))


def test_an_async_stream_that_is_cut_off_says_so() -> None:
    """A server that restarts mid-stream: what it answered is whole, then the stream raises."""

    async def _arrays() -> AsyncIterator[Images]:
        for number in range(256):
            yield _numbered(number, 3)

    async def _law(server: Restarts) -> None:
        async with AsyncClient(server.address) as client:
            stream = client.classify_stream(_arrays())
            for number in range(20):
                assert _is_whole(await anext(stream), _numbered(number, 3))
            await asyncio.to_thread(server.stop)
            server.start()
            with pytest.raises(Unavailable):  # noqa: PT012  # at some point
                for number in range(20, 256):
                    assert _is_whole(await anext(stream), _numbered(number, 3))
            again = client.classify_stream([_numbered(1, 3)])
            assert [_is_whole(one, _numbered(1, 3)) async for one in again] == [True]

    with _restarting(Echoes()) as server:
        asyncio.run(asyncio.wait_for(_law(server), 60))


def _say_nothing(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def _hang_up(connection: socket.socket) -> None:
    connection.recv(1)


def _talk_rubbish(connection: socket.socket) -> None:
    connection.recv(1)
    connection.sendall(random.Random(0).randbytes(5000))
    _say_nothing(connection)


def _talk_http2_rubbish(connection: socket.socket) -> None:
    connection.recv(1)
    connection.sendall(bytes.fromhex("000000040000000000"))  # SETTINGS, and then what is none
    connection.sendall(random.Random(1).randbytes(5000))
    _say_nothing(connection)


@contextmanager
def _listening(serve_one: Callable[[socket.socket], None]) -> Iterator[str]:
    """Something that listens and is no gRPC server; gives its address."""
    connections: list[socket.socket] = []

    def handle(connection: socket.socket) -> None:
        with connection:
            try:
                serve_one(connection)
            except OSError:  # the other side was faster
                return

    def accept(server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:  # closed: the test is over
                return
            connections.append(connection)
            threads.append(threading.Thread(target=handle, args=(connection,)))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threads = [threading.Thread(target=accept, args=(server,))]
        threads[0].start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            threads[0].join()
            for connection in connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:  # it has ended
                    continue
            for thread in threads:
                thread.join()


@BOTH
@EITHER
@pytest.mark.parametrize("serve_one", [_say_nothing, _hang_up, _talk_rubbish, _talk_http2_rubbish])
def test_what_is_no_grpc_server_is_an_error_in_time(
    classify: Classify, coalesce: bool, serve_one: Callable[[socket.socket], None]
) -> None:
    """Silence, rubbish and hanging up are errors of the SDK's own, within the call's time."""
    with _listening(serve_one) as address:
        arrays = [_numbered(number, rows) for number, rows in enumerate((1, 1, 12))]
        for outcome in classify(address, arrays, coalesce=coalesce, timeout_s=1.0):
            assert isinstance(outcome, Unavailable | DeadlineExceeded | ServerError)


@BOTH
@EITHER
def test_bytes_that_are_no_answer_are_the_servers_error(classify: Classify, coalesce: bool) -> None:
    """A message that is not protobuf is a ServerError of each caller."""

    class Rubbish(grpc.GenericRpcHandler):
        """Answers every method with the same bytes."""

        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            """One unary call."""
            del details
            return grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"\xff" * 9)

    server = grpc.server(ThreadPoolExecutor(4), handlers=[Rubbish()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        arrays = [_numbered(number, rows) for number, rows in enumerate((1, 1, 12))]
        for outcome in classify(f"127.0.0.1:{port}", arrays, coalesce=coalesce):
            assert isinstance(outcome, ServerError)
    finally:
        server.stop(None).wait()


def _main_thread_that_waits() -> int:
    """The main thread, once it has not moved for some time."""
    main = threading.main_thread().ident or 0
    places: list[int] = []
    while len(places) < 20 or len(set(places[-20:])) > 1:
        places.append(sys._current_frames()[main].f_lasti)
        threading.Event().wait(0.01)
    return main


@EITHER
@pytest.mark.parametrize("rows", [1, 50])
def test_ctrl_c_ends_a_call_at_once(serve: Serve, coalesce: bool, rows: int) -> None:
    """An interrupt ends a call that waits, and what travels for it; the client works after."""
    held, cancelled = threading.Event(), threading.Event()

    def interrupt(context: grpc.ServicerContext) -> None:
        if not held.is_set():
            context.add_callback(cancelled.set)
            held.set()
            signal.pthread_kill(_main_thread_that_waits(), signal.SIGINT)
            cancelled.wait(60)

    options = {"rows_per_message": 64 if rows == 1 else 5, "timeout_s": 600, "coalesce": coalesce}
    with Client(serve(Echoes(interrupt)), **options) as client:
        images = _numbered(1, rows)
        with pytest.raises(KeyboardInterrupt):
            client.classify(images)
        assert cancelled.wait(30)
        assert _is_whole(client.classify(images), images)


def _opened() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _threads() -> set[str]:
    # The test's own server adds threads as it needs them.
    names = {thread.name for thread in threading.enumerate()}
    return {name for name in names if "Executor" not in name}


@EITHER
@pytest.mark.parametrize("is_closed", [True, False])
def test_a_hundred_clients_leave_nothing(address: str, coalesce: bool, is_closed: bool) -> None:
    """Clients that were used, and closed or forgotten, leave no thread and no socket."""

    def use() -> None:
        client = Client(address, rows_per_message=2, coalesce=coalesce)
        client.classify(_numbered(1, 1))
        client.classify(_numbered(1, 5))
        next(client.classify_stream([_numbered(1, 3)]))
        if is_closed:
            client.close()

    use()
    gc.collect()
    before, files = _threads(), _opened()
    for _ in range(100):
        use()
    gc.collect()
    for _ in range(3000):  # gRPC lets go of sockets and of its threads a moment later
        if _opened() <= files + 2 and _threads() <= before:
            break
        threading.Event().wait(0.01)
    assert _opened() <= files + 2
    assert _threads() <= before

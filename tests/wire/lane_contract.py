"""What the lane promises, tried on the grpcio that is on the path; run as a script by test_lane.py.

Arguments: a certificate for localhost and its key. Prints the version of grpcio at the end.
Anything else is a failure.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from flatdense_server.edge.lane import Lane, LaneCall, LaneStream
from flatdense_server.edge.refusal import Metadata, Refusal

METHOD = "test.Service/Lane"
STREAM = "test.Service/LaneStream"
LIMIT_BYTES = 100_000

Answer = Callable[[LaneCall], None]


class Server:
    """A server with a lane whose calls one thread answers as the test says."""

    def __init__(self, answer: Answer, credentials: grpc.ServerCredentials | None = None) -> None:
        self._answer = answer
        self._closing = False
        options = [("grpc.max_receive_message_length", LIMIT_BYTES)]
        self._server = grpc.server(ThreadPoolExecutor(2), options=options)
        self.lane = Lane(self._server, [METHOD], [STREAM])
        self.gone = threading.Semaphore(0)
        """A permit for each stream whose caller went away."""
        handler = grpc.unary_unary_rpc_method_handler(lambda request, _context: request[::-1])
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("test.Service", {"Ordinary": handler}),)
        )
        self.port = (
            self._server.add_secure_port("localhost:0", credentials)
            if credentials
            else self._server.add_insecure_port("127.0.0.1:0")
        )
        self._server.start()
        self.lane.open(self._converse)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while not self.lane.ended:
            if self._closing:
                self.lane.close()
            for call in self.lane.take(wait_s=0.2, at_most_events=100)[0]:
                self._answer(call)

    def _converse(self, stream: LaneStream) -> None:
        """Gives each message back, the stream's metadata with the first; "end" ends it."""
        stream.watch(self.gone.release)

        def answer(message: bytes | None) -> None:
            if message is None:
                stream.end(0, "", ())
            elif message == b"end":
                stream.end(8, "no more", (("x-back", "1"),))
            else:
                stream.send(message, lambda: stream.receive(answer))

        stream.receive(answer)

    def stop(self) -> None:
        """Ends the server, then the lane."""
        self._server.stop(1).wait()
        self._closing = True
        self._thread.join(10)
        assert not self._thread.is_alive(), "the lane did not end"


def echo(call: LaneCall) -> None:
    """Answers with the message."""
    call.answer(call.message)


def fails(call: Callable[[], object]) -> grpc.RpcError:
    """The error that a call ends with."""
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call was answered")


def check_answers(channel: grpc.Channel) -> None:
    """A thousand calls at once, of many lengths, each get their own answer."""
    method = channel.unary_unary(f"/{METHOD}")
    sent = [bytes([number % 251]) * (number % 997 + 1) for number in range(1000)]
    calls = [method.future(message) for message in sent]
    assert [call.result(30) for call in calls] == sent


def check_ordinary_methods(channel: grpc.Channel) -> None:
    """Other methods of the server go on as ever."""
    assert channel.unary_unary("/test.Service/Ordinary")(b"abc") == b"cba"
    error = fails(lambda: channel.unary_unary("/test.Service/Unknown")(b""))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


def check_bad_bodies(channel: grpc.Channel) -> None:
    """No message, an empty one, one too big: the first and last are refused, and nobody else."""

    def nothing() -> Iterator[bytes]:
        yield from ()

    error = fails(lambda: channel.stream_unary(f"/{METHOD}")(nothing(), timeout=10))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED, error
    big = bytes(LIMIT_BYTES + 1)
    error = fails(lambda: channel.unary_unary(f"/{METHOD}")(big, timeout=10))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED, error
    assert channel.unary_unary(f"/{METHOD}")(b"") == b""
    check_answers(channel)


def check_streams(server: Server, channel: grpc.Channel) -> None:
    """Each message has its answer, in order; an end, a status, a leaver and a flood harm nobody."""
    method = channel.stream_stream(f"/{STREAM}")
    sent = [bytes([number % 251]) * (number % 997) for number in range(1000)]
    streams = [method(iter(sent), timeout=60) for _ in range(10)]
    for stream in streams:
        assert list(stream) == sent
        assert stream.code() is grpc.StatusCode.OK
    assert list(method(iter(()), timeout=10)) == []
    ended = method(iter([b"1", b"end", b"2"]), timeout=10)
    assert next(ended) == b"1"
    error = fails(lambda: next(ended))
    assert (error.code(), error.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "no more")
    assert ("x-back", "1") in error.trailing_metadata()
    open_end = threading.Event()

    def say_once() -> Iterator[bytes]:
        yield b"1"
        open_end.wait()

    left = method(say_once())
    assert next(left) == b"1"
    left.cancel()
    late = method(say_once(), timeout=0.2)
    assert next(late) == b"1"
    assert fails(lambda: next(late)).code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert all(server.gone.acquire(timeout=10) for _ in (left, late))
    open_end.set()
    error = fails(lambda: list(method(iter([b"1", bytes(LIMIT_BYTES + 1)]), timeout=10)))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    check_answers(channel)


def check_refusals() -> None:
    """A refusal has its code, its text and its metadata; the call's own metadata came with it."""

    def refuse(call: LaneCall) -> None:
        given = dict(call.metadata)["x-given"]
        call.refuse(8, f"no: {given!s}", (("x-back", "1"), ("x-back-bin", b"\x00\xff")))

    server = Server(refuse)
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        method = channel.unary_unary(f"/{METHOD}")
        error = fails(lambda: method(b"", metadata=(("x-given", "here"),)))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.details() == "no: here"
    back = dict(error.trailing_metadata())
    assert (back["x-back"], back["x-back-bin"]) == ("1", b"\x00\xff")
    server.stop()


def check_calls_that_are_not_read() -> None:
    """While the lane refuses, a call ends without its message; afterwards they are answered."""
    server = Server(echo)
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        method = channel.unary_unary(f"/{METHOD}")
        assert method(b"before") == b"before"
        refusal = make_refusal(8, b"busy")
        server.lane.refusal = refusal
        for _ in range(100):
            error = fails(lambda: method(bytes(LIMIT_BYTES // 2), timeout=10))
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert error.details() == "busy"
            assert ("x-back", "1") in error.trailing_metadata()
        assert server.lane.refused == {(METHOD, refusal): 100}
        server.lane.refusal = None
        check_answers(channel)
        assert server.lane.reading <= 1
    server.stop()


def make_refusal(code: int, text: bytes) -> Refusal:
    """With this code of gRPC's."""
    return Refusal(code=code, name="", text=text, metadata=(("x-back", "1"),), reason="")


def check_a_gate() -> None:
    """Metadata is judged before a call's message is read, and before a stream begins."""
    refusal = make_refusal(16, b"who?")

    def judge(metadata: Metadata) -> Refusal | None:
        """Somebody by name."""
        return None if ("x-name", "alice") in metadata else refusal

    server = Server(echo)
    server.lane.gate = judge
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        method = channel.unary_unary(f"/{METHOD}")
        stream = channel.stream_stream(f"/{STREAM}")
        for _ in range(100):
            error = fails(lambda: method(bytes(LIMIT_BYTES // 2), timeout=10))
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED
            error = fails(lambda: list(stream(iter([b"x"]), timeout=10)))
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED
            assert method(b"me", metadata=(("x-name", "alice"),), timeout=10) == b"me"
        assert server.lane.refused == {(METHOD, refusal): 100, (STREAM, refusal): 100}
    server.stop()


def check_tls() -> None:
    """Behind TLS everything is the same: answers, metadata, refusals."""
    certificate, key = (Path(name).read_bytes() for name in sys.argv[1:3])

    def answer(call: LaneCall) -> None:
        if call.message == b"no":
            call.refuse(8, "no", ())
        else:
            call.answer(str(dict(call.metadata)["authorization"]).encode())

    server = Server(answer, grpc.ssl_server_credentials([(key, certificate)]))
    trusted = grpc.ssl_channel_credentials(certificate)
    with grpc.secure_channel(f"localhost:{server.port}", trusted) as channel:
        method = channel.unary_unary(f"/{METHOD}")
        assert method(b"", metadata=(("authorization", "Bearer x"),)) == b"Bearer x"
        error = fails(lambda: method(b"no"))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    server.stop()


def check_callers_that_leave() -> None:
    """A deadline is told; a caller that cancels or is late is marked, and may still be answered."""
    held: list[LaneCall] = []
    came = threading.Semaphore(0)

    def hold(call: LaneCall) -> None:
        held.append(call)
        came.release()

    server = Server(hold)
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        method = channel.unary_unary(f"/{METHOD}")
        patient = method.future(b"patient")
        came.acquire()
        leaver = method.future(b"leaver", timeout=60)
        came.acquire()
        late = method.future(b"late", timeout=0.2)
        came.acquire()
        leaver.cancel()
        assert late.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert held[0].deadline_s is None
        assert held[1].deadline_s is not None
        assert 50 < held[1].deadline_s - time.monotonic() < 61
        until_s = time.monotonic() + 10
        while not (held[1].cancelled and held[2].cancelled) and time.monotonic() < until_s:
            fails(lambda: method(b"another", timeout=0.05))
        assert held[1].cancelled
        assert held[2].cancelled
        for call in held[:3]:
            call.answer(call.message)
        assert patient.result(10) == b"patient"
    server.stop()


def main() -> None:
    """All of it, and many starts and stops."""
    logging.basicConfig()
    server = Server(echo)
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        check_answers(channel)
        check_ordinary_methods(channel)
        check_bad_bodies(channel)
        check_streams(server, channel)
    server.stop()
    check_refusals()
    check_calls_that_are_not_read()
    check_a_gate()
    check_tls()
    check_callers_that_leave()
    for _ in range(20):
        Server(echo).stop()
    sys.stdout.write(grpc.__version__)


if __name__ == "__main__":
    main()

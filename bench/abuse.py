"""What careless and hostile callers do to a gRPC port: each function does it once, for a while.

Frames are written by hand (RFC 9113, headers as literals of RFC 7541 6.2.2): no library would send
them. Only for servers on this machine.
"""

import contextlib
import os
import random
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Final

import grpc
import numpy as np
from flatdense_proto.v1 import classifier_pb2 as pb

METHOD: Final = "/flatdense.v1.Classifier/Classify"
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING = 0, 1, 3, 4, 6
ACK, END_STREAM, END_HEADERS = 1, 1, 4
CANCEL: Final = struct.pack(">I", 8)
INITIAL_WINDOW_SIZE: Final = 4

HALF_OPEN_CONNECTIONS: Final = 30
HALF_OPEN_STREAMS: Final = 100
"""On each of them."""

Abuse = Callable[[str], None]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One HTTP/2 frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def header_block() -> bytes:
    """The headers of a gRPC call."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": METHOD,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    block = b""
    for name, value in headers.items():
        block += b"\x00" + bytes([len(name)]) + name.encode()
        block += bytes([len(value)]) + value.encode()
    return block


def body(rows: int = 1) -> bytes:
    """A framed request of some blank rows."""
    message = pb.ClassifyRequest(images=bytes(784 * rows), data_type=pb.DATA_TYPE_UINT8)
    data = message.SerializeToString()
    return struct.pack(">BI", 0, len(data)) + data


@contextlib.contextmanager
def connect(address: str, settings: bytes = b"") -> Iterator[socket.socket]:
    """A connection that has begun to speak HTTP/2. A server may end it at any time."""
    host, port = address.rsplit(":", 1)
    with (
        contextlib.suppress(OSError),
        socket.create_connection((host, int(port)), timeout=10) as connection,
    ):
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0, settings))
        yield connection


def kill(connection: socket.socket) -> None:
    """Ends a connection by a reset, as a caller does that was killed."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def send_garbage(address: str) -> None:
    """Bytes that are no HTTP/2 at all, and bytes that stop being it."""
    for beginning in (b"", PREFACE, PREFACE + frame(SETTINGS, 0, 0)):
        host, port = address.rsplit(":", 1)
        with (
            contextlib.suppress(OSError),
            socket.create_connection((host, int(port)), timeout=10) as connection,
        ):
            connection.sendall(beginning + os.urandom(2000))


def open_streams_and_leave(address: str) -> None:
    """A hundred calls on a connection that never send their message; then the caller is killed."""
    with connect(address) as connection:
        for stream in range(1, 201, 2):
            connection.sendall(frame(HEADERS, END_HEADERS, stream, header_block()))
        kill(connection)


@contextlib.contextmanager
def half_open(address: str, *, connections: int, streams: int) -> Iterator[None]:
    """Holds calls open that have headers and no message; then their caller is killed.

    The server has read all of them when the context begins.
    """
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connect(address)) for _ in range(connections)]
        for connection in held:
            stack.callback(kill, connection)
            for stream in range(1, 2 * streams, 2):
                connection.sendall(frame(HEADERS, END_HEADERS, stream, header_block()))
        for connection in held:
            wait_until_read(connection)
        yield


def wait_until_read(connection: socket.socket) -> None:
    """Until the other side has read what was sent so far, or ends the connection."""
    mark = os.urandom(8)
    connection.sendall(frame(PING, 0, 0, mark))
    got = b""
    while (data := connection.recv(65_536)) and frame(PING, ACK, 0, mark) not in got + data:
        got += data


def hold_streams_open(address: str) -> None:
    """Thousands of calls that never send their message, held open while a caller comes and goes."""
    with half_open(address, connections=HALF_OPEN_CONNECTIONS, streams=HALF_OPEN_STREAMS):
        call_and_leave(address)


def reset_in_each_state(address: str) -> None:
    """Calls that are reset after their headers, within their message, after it, at their end."""
    whole = body()
    parts = (b"", whole[:3], whole[:100], whole)
    with connect(address) as connection:
        for number, part in enumerate(parts * 10):
            stream = 2 * number + 1
            connection.sendall(frame(HEADERS, END_HEADERS, stream, header_block()))
            if part:
                connection.sendall(frame(DATA, random.choice((0, END_STREAM)), stream, part))  # noqa: S311
            connection.sendall(frame(RST_STREAM, 0, stream, CANCEL))


def never_read(address: str) -> None:
    """Whole calls on a connection whose window is shut: their answers can go nowhere."""
    shut = struct.pack(">HI", INITIAL_WINDOW_SIZE, 0)
    with connect(address, shut) as connection:
        for stream in range(1, 101, 2):
            connection.sendall(
                frame(HEADERS, END_HEADERS, stream, header_block())
                + frame(DATA, END_STREAM, stream, body())
            )
        kill(connection)


def be_killed_mid_call(address: str) -> None:
    """Connections that are reset while their calls are computed."""
    for rows in (1, 20):
        with connect(address) as connection:
            for stream in (1, 3, 5):
                connection.sendall(frame(HEADERS, END_HEADERS, stream, header_block()))
                connection.sendall(frame(DATA, END_STREAM, stream, body(rows)))
            kill(connection)


def send_too_much(address: str) -> None:
    """A message beyond gRPC's limit, and a length that its bytes do not have."""
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(METHOD)
        with contextlib.suppress(grpc.RpcError):
            call(bytes(20_000_000), timeout=10)
    with connect(address) as connection:
        connection.sendall(frame(HEADERS, END_HEADERS, 1, header_block()))
        connection.sendall(frame(DATA, END_STREAM, 1, struct.pack(">BI", 0, 1 << 31) + b"x"))


def call_and_leave(address: str) -> None:
    """Calls by grpcio that are cancelled at some moment, and calls with hardly any time."""
    images = np.zeros((30, 784), np.uint8)
    request = pb.ClassifyRequest(images=images.tobytes(), data_type=pb.DATA_TYPE_UINT8)
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(METHOD, request_serializer=pb.ClassifyRequest.SerializeToString)
        for _ in range(20):
            calls = [call.future(request, timeout=random.uniform(1e-4, 0.02)) for _ in range(10)]  # noqa: S311
            for each in random.sample(calls, 5):
                each.cancel()
            for each in calls:
                with contextlib.suppress(grpc.RpcError, grpc.FutureCancelledError):
                    each.result()


ABUSES: Final[tuple[Abuse, ...]] = (
    send_garbage,
    open_streams_and_leave,
    hold_streams_open,
    reset_in_each_state,
    never_read,
    be_killed_mid_call,
    send_too_much,
    call_and_leave,
)

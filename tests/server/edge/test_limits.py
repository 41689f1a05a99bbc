"""What one caller can bring with it, beside its messages."""

import socket
from collections.abc import Callable
from contextlib import ExitStack

import grpc
import pytest
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from flatdense_server.edge.server import MAX_METADATA_BYTES, GrpcServer

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


@pytest.mark.usefixtures("served")
def test_headers_are_bounded(stub: ClassifierStub) -> None:
    """Always at the same size, and what is smaller is never refused; the next call is answered."""
    for _ in range(5):
        assert stub.GetModel(pb.GetModelRequest(), metadata=(("x", "a" * 14_000),), timeout=20)
        with pytest.raises(grpc.RpcError) as caught:
            stub.GetModel(
                pb.GetModelRequest(), metadata=(("x", "a" * MAX_METADATA_BYTES),), timeout=20
            )
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.usefixtures("served")
def test_there_are_not_any_number_of_connections(
    start_server: Callable[..., GrpcServer], connect: Callable[[GrpcServer], grpc.Channel]
) -> None:
    """One too many is closed as it comes; when the others have gone there is a place again."""
    server = start_server(max_connections=3)
    with ExitStack() as stack:
        first: list[bytes] = []
        for _ in range(4):
            caller = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 20))
            caller.sendall(PREFACE)
            try:
                first.append(caller.recv(9))
            except ConnectionError:
                first.append(b"")
        assert [bool(received) for received in first] == [True, True, True, False]
    stub = ClassifierStub(connect(server))
    assert stub.GetModel(pb.GetModelRequest(), timeout=20, wait_for_ready=True)

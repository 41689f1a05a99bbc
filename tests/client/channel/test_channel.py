"""What becomes of connections that are cut, or go silent."""

import socket
import struct
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from flatdense_client import Client
from flatdense_client._channel.addresses import read_destination
from flatdense_client._channel.channel import channel_options
from flatdense_proto.v1.classifier_pb2 import ClassifyResponse, GetModelResponse
from flatdense_proto.v1.classifier_pb2_grpc import (
    ClassifierServicer,
    add_ClassifierServicer_to_server,
)


@pytest.mark.parametrize(
    ("address", "is_direct"),
    [
        ("localhost:8500", True),
        ("127.0.0.9:1", True),
        ("[::1]:1", True),
        ("localhost.example:1", False),
    ],
)
def test_no_proxy_for_this_machine(address: str, is_direct: bool) -> None:
    """A proxy of the environment is used for other machines alone."""
    options = channel_options(read_destination(address), None)
    assert (("grpc.enable_http_proxy", 0) in options) is is_direct


class One(ClassifierServicer):
    """Says 1 of everything."""

    def Classify(self, request: object, context: object) -> ClassifyResponse:  # noqa: ARG002, N802
        """One row."""
        probabilities = np.eye(10, dtype="<f4")[1]
        return ClassifyResponse(probabilities=probabilities.tobytes(), classes=[1], model_version=1)

    def GetModel(self, request: object, context: object) -> GetModelResponse:  # noqa: ARG002, N802
        """Of no interest."""
        return GetModelResponse(version=1)


def test_a_connection_that_is_cut_while_it_is_made_hurts_no_call() -> None:
    """As where a worker dies that had it in its backlog: the next one is there in time."""
    dying = socket.socket()
    dying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    dying.bind(("127.0.0.1", 0))
    dying.listen()
    address = "{}:{}".format(*dying.getsockname())
    with ThreadPoolExecutor(1) as pool, Client(address) as client:
        prediction = pool.submit(client.classify, np.zeros((28, 28), np.uint8))
        connection, _ = dying.accept()
        dying.close()
        server = grpc.server(ThreadPoolExecutor(2))
        add_ClassifierServicer_to_server(One(), server)
        server.add_insecure_port(address)
        server.start()
        # Closed with an end that is no end: as the kernel does for a process that is gone.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        assert prediction.result(30)[0].label == "1"
    server.stop(None).wait()

"""Whatever bytes a stranger sends, the server answers with a clear status and goes on serving."""

from collections.abc import Iterator

import grpc
import numpy as np
import pytest
from flatdense_client import Client
from flatdense_proto.v1 import classifier_pb2 as pb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server_process import ServerProcess

pytestmark = pytest.mark.xdist_group("server")

CLASSIFY = "/flatdense.v1.Classifier/Classify"
SEVERAL = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def channel(server: ServerProcess) -> Iterator[grpc.Channel]:
    """A connection that sends whatever bytes it is given."""
    with grpc.insecure_channel(server.address) as channel:
        yield channel


@pytest.fixture
def expected(server: ServerProcess) -> Iterator[None]:
    """A well-behaved caller gets the same answer before and after the test."""
    image = np.random.default_rng(3).integers(0, 256, (28, 28), dtype=np.uint8)
    with Client(server.address) as client:
        before = client.classify(image).probabilities
        yield
        np.testing.assert_array_equal(client.classify(image).probabilities, before)


def status_of(channel: grpc.Channel, method: str, data: bytes) -> grpc.StatusCode:
    """How a call with raw bytes ends."""
    call = channel.unary_unary(method)
    try:
        call(data, timeout=30)
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


@SEVERAL
@given(data=st.binary(max_size=4000))
@pytest.mark.usefixtures("expected")
def test_random_bytes_are_refused_as_bad_input(channel: grpc.Channel, data: bytes) -> None:
    """Bytes that are no request of at least one row end with INVALID_ARGUMENT."""
    codes = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}
    assert status_of(channel, CLASSIFY, data) in codes


@SEVERAL
@given(
    cut=st.integers(1, 784 * 3),
    rows=st.integers(1, 3),
    data_type=st.sampled_from([pb.DATA_TYPE_UINT8, pb.DATA_TYPE_FP32]),
)
@pytest.mark.usefixtures("expected")
def test_a_request_cut_short_is_refused_as_bad_input(
    channel: grpc.Channel, cut: int, rows: int, data_type: pb.DataType
) -> None:
    """A truncated message is never answered as if it were whole."""
    row_bytes = 784 if data_type == pb.DATA_TYPE_UINT8 else 3136
    whole = pb.ClassifyRequest(data_type=data_type, images=bytes(rows * row_bytes))
    data = whole.SerializeToString()
    cut = min(cut, len(data) - 1)
    assert status_of(channel, CLASSIFY, data[:-cut]) is grpc.StatusCode.INVALID_ARGUMENT


def test_an_unknown_method_is_unimplemented(channel: grpc.Channel) -> None:
    """A method that does not exist says so, and nothing else happens."""
    method = "/flatdense.v1.Classifier/Classifi"
    assert status_of(channel, method, b"") is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.usefixtures("expected")
def test_a_huge_message_is_refused_by_its_size(channel: grpc.Channel) -> None:
    """A message beyond every limit ends with RESOURCE_EXHAUSTED before it is read as a request."""
    data = pb.ClassifyRequest(data_type=1, images=bytes(32 << 20)).SerializeToString()
    assert status_of(channel, CLASSIFY, data) is grpc.StatusCode.RESOURCE_EXHAUSTED

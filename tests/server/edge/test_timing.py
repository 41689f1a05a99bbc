"""Who asks is told what a call took."""

import re
from collections.abc import Callable

import grpc
import pytest
from flatdense_proto.twin import inference_pb2 as oip
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_server.edge.timing import TRAILER, WANTED
from flatdense_server.tensors import Rows

ASKING = ((WANTED, "1"),)

WRITTEN = re.compile(
    r"queue;dur=([\d.]+), compute;dur=([\d.]+), total;dur=([\d.]+), batch;desc=(\d+)"
)


def infer_request(rows: Rows) -> bytes:
    """A ModelInferRequest."""
    tensor = {"name": "images", "datatype": "UINT8", "shape": rows.shape}
    return oip.ModelInferRequest(
        inputs=[tensor], raw_input_contents=[rows.tobytes()]
    ).SerializeToString()


METHODS: dict[str, Callable[[Rows], bytes]] = {
    "flatdense.v1.Classifier/Classify": lambda rows: pb.ClassifyRequest(
        images=rows.tobytes(), data_type=pb.DATA_TYPE_UINT8
    ).SerializeToString(),
    "flatdense.v1.Classifier/Explain": lambda rows: pb.ExplainRequest(
        images=rows.tobytes(), data_type=pb.DATA_TYPE_UINT8
    ).SerializeToString(),
    "inference.GRPCInferenceService/ModelInfer": infer_request,
}


def trailers_of(
    channel: grpc.Channel, method: str, request: bytes, metadata: tuple[tuple[str, str], ...] = ()
) -> dict[str, str]:
    """What comes after the answer."""
    call = channel.unary_unary(f"/{method}")
    _answer, ended = call.with_call(request, timeout=30, metadata=metadata)
    return dict(ended.trailing_metadata())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.usefixtures("served")
def test_who_asks_is_told(
    channel: grpc.Channel, method: str, draw_rows: Callable[..., Rows]
) -> None:
    """The parts of the time are no more than all of it, and the batch has the call's rows."""
    trailers = trailers_of(channel, method, METHODS[method](draw_rows(3)), ASKING)
    written = WRITTEN.fullmatch(trailers[TRAILER])
    assert written, trailers
    queue_ms, compute_ms, total_ms = map(float, written.groups()[:3])
    assert queue_ms >= 0
    assert compute_ms > 0
    assert queue_ms + compute_ms <= total_ms + 0.002  # each is rounded
    assert written[4] == "3"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.usefixtures("served")
def test_who_does_not_ask_is_not(
    channel: grpc.Channel, method: str, draw_rows: Callable[..., Rows]
) -> None:
    """Nothing is sent beside the answer."""
    assert TRAILER not in trailers_of(channel, method, METHODS[method](draw_rows(1)))

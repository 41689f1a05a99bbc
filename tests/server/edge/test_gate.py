"""Tokens on the gRPC port, on both lanes: which call wants which, and when it is told."""

import threading
from collections.abc import Callable, Iterator

import grpc
import pytest
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_server.edge.gate import ADMINISTRATIVE, OPEN, scope_of
from flatdense_server.edge.server import CODECS, STREAM_CODECS, GrpcServer
from flatdense_server.security.access import Access
from flatdense_server.security.tokens import Token, hash_token
from flatdense_server.tensors import Rows
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

ALICE, ROBOT = "fd_alice", "fd_robot"

TOKENS = (
    Token("alice", frozenset({"inference"}), hash_token(ALICE.encode())),
    Token("robot", frozenset({"admin"}), hash_token(ROBOT.encode())),
)

OIP = "inference.GRPCInferenceService"

CLASSIFYING = [codec.method for codec in CODECS]
STREAMS = [codec.method for codec in STREAM_CODECS]
OTHERS = [
    *(f"flatdense.v1.Classifier/{rpc}" for rpc in ("Explain", "GetModel")),
    *(f"{OIP}/{rpc}" for rpc in ("ServerMetadata", "ModelMetadata", "ModelConfig")),
    f"{OIP}/ModelStatistics",
    "tensorflow.serving.PredictionService/GetModelMetadata",
    "tensorflow.serving.ModelService/GetModelStatus",
]
REFLECTION = "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

Metadata = tuple[tuple[str, str], ...]


def bearer(token: str) -> Metadata:
    """A call's metadata."""
    return (("authorization", f"Bearer {token}"),)


@pytest.fixture
def access() -> Access:
    """What the server knows, for a test to change."""
    return Access(TOKENS)


@pytest.fixture
def channel(
    start_server: Callable[..., GrpcServer],
    connect: Callable[[GrpcServer], grpc.Channel],
    access: Access,
) -> grpc.Channel:
    """To a server that wants tokens."""
    return connect(start_server(access=access))


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Lets requests end that wait for it."""
    event = threading.Event()
    yield event
    event.set()


def refusal(channel: grpc.Channel, method: str, metadata: Metadata, **options: object) -> object:
    """How a call ends of which no message was sent, nor will be before it has ended."""

    def never() -> Iterator[bytes]:
        """Nothing, for ever."""
        threading.Event().wait(30)
        yield b""

    call = channel.stream_stream(f"/{method}")(never(), metadata=metadata, timeout=20, **options)
    with pytest.raises(grpc.RpcError) as caught:
        next(iter(call))
    return caught.value.code(), caught.value.details()


UNKNOWN = (grpc.StatusCode.UNAUTHENTICATED, "a valid token is required.")
NOT_FOR_THIS = (grpc.StatusCode.PERMISSION_DENIED, "the token is not for this.")


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("method", [*CLASSIFYING, *STREAMS, *OTHERS, REFLECTION])
def test_who_has_no_token_is_refused_before_a_message_is_read(
    channel: grpc.Channel, method: str
) -> None:
    """Missing and wrong in the same words, a token for something else in others."""
    for metadata in ((), bearer("wrong"), (("authorization", ALICE),)):
        assert refusal(channel, method, metadata) == UNKNOWN
    assert refusal(channel, method, bearer(ROBOT)) == NOT_FOR_THIS


@pytest.mark.parametrize("method", sorted(ADMINISTRATIVE))
def test_who_administers_has_a_token_for_that(channel: grpc.Channel, method: str) -> None:
    """A token for inference does not do; with the right one it is the server's turn to say no."""
    assert refusal(channel, method, ()) == UNKNOWN
    assert refusal(channel, method, bearer(ALICE)) == NOT_FOR_THIS
    with pytest.raises(grpc.RpcError, match="--model-control"):
        channel.unary_unary(f"/{method}")(b"", metadata=bearer(ROBOT), timeout=20)


@pytest.mark.usefixtures("served")
def test_who_has_the_token_is_answered(
    channel: grpc.Channel,
    draw_rows: Callable[..., Rows],
    request_of: Callable[[Rows], pb.ClassifyRequest],
    check_answer: Callable[[pb.ClassifyResponse, Rows], None],
) -> None:
    """By calls, by streams, and by what describes the model."""
    rows = draw_rows(2)
    message = request_of(rows).SerializeToString()
    classify = channel.unary_unary("/flatdense.v1.Classifier/Classify")
    answer = classify(message, metadata=bearer(ALICE), timeout=20)
    check_answer(pb.ClassifyResponse.FromString(answer), rows)
    stream = channel.stream_stream("/flatdense.v1.Classifier/ClassifyStream")
    for answer in stream(iter([message] * 3), metadata=bearer(ALICE), timeout=20):
        check_answer(pb.ClassifyResponse.FromString(answer), rows)
    describe = channel.unary_unary("/flatdense.v1.Classifier/GetModel")
    assert describe(b"", metadata=bearer(ALICE), timeout=20)


def test_probes_need_no_token(channel: grpc.Channel) -> None:
    """Health, and what of the Open Inference Protocol is health."""
    for method in sorted(OPEN):
        call = channel.unary_stream(f"/{method}")(b"", metadata=bearer("wrong"), timeout=20)
        assert next(iter(call)) is not None
        call.cancel()


@pytest.mark.usefixtures("served")
def test_reflection_wants_a_token(channel: grpc.Channel) -> None:
    """With one it names the services."""
    request = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
    call = channel.stream_stream(f"/{REFLECTION}")(
        iter([request]), metadata=bearer(ALICE), timeout=20
    )
    (answer,) = call
    assert b"flatdense.v1.Classifier" in answer


def test_what_is_not_served_is_not_counted(
    channel: grpc.Channel, sample: Callable[..., float | None]
) -> None:
    """Strangers cannot make series by making up methods."""
    code, _ = refusal(channel, "flatdense.v1.Classifier/Guess", ())
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert sample("flatdense_rejected_total", {"reason": "unauthenticated"}) is None


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("method", [CLASSIFYING[0], STREAMS[0], OTHERS[0]])
def test_refusals_are_counted(
    channel: grpc.Channel,
    method: str,
    sample: Callable[..., float | None],
    draw_rows: Callable[..., Rows],
    request_of: Callable[[Rows], pb.ClassifyRequest],
) -> None:
    """By their codes and by their reasons; before the next call is answered."""
    for metadata in ((), (), bearer(ROBOT)):
        refusal(channel, method, metadata)
    classify = channel.unary_unary("/flatdense.v1.Classifier/Classify")
    message = request_of(draw_rows(1)).SerializeToString()
    assert classify(message, metadata=bearer(ALICE), timeout=20)
    for code, reason, times in (
        ("UNAUTHENTICATED", "unauthenticated", 2),
        ("PERMISSION_DENIED", "forbidden", 1),
    ):
        labels = {"method": method, "model": "", "version": "", "code": code}
        assert sample("flatdense_requests_total", labels) == times
        assert sample("flatdense_rejected_total", {"reason": reason}) == times


@pytest.mark.usefixtures("served")
def test_a_stream_outlives_its_token_and_a_call_does_not(
    channel: grpc.Channel,
    access: Access,
    released: threading.Event,
    draw_rows: Callable[..., Rows],
    request_of: Callable[[Rows], pb.ClassifyRequest],
) -> None:
    """What was let in stays; the next one meets the tokens of its time."""
    message = request_of(draw_rows(1)).SerializeToString()

    def requests() -> Iterator[bytes]:
        """One now, one when it is time."""
        yield message
        released.wait(20)
        yield message

    stream = channel.stream_stream("/flatdense.v1.Classifier/ClassifyStream")
    call = stream(requests(), metadata=bearer(ALICE), timeout=30)
    assert next(call)
    access.replace(TOKENS[1:])
    for method in (CLASSIFYING[0], STREAMS[0], OTHERS[0]):
        assert refusal(channel, method, bearer(ALICE)) == UNKNOWN
    released.set()
    assert next(call)


@pytest.mark.usefixtures("served")
def test_without_tokens_nobody_is_asked(
    start_server: Callable[..., GrpcServer], connect: Callable[[GrpcServer], grpc.Channel]
) -> None:
    """Whatever a call says of itself."""
    channel = connect(start_server())
    describe = channel.unary_unary("/flatdense.v1.Classifier/GetModel")
    assert describe(b"", metadata=bearer("x"), timeout=20)
    check = channel.unary_unary("/grpc.health.v1.Health/Check")
    assert health_pb2.HealthCheckResponse.FromString(check(b"", timeout=20))


def test_what_is_added_later_wants_a_token() -> None:
    """Nothing is open because nobody thought of it."""
    assert scope_of("flatdense.v2.Other/Method") == "inference"

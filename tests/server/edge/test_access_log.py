"""The access log: a line for a share of the calls, which says what is known of each."""

import json
import logging
import threading
from collections.abc import Callable, Iterator

import grpc
import numpy as np
import pytest
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from flatdense_server.edge.scribe import make_scribe
from flatdense_server.edge.server import GrpcServer
from flatdense_server.observe.logs import access_log
from flatdense_server.observe.logs.access_log import AccessLog, make_access_log
from flatdense_server.observe.logs.logs import JsonFormatter, TextFormatter
from flatdense_server.security.access import Access
from flatdense_server.security.tokens import Token, hash_token
from flatdense_server.tensors import Rows
from google.protobuf.message import Message

TRACE = "0af7651916cd43dd8448eb211c80319c"
NAMED = (
    ("x-request-id", "seven"),
    ("traceparent", f"00-{TRACE}-b7ad6b7169203331-01"),
)
CLASSIFY = "flatdense.v1.Classifier/Classify"


class Lines(logging.Handler):
    """The lines of the access log as objects, without time, level and event."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[dict[str, object]] = []
        self._changed = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        line = json.loads(JsonFormatter().format(record))
        with self._changed:
            self.all.append({key: line[key] for key in line.keys() - {"time", "level", "event"}})
            self._changed.notify_all()

    def one(self, **particulars: object) -> dict[str, object]:
        """The one with these particulars, waiting for it: it comes after the answer."""

        def find() -> dict[str, object] | None:
            wanted = particulars.items()
            return next((line for line in self.all if wanted <= line.items()), None)

        with self._changed:
            assert self._changed.wait_for(find, 20), self.all
            found = find()
            assert found is not None
            return found


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Of this test."""
    kept, level = Lines(), access_log.log.level
    access_log.log.addHandler(kept)
    access_log.log.setLevel(logging.DEBUG)
    yield kept
    access_log.log.removeHandler(kept)
    access_log.log.setLevel(level)


@pytest.fixture
def logged(
    start_server: Callable[..., GrpcServer], connect: Callable[[GrpcServer], grpc.Channel]
) -> Callable[..., ClassifierStub]:
    """Callers of a server with an access log."""

    def begin(sample: float, **options: object) -> ClassifierStub:
        """By the share of the calls."""
        scribe = make_scribe(make_access_log(sample), None)
        return ClassifierStub(connect(start_server(scribe=scribe, **options)))

    return begin


@pytest.mark.usefixtures("served")
def test_a_line_says_what_became_of_a_call(
    logged: Callable[..., ClassifierStub],
    lines: Lines,
    draw_rows: Callable[..., Rows],
    request_of: Callable[..., Message],
) -> None:
    """Who asked what of whom, how it ended, and how long each part took."""
    stub = logged(1)
    stub.Classify(request_of(draw_rows(3)), timeout=30, metadata=NAMED)
    line = lines.one(method=CLASSIFY)
    peer, duration_s = line.pop("peer"), line.pop("duration_s")
    assert peer.startswith("ipv4:127.0.0.1:")
    assert 0 <= line.pop("queue_s") + line.pop("compute_s") <= duration_s + 3e-6  # each is rounded
    assert line == {
        "method": CLASSIFY,
        "model": "mnist",
        "version": "1",
        "code": "OK",
        "rows": 3,
        "request_id": "seven",
        "trace_id": TRACE,
    }


@pytest.mark.usefixtures("served")
def test_a_call_that_fails_has_a_line(logged: Callable[..., ClassifierStub], lines: Lines) -> None:
    """With its status, and the id that the caller was told."""
    stub = logged(1)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Classify(pb.ClassifyRequest(), timeout=30)
    line = lines.one(method=CLASSIFY)
    assert line["code"] == "INVALID_ARGUMENT"
    assert line["request_id"] == dict(caught.value.trailing_metadata())["x-request-id"]
    assert "trace_id" not in line


@pytest.mark.usefixtures("served")
def test_a_stream_has_one_line(
    logged: Callable[..., ClassifierStub],
    lines: Lines,
    draw_rows: Callable[..., Rows],
    request_of: Callable[..., Message],
) -> None:
    """Of all its messages together."""
    stub = logged(1)
    request = request_of(draw_rows(2))
    assert len(list(stub.ClassifyStream(iter([request] * 5), timeout=30, metadata=NAMED))) == 5
    line = lines.one(method=f"{CLASSIFY}Stream")
    assert (line["code"], line["rows"], line["version"]) == ("OK", 10, "1")
    assert line["request_id"] == "seven"


def test_who_may_not_call_has_a_line(logged: Callable[..., ClassifierStub], lines: Lines) -> None:
    """An operator sees from where it is tried, by any method."""
    access = Access((Token("one", frozenset({"inference"}), hash_token(b"secret")),))
    stub = logged(1, access=access)
    for ask in (
        lambda: stub.Classify(pb.ClassifyRequest(), timeout=30),
        lambda: stub.GetModel(pb.GetModelRequest(), timeout=30),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            ask()
        told = dict(caught.value.trailing_metadata())["x-request-id"]
        line = lines.one(request_id=told)
        assert line["code"] == "UNAUTHENTICATED"
        assert line["peer"].startswith("ipv4:127.0.0.1:")


@pytest.mark.usefixtures("served")
def test_without_a_sample_there_is_no_line(
    logged: Callable[..., ClassifierStub],
    lines: Lines,
    draw_rows: Callable[..., Rows],
    request_of: Callable[..., Message],
) -> None:
    """Nobody is even told of calls."""
    assert make_scribe(make_access_log(0), None) is None
    stub = logged(0)
    stub.Classify(request_of(draw_rows(1)), timeout=30)
    assert lines.all == []


def test_the_share_is_kept() -> None:
    """Of many calls, about as many are drawn as the sample says."""
    quarter = AccessLog(0.25)
    drawn = sum(quarter.is_drawn() for _ in range(10_000))
    assert 2_000 < drawn < 3_000
    assert all(AccessLog(1).is_drawn() for _ in range(1_000))


@pytest.mark.usefixtures("served")
def test_no_line_has_a_secret_or_a_pixel(
    logged: Callable[..., ClassifierStub],
    caplog: pytest.LogCaptureFixture,
    faults: list[Exception],
    request_of: Callable[..., Message],
) -> None:
    """Whatever callers send, at whatever level is logged, and where the server fails, too."""
    caplog.set_level(logging.DEBUG)
    access = Access((Token("one", frozenset({"inference"}), hash_token(b"opensesame")),))
    stub = logged(1, access=access)
    pixels = np.frombuffer(b"PIXELS-OF-A-DIGIT" * 47, np.uint8)[:784].reshape(1, 784)
    odd = (("x-odd", "metadata of mine"), ("x-odd-bin", b"12:34:56.789 INFO\nforged"))
    for authorization in ("Bearer opensesame", "Bearer wrongsesame", "Basic wrongsesame"):
        faults.append(ValueError("tired"))
        for message in (request_of(pixels), pb.ClassifyRequest(images=pixels.tobytes()[:-1])):
            with pytest.raises(grpc.RpcError):
                stub.Classify(
                    message, timeout=30, metadata=(("authorization", authorization), *odd)
                )
    told = "\n".join(
        formatter.format(record)
        for record in caplog.records
        for formatter in (JsonFormatter(), TextFormatter())
    )
    assert "request failed" in told
    for secret in ("sesame", "of mine", "forged", "PIXELS", repr(pixels.tobytes())[2:30]):
        assert secret not in told

"""Each request by HTTP has an id, and where it is wanted a line and a span."""

import json
import logging
from collections.abc import Callable, Iterator

import grpc
import httpx
import pytest
from flatdense_proto.twin import inference_pb2 as oip
from flatdense_server.http.app import make_app
from flatdense_server.http.backend import Backend
from flatdense_server.observe.logs.access_log import AccessLog
from flatdense_server.observe.logs.logs import JsonFormatter
from flatdense_server.observe.metrics.exposition import Exposition
from flatdense_server.observe.traces.journey import Tracer, open_tracer
from otlp_collector import Collector, read_attributes

HEADER = "x-request-id"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"

INFER = "/v2/models/mnist/infer"
IMAGE = {"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, 784], "data": [0] * 784}]}

TIMING = (
    "queue;dur=1.500, compute;dur=2.250, total;dur=4.000, batch;desc=8, rows;desc=1, version;desc=3"
)

Told = list[dict[str, str]]


@pytest.fixture
def told(replies: dict[str, object]) -> Told:
    """The metadata of each call that the worker got; it answers with times."""
    seen: Told = []

    def answer(_request: bytes, context: grpc.ServicerContext) -> oip.ModelInferResponse:
        """An answer without tensors."""
        seen.append(dict(context.invocation_metadata()))
        context.set_trailing_metadata((("server-timing", TIMING),))
        return oip.ModelInferResponse(model_name="mnist", model_version="3")

    replies["ModelInfer"] = answer
    replies["ServerMetadata"] = (grpc.StatusCode.INTERNAL, "it failed under id 7.")
    return seen


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Where spans go."""
    with Collector() as collector:
        yield collector


@pytest.fixture
def tracer(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracer]:
    """Sends to the collector what callers keep, and begins no trace."""
    for name, value in collector.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    tracer = open_tracer("otlp", lambda _spans: None)
    assert tracer
    yield tracer
    tracer.close(5)


@pytest.fixture
def ask_told(
    backend: Backend, exposition: Exposition, transport_of: Callable[..., httpx.BaseTransport]
) -> Callable[..., httpx.Client]:
    """Clients of an application with an access log and a tracer, where they are given."""

    def open_client(
        access_log: AccessLog | None = None, tracer: Tracer | None = None
    ) -> httpx.Client:
        """See the fixture."""
        app = make_app(
            backend, exposition, max_request_rows=1, access_log=access_log, tracer=tracer
        )
        return httpx.Client(transport=transport_of(app), base_url="http://here")

    return open_client


def lines(caplog: pytest.LogCaptureFixture, event: str = "request") -> list[dict[str, object]]:
    """As objects."""
    made = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    return [line for line in made if line["event"] == event]


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", INFER, 400),
        ("GET", "/nothing", 404),
        ("DELETE", "/v2", 405),
        ("GET", "/v2", 500),
    ],
)
def test_an_error_has_an_id(client: httpx.Client, method: str, path: str, status: int) -> None:
    """The caller's own, or another one where that is missing or cannot be used."""
    ids = []
    for sent in ({HEADER: "caller 7/a"}, {}, {HEADER: "x" * 129}, {HEADER: "grün".encode()}):
        answer = client.request(method, path, headers=sent)
        assert answer.status_code == status
        assert answer.headers.get_list(HEADER) == [answer.headers[HEADER]]
        ids.append(answer.headers[HEADER])
    assert ids[0] == "caller 7/a"
    assert len(set(ids)) == 4
    assert all(len(each) < 129 and each.isascii() for each in ids)


def test_a_good_answer_has_the_id_that_was_sent(client: httpx.Client, told: Told) -> None:
    """The worker is told it, and of the trace; who sends none gets none."""
    sent = {HEADER: "seven", "traceparent": TRACEPARENT, "tracestate": "vendor=1"}
    answer = client.post(INFER, json=IMAGE, headers=sent)
    assert answer.status_code == 200
    assert answer.headers[HEADER] == "seven"
    assert sent.items() <= told[0].items()
    assert HEADER not in client.post(INFER, json=IMAGE).headers
    assert told[1][HEADER]
    assert "traceparent" not in told[1]


def test_who_asks_for_it_is_told_what_the_worker_took(client: httpx.Client, told: Told) -> None:
    """In the header that has it in HTTP; who does not ask is not told, and nor is the worker."""
    answer = client.post(INFER, json=IMAGE, headers={"flatdense-timing": "1"})
    assert answer.headers["server-timing"] == TIMING
    assert told[0]["flatdense-timing"]
    assert "server-timing" not in client.post(INFER, json=IMAGE).headers
    assert "flatdense-timing" not in told[1]


def test_an_unexpected_failure_is_logged_with_its_id(
    open_client: Callable[[Backend], httpx.Client], caplog: pytest.LogCaptureFixture
) -> None:
    """The caller hears of no cause; the log has the traceback, once."""

    def fail() -> list[str]:
        """Where the workers are."""
        raise ValueError("too tired")

    with Backend("mnist", fail) as backend:
        answer = open_client(backend).get("/v2", headers={HEADER: "seven"})
    assert (answer.status_code, answer.headers[HEADER]) == (500, "seven")
    assert "tired" not in answer.text
    (line,) = lines(caplog, "request failed")
    assert (line["request_id"], line["method"]) == ("seven", "GET /v2")
    assert "too tired" in str(line["traceback"])


@pytest.mark.usefixtures("told")
def test_a_request_has_a_line(
    ask_told: Callable[..., httpx.Client], caplog: pytest.LogCaptureFixture
) -> None:
    """Who asked for what, how it ended, and what the worker said of it."""
    caplog.set_level(logging.INFO)
    client = ask_told(AccessLog(1))
    client.post(INFER, json=IMAGE, headers={HEADER: "seven", "traceparent": TRACEPARENT})
    client.get("/a%0a12:34:56.789 INFO    ready?token=secret")
    good, bad = lines(caplog)
    assert good.pop("duration_s") >= 0
    assert good.pop("peer").startswith("ipv4:127.0.0.1:")
    assert {key: good[key] for key in good.keys() - {"time", "level", "event"}} == {
        "method": "POST /v2/models/{model}/infer",
        "code": "200",
        "model": "mnist",
        "version": "3",
        "rows": 1,
        "queue_s": 0.0015,
        "compute_s": 0.00225,
        "request_id": "seven",
        "trace_id": TRACE,
    }
    assert bad["code"] == "404"
    assert "secret" not in str(bad)


@pytest.mark.usefixtures("told")
def test_probes_and_scrapes_have_none(
    ask_told: Callable[..., httpx.Client], caplog: pytest.LogCaptureFixture
) -> None:
    """They come for ever."""
    caplog.set_level(logging.INFO)
    client = ask_told(AccessLog(1))
    for path in ("/healthz", "/metrics"):
        assert client.get(path).status_code == 200
    assert lines(caplog) == []


def test_a_span_is_between_the_callers_and_the_workers(
    ask_told: Callable[..., httpx.Client], told: Told, tracer: Tracer, collector: Collector
) -> None:
    """In the one trace; what the caller does not keep, the worker is told not to keep."""
    client = ask_told(None, tracer)
    client.post(INFER, json=IMAGE, headers={"traceparent": TRACEPARENT, "tracestate": "vendor=1"})
    client.post(INFER, json=IMAGE)
    client.post(INFER, json=IMAGE, headers={"traceparent": TRACEPARENT[:-1] + "0"})
    tracer.close(5)
    (span,) = collector.spans
    assert span.name == "POST /v2/models/{model}/infer"
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    attributes = read_attributes(span.attributes)
    assert attributes["http.request.method"] == "POST"
    assert attributes["http.route"] == "/v2/models/{model}/infer"
    assert attributes["http.response.status_code"] == 200
    assert told[0]["traceparent"] == f"00-{TRACE}-{span.span_id.hex()}-01"
    assert told[0]["tracestate"] == "vendor=1"
    assert told[1]["traceparent"].endswith("-00")
    assert told[2]["traceparent"] == TRACEPARENT[:-1] + "0"

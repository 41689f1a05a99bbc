"""What a real Prometheus says of a real server is what its callers saw."""

import os
import re
import shutil
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import pytest
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families
from prometheus_process import Config, PrometheusProcess, Sample, promtool, scrape_config
from publishing import publish
from server_process import ServerProcess

pytestmark = pytest.mark.usefixtures("compiled")

StartPrometheus = Callable[[Config], PrometheusProcess]

METHOD = "flatdense.v1.Classifier/Classify"
GOOD = pb.ClassifyRequest(images=bytes(784), data_type=pb.DATA_TYPE_UINT8)
BAD = pb.ClassifyRequest(images=bytes(783), data_type=pb.DATA_TYPE_UINT8)

SHARED = Path("/dev/shm")

STORM = 40
"""Scrapers at a time."""

CALLS = 300
BAD_SHARE = 0.1
SAMPLES_AT_LEAST = 12

BUCKET_STEP = 1.3
"""From one bound of the buckets of times to the next."""

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"

ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<kind>\w+) \| (?P<unit>[^|]+) \| (?P<labels>[^|]*) \|")

OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


@pytest.fixture
def model_dir(exported_model: Path, tmp_path: Path) -> Path:
    """A model folder of the test's own, with version 1."""
    return Path(shutil.copytree(exported_model, tmp_path / "model"))


def start_server(model_dir: Path, *options: str) -> ServerProcess:
    """On the aot engine, following its folder closely."""
    return ServerProcess(
        *("--model-dir", str(model_dir), "--engine", "aot", "--poll-interval-s", "0.1"), *options
    )


@pytest.fixture(scope="module")
def server(exported_model: Path) -> Iterator[ServerProcess]:
    """Two workers, ready."""
    with start_server(exported_model, "--workers", "2") as process:
        process.ready()
        yield process


@pytest.fixture
def stub(server: ServerProcess) -> Iterator[ClassifierStub]:
    """A caller of the server."""
    with grpc.insecure_channel(server.address) as channel:
        yield ClassifierStub(channel)


def call(stub: ClassifierStub, request: pb.ClassifyRequest, *metadata: tuple[str, str]) -> str:
    """Gives the name of the status, whatever it is."""
    try:
        stub.Classify(request, timeout=30, metadata=metadata)
    except grpc.RpcError as error:
        name: str = error.code().name
        return name
    return "OK"


def scrape(server: ServerProcess, headers: dict[str, str] | None = None) -> str:
    """The metrics, as text."""
    request = urllib.request.Request(f"{server.page}metrics", headers=headers or {})
    with urllib.request.urlopen(request, timeout=30) as answer:
        text: str = answer.read().decode()
    return text


def test_the_document_and_the_server_name_the_same_metrics(
    server: ServerProcess, stub: ClassifierStub, repository: Path
) -> None:
    """Name, type and labels are the same in both, and each has a unit and a question."""
    for request in (GOOD, BAD):
        call(stub, request)
    rows = [
        (match, line)
        for line in (repository / "docs" / "metrics.md").read_text().splitlines()
        if (match := ROW.match(line))
    ]
    written = {match["name"]: match["kind"] for match, _line in rows}
    labels = {
        match["name"]: set(filter(None, match["labels"].strip().split(", "))) for match, _ in rows
    }
    served = {}
    for family in text_string_to_metric_families(scrape(server)):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        served[name] = family.type
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == labels.get(name), name
    assert served == written
    assert len(rows) == len(written)
    for match, line in rows:
        assert match["unit"].strip(), line
        assert line.endswith("? |") or "? " in line, line


def test_promtool_finds_nothing_to_complain_of(server: ServerProcess, stub: ClassifierStub) -> None:
    """Names, units and help are as Prometheus's own linter wants them."""
    for request in (GOOD, BAD):
        call(stub, request)
    assert promtool("check", "metrics", stdin=scrape(server)).strip() == ""


def test_p99_and_error_rate_are_what_callers_saw(
    server: ServerProcess, stub: ClassifierStub, start_prometheus: StartPrometheus
) -> None:
    """By PromQL: the share of bad calls, and a p99 between the server's word and the caller's."""
    for request in (GOOD, BAD):  # a rate begins at a series's second sample
        call(stub, request)
    prometheus = start_prometheus(scrape_config(server.page, interval_s=0.25))
    seen = f'flatdense_requests_total{{code="OK",method="{METHOD}"}}'
    (first,) = prometheus.wait_for(seen)
    took_s, told_s, codes = [], [], []
    for number in range(CALLS):
        request = BAD if number < CALLS * BAD_SHARE else GOOD
        started_s = time.monotonic()
        try:
            _answer, ended = stub.Classify.with_call(
                request, timeout=30, metadata=(("flatdense-timing", "1"),)
            )
        except grpc.RpcError as error:
            codes.append(error.code().name)
            continue
        took_s.append(time.monotonic() - started_s)
        codes.append("OK")
        timing = dict(ended.trailing_metadata())["server-timing"]
        told_s.append(float(re.search(r"total;dur=([\d.]+)", timing)[1]) / 1000)
    answered = codes.count("OK")
    prometheus.wait_for(seen, lambda found: found[0].value == first.value + answered)
    # Prometheus extrapolates a rate by up to half a scrape, which must be little of what it saw.
    prometheus.wait_for(
        f"count_over_time({seen}[1m])", lambda found: found[0].value >= SAMPLES_AT_LEAST
    )
    selected = f'method="{METHOD}"'
    (share,) = prometheus.wait_for(
        f'sum(increase(flatdense_requests_total{{code!="OK",{selected}}}[1m]))'
        f" / sum(increase(flatdense_requests_total{{{selected}}}[1m]))"
    )
    assert share.value == pytest.approx(BAD_SHARE, rel=0.25)
    p99_s = prometheus.value(
        "histogram_quantile(0.99, sum by (le) (rate("
        f"flatdense_request_duration_seconds_bucket{{{selected}}}[1m])))"
    )
    assert sorted(told_s)[int(answered * 0.9)] / BUCKET_STEP <= p99_s <= max(took_s) * BUCKET_STEP
    service, _, name = METHOD.partition("/")
    handled = prometheus.query(
        "sum by (grpc_code) (grpc_server_handled_total"
        f'{{grpc_type="unary",grpc_service="{service}",grpc_method="{name}"}})'
    )
    ours = prometheus.query(f"sum by (code) (flatdense_requests_total{{{selected}}})")
    assert {each.labels["grpc_code"]: each.value for each in handled} == {
        each.labels["code"]: each.value for each in ours
    }


def test_a_sampled_call_is_an_exemplar_in_prometheus(
    server: ServerProcess, stub: ClassifierStub, start_prometheus: StartPrometheus
) -> None:
    """Prometheus asks for OpenMetrics by itself, and stores the trace of the call."""
    prometheus = start_prometheus(scrape_config(server.page, interval_s=0.25))
    call(stub, GOOD, ("traceparent", f"00-{TRACE}-{SPAN}-01"))
    prometheus.wait_for("flatdense_request_duration_seconds_count")
    series = "flatdense_request_duration_seconds_bucket"
    ids = {"trace_id": TRACE, "span_id": SPAN}
    wait_until(lambda: ids in [each.labels for each in prometheus.exemplars(series)])


@pytest.mark.parametrize("lane", ["express", "standard"])
def test_each_lane_gives_exemplars(exported_model: Path, lane: str) -> None:
    """Of unary calls that ended well or badly, and of streams; of none that is not sampled."""

    def traced(number: int, flags: str = "01") -> tuple[str, str]:
        """The header of a trace."""
        return "traceparent", f"00-{number:032x}-{SPAN}-{flags}"

    with start_server(exported_model, "--workers", "1", "--lane", lane) as server:
        server.ready()
        with grpc.insecure_channel(server.address) as channel:
            stub = ClassifierStub(channel)
            # In turn: calls that took equally long share a bucket, which keeps the last.
            list(stub.ClassifyStream(iter([GOOD] * 3), timeout=30, metadata=[traced(1)]))
            wait_until(lambda: 1 in traces_of(server))
            assert call(stub, BAD, traced(2)) == "INVALID_ARGUMENT"
            wait_until(lambda: 2 in traces_of(server))
            assert call(stub, GOOD, traced(3, "00")) == "OK"
            assert call(stub, GOOD, traced(4)) == "OK"
            wait_until(lambda: 4 in traces_of(server))
            assert 3 not in traces_of(server)


def traces_of(server: ServerProcess) -> set[int]:
    """The traces of all exemplars."""
    return {
        int(sample.exemplar.labels["trace_id"], 16)
        for family in read_openmetrics(scrape(server, OPENMETRICS))
        for sample in family.samples
        if sample.exemplar
    }


def wait_until(is_so: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Asks until it is so: a call is counted after its answer. Raises TimeoutError."""
    end_s = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > end_s:
            raise TimeoutError
        time.sleep(0.02)


def test_a_version_that_is_gone_is_gone_from_prometheus(
    model_dir: Path, start_prometheus: StartPrometheus
) -> None:
    """A version replaces another: the series of the old one end, those of the new one begin."""

    def versions(samples: list[Sample]) -> set[str]:
        """That have series."""
        return {each.labels["version"] for each in samples if each.labels["version"]}

    with start_server(model_dir, "--workers", "2") as server:
        server.ready()
        prometheus = start_prometheus(scrape_config(server.page, interval_s=0.25))
        with grpc.insecure_channel(server.address) as channel:
            stub = ClassifierStub(channel)
            assert call(stub, GOOD) == "OK"
            every = '{__name__=~"flatdense_.+",model="mnist",version!=""}'
            prometheus.wait_for(every, lambda found: versions(found) == {"1"})
            handled = 'sum(grpc_server_handled_total{grpc_method="Classify"})'
            prometheus.wait_for(handled, lambda found: found[0].value == 1)
            publish(model_dir, 2)
            server.wait_for_many("swapped", 2)
            assert call(stub, GOOD) == "OK"
        prometheus.wait_for(every, lambda found: versions(found) == {"2"})
        prometheus.wait_for(handled, lambda found: found[0].value == 2)
        assert prometheus.value("max_over_time(flatdense_workers[1m])") == 2


def test_a_stranger_makes_no_series(server: ServerProcess, stub: ClassifierStub) -> None:
    """Models, versions, labels and methods that are not there add no label value."""
    call(stub, GOOD)

    def values() -> set[tuple[str, str]]:
        """Every value of every label, but for codes and buckets."""
        return {
            (name, value)
            for family in text_string_to_metric_families(scrape(server))
            for sample in family.samples
            for name, value in sample.labels.items()
            if name not in {"code", "grpc_code", "le", "version", "model"}
        }

    before = values()
    for number in range(20):
        request = pb.ClassifyRequest(images=bytes(784), data_type=pb.DATA_TYPE_UINT8)
        request.model.name = f"stranger-{number}"
        assert call(stub, request) == "NOT_FOUND"
        with grpc.insecure_channel(server.address) as channel, pytest.raises(grpc.RpcError):
            channel.unary_unary(f"/stranger.Service{number}/Method")(b"", timeout=30)
    assert values() == before
    assert "stranger" not in scrape(server)


def resident_mb(pid: int) -> float:
    """The memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_a_storm_of_scrapes_hurts_no_call(server: ServerProcess, stub: ClassifierStub) -> None:
    """A crowd that scrapes without a pause is answered, calls are too, and memory is bounded."""
    scrape(server)
    before_mb = resident_mb(server.pid)
    calls = 0
    with ThreadPoolExecutor(STORM) as pool:
        storm = [pool.submit(scrape, server) for _ in range(10 * STORM)]
        while not all(each.done() for each in storm):
            assert call(stub, GOOD) == "OK"
            calls += 1
        assert all("flatdense_build_info" in each.result() for each in storm)
    assert calls
    assert resident_mb(server.pid) - before_mb < 50


def count_and_crash(model_dir: Path, folder: Path) -> list[int]:
    """A server counts one call, which it had not counted before, and is killed; gives its ids."""
    counted = f'flatdense_requests_total{{code="OK",method="{METHOD}"'
    with ServerProcess(
        *("--model-dir", str(model_dir), "--engine", "aot", "--workers", "2"),
        variables={"TMPDIR": str(folder)},
    ) as server:
        server.ready()
        assert counted not in scrape(server)
        with grpc.insecure_channel(server.address) as channel:
            assert call(ClassifierStub(channel), GOOD) == "OK"
        wait_until(lambda: counted in scrape(server))
        pids = [server.pid, *server.worker_pids]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        server.wait()
    return pids


def test_a_crash_leaves_nothing_that_hurts_the_next_start(
    exported_model: Path,
) -> None:
    """Metrics have no folder and no name: after kill -9 of all, the next server counts from 0."""
    # Of its own and not pytest's: the path of a socket in it must be short.
    with TemporaryDirectory() as folder:
        for _ in range(2):
            pids = count_and_crash(exported_model, Path(folder))
            # Memory that is shared without a name had one for an instant, with its process's id.
            places = (Path(folder), SHARED)
            left = [path.name for place in places for path in place.rglob("pym-*")]
            assert not [name for name in left if any(f"pym-{pid}-" in name for pid in pids)]

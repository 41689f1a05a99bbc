"""What operators see of a night in which everything happens, and what callers see of it."""

import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from conftest import Images, ServerFiles
from flatdense_client import Client, FlatdenseError, Overloaded, Tls
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from prometheus_process import Config, PrometheusProcess, scrape_config
from publishing import publish
from server_process import ServerProcess

WORKERS: Final = 2
CALLERS: Final = 4
IMAGES: Final = 500

OPTIONS: Final = (
    *("--engine", "aot", "--workers", str(WORKERS), "--poll-interval-s", "0.1"),
    *("--max-queued-rows", "2048", "--drift-window-s", "10", "--drain-delay-s", "4"),
)

SLOWNESS: Final = {"FlatdenseLatencyHigh", "FlatdenseDeadlinesMissed", "FlatdenseInflightHigh"}
"""Alerts that the machine of the test may cause by itself."""


class Traffic:
    """Callers who classify digits without a pause and look at each answer."""

    def __init__(self, connect: Callable[[], Client], images: Images) -> None:
        self._connect = connect
        self._images = images
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self.outcomes: Counter[str] = Counter()
        """What became of the calls: "answered", "refused" (not accepted), or what went wrong."""

    @contextmanager
    def running(self, callers: int, rows: int = 1) -> Iterator[None]:
        """So many threads call with so many rows each time."""
        with self._connect() as client:
            expected = client.classify(self._images).classes
        threads = [
            threading.Thread(target=self._call, args=(seed, rows, expected))
            for seed in range(callers)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            for thread in threads:
                thread.join()

    def _call(self, seed: int, rows: int, expected: npt.NDArray[np.int64]) -> None:
        rng = np.random.default_rng(seed)
        with self._connect() as client:
            while not self._stopped.is_set():
                chosen = rng.integers(0, len(self._images), rows)
                outcome = self._classify(client, self._images[chosen], expected[chosen])
                with self._lock:
                    self.outcomes[outcome] += 1

    def _classify(self, client: Client, images: Images, expected: npt.NDArray[np.int64]) -> str:
        try:
            predictions = client.classify(images)
        except Overloaded:
            return "refused"
        except FlatdenseError as error:
            return repr(error)
        return "answered" if np.array_equal(predictions.classes, expected) else "wrong"


class Operator:
    """Somebody at night, who has Prometheus alone."""

    def __init__(self, prometheus: PrometheusProcess) -> None:
        self._prometheus = prometheus

    def wait_for(self, promql: str) -> None:
        """Until a query gives something."""
        self._prometheus.wait_for(promql, timeout_s=60)

    def wait_for_none(self, promql: str) -> None:
        """Until a query gives nothing any more."""
        self._prometheus.wait_for(promql, lambda samples: not samples, timeout_s=60)

    def wait_for_alert(self, name: str) -> None:
        """Until it is pending or fires; how long it must last is not what is asked here."""
        self.wait_for(f'ALERTS{{alertname="{name}"}}')

    def wait_for_calm(self, name: str) -> None:
        """Until it is over."""
        self.wait_for_none(f'ALERTS{{alertname="{name}"}}')

    @property
    def alerts(self) -> set[str]:
        """Those that were seen so far, by name."""
        seen = self._prometheus.query("count by (alertname) (max_over_time(ALERTS[1h]))")
        return {sample.labels["alertname"] for sample in seen}


@pytest.mark.usefixtures("compiled")
def test_each_event_shows_in_prometheus_and_loses_no_call(
    exported_model: Path,
    repository: Path,
    tmp_path: Path,
    server_files: ServerFiles,
    mnist_test: tuple[Images, Images],
    start_prometheus: Callable[[Config], PrometheusProcess],
) -> None:
    """Under load each event shows as documented, nothing else shows, and every call is answered."""
    model_dir = Path(shutil.copytree(exported_model, tmp_path / "model"))
    clean = mnist_test[0][:IMAGES]
    options = ("--model-dir", str(model_dir), *OPTIONS, *server_files.options)
    with ServerProcess(*options) as server:
        server.ready()

        def connect() -> Client:
            """With a connection of its own."""
            return Client(server.address, tls=Tls(ca=server_files.roots))

        rules = repository / "deploy" / "prometheus" / "alerts.yml"
        scraping = scrape_config(
            server.page,
            rules=[rules],
            interval_s=1,
            scheme="https",
            tls_config={"ca_file": str(server_files.roots_file)},
        )
        prometheus = start_prometheus({**scraping, "rule_files": []})
        prometheus.wait_for("up == 1")
        prometheus.reload(scraping)
        operator = Operator(prometheus)
        traffic = Traffic(connect, clean)
        with traffic.running(CALLERS):
            operator.wait_for("rate(flatdense_requests_total[10s]) > 0")
            load_a_version(operator, model_dir)
            refuse_a_version(operator, model_dir)
            drift(operator, Traffic(connect, 255 - clean))
            assert set(traffic.outcomes) == {"answered"}
            overload(operator, Traffic(connect, clean))
            refused = traffic.outcomes["refused"]
            kill_workers(operator, server)
            renew_the_certificate(operator, server_files)
        assert set(traffic.outcomes) <= {"answered", "refused"}, traffic.outcomes
        assert traffic.outcomes["refused"] == refused
        assert operator.alerts - SLOWNESS == {
            "FlatdenseVersionRefused",
            "FlatdenseDrift",
            "FlatdenseConfidenceLow",
            "FlatdenseOverload",
            "FlatdenseWorkersRestart",
            "FlatdenseCertificateExpires",
        }
        drain(operator, server, server_files)


def load_a_version(operator: Operator, model_dir: Path) -> None:
    """Version 2 takes over; the series of version 1 end."""
    publish(model_dir, 2)
    operator.wait_for('flatdense_model_state{version="2", state="ready"} == 1')
    operator.wait_for('rate(flatdense_rows_total{version="2"}[10s]) > 0')
    operator.wait_for_none('flatdense_rows_total{version="1"}')


def refuse_a_version(operator: Operator, model_dir: Path) -> None:
    """Version 3 is damaged: it is refused, version 2 serves, and its removal ends the alert."""
    publish(model_dir, 3, damaged=True)
    operator.wait_for_alert("FlatdenseVersionRefused")
    operator.wait_for('flatdense_model_state{version="2", state="ready"} == 1')
    shutil.rmtree(model_dir / "3")
    operator.wait_for_calm("FlatdenseVersionRefused")


def drift(operator: Operator, inverted: Traffic) -> None:
    """Somebody sends white paper as ink; when they stop, the window forgets them."""
    with inverted.running(1, rows=256):
        operator.wait_for_alert("FlatdenseDrift")
        operator.wait_for_alert("FlatdenseConfidenceLow")
    operator.wait_for_calm("FlatdenseDrift")
    operator.wait_for_calm("FlatdenseConfidenceLow")
    assert set(inverted.outcomes) == {"answered"}


def overload(operator: Operator, crowd: Traffic) -> None:
    """More comes than can be answered: what is accepted is answered, the rest is refused."""
    with crowd.running(8, rows=4096):
        operator.wait_for_alert("FlatdenseOverload")
    assert set(crowd.outcomes) == {"answered", "refused"}, crowd.outcomes


def kill_workers(operator: Operator, server: ServerProcess) -> None:
    """Three workers die, one after another, and are replaced."""
    for killed in range(1, 4):
        os.kill(server.worker_pids[0], signal.SIGKILL)
        operator.wait_for(f"flatdense_worker_restarts_total == {killed}")
        operator.wait_for(f"flatdense_workers == {WORKERS}")
    operator.wait_for_alert("FlatdenseWorkersRestart")


def renew_the_certificate(operator: Operator, server_files: ServerFiles) -> None:
    """One that ends tomorrow takes effect without a restart, and so does one that does not."""
    server_files.issue(not_after=datetime.now(UTC) + timedelta(days=1))
    operator.wait_for_alert("FlatdenseCertificateExpires")
    server_files.issue()
    operator.wait_for_calm("FlatdenseCertificateExpires")


def drain(operator: Operator, server: ServerProcess, server_files: ServerFiles) -> None:
    """Calls are answered through the delay, then refused; the target is gone, and no call lost."""
    callers = [LastCaller(server.address, server_files.roots) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    server.send(signal.SIGTERM)
    server.wait_for("draining")
    answered = 'flatdense_requests_total{code="OK"}'
    operator.wait_for(f"{answered} > ({answered} offset 1s)")
    assert server.wait() == 0
    for caller in callers:
        caller.join()
    assert all(caller.ended_well for caller in callers), [caller.end for caller in callers]
    operator.wait_for_alert("FlatdenseDown")


class LastCaller(threading.Thread):
    """Calls without a pause and without a retry until a call fails."""

    def __init__(self, address: str, roots: bytes) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._roots = roots
        self.end = ""
        """How the last call failed, in gRPC's words."""

    @property
    def ended_well(self) -> bool:
        """Whether the last call was not accepted: neither cut off nor forgotten."""
        return any(words in self.end for words in ("stopping", "failed to connect"))

    def run(self) -> None:
        """Any answer is good."""
        request = pb.ClassifyRequest(images=bytes(784), data_type=pb.DATA_TYPE_UINT8)
        credentials = grpc.ssl_channel_credentials(self._roots)
        options = (("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1))
        with grpc.secure_channel(self._address, credentials, options) as channel:
            classify = ClassifierStub(channel).Classify
            try:
                while True:
                    classify(request, timeout=30)
            except grpc.RpcError as error:
                self.end = str(error.details())

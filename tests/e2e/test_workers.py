"""Several worker processes behind one port."""

import os
import select
import shutil
import signal
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from flatdense_client import Client
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from prometheus_client import parser
from server_process import ServerProcess

pytestmark = pytest.mark.usefixtures("compiled")

IMAGE = np.zeros((28, 28), np.uint8)
WORKERS = 2
KILLS = 3


class Caller(threading.Thread):
    """Calls without a pause and without a retry, over a connection of its own, until stopped."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._stopped = threading.Event()
        self.answered = 0
        self.refused: set[grpc.StatusCode] = set()

    def run(self) -> None:
        """Notes how each call ends."""
        request = pb.ClassifyRequest(images=IMAGE.tobytes(), data_type=pb.DATA_TYPE_UINT8)
        options = (("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1))
        with grpc.insecure_channel(self._address, options) as channel:
            stub = ClassifierStub(channel)
            while not self._stopped.is_set():
                try:
                    stub.Classify(request, timeout=30, wait_for_ready=True)
                    self.answered += 1
                except grpc.RpcError as error:
                    self.refused.add(error.code())

    def finish(self) -> None:
        """Ends the calls."""
        self._stopped.set()
        self.join()


class PatientCaller(threading.Thread):
    """Calls by the SDK, which tries again by itself, until it is stopped."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._stopped = threading.Event()
        self.answered = 0
        self.failure: Exception | None = None

    def run(self) -> None:
        """Any error is a failure."""
        try:
            with Client(self._address) as client:
                while not self._stopped.is_set():
                    client.classify(IMAGE)
                    self.answered += 1
        except Exception as error:  # noqa: BLE001 -- the test looks at it
            self.failure = error

    def finish(self) -> None:
        """Ends the calls."""
        self._stopped.set()
        self.join()


def counted(server: ServerProcess, name: str, **labels: str) -> float:
    """The sum of the samples with that name and those labels, over all other labels."""
    with urllib.request.urlopen(server.page + "metrics") as answer:
        families = parser.text_string_to_metric_families(answer.read().decode())
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for temporary files; its path is short enough for sockets, unlike tmp_path's."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def server(exported_model: Path, temporary: Path) -> Iterator[ServerProcess]:
    """Two workers, with a folder for temporary files that can be looked into."""
    options = ("--model-dir", str(exported_model), "--engine", "aot", "--workers", str(WORKERS))
    with ServerProcess(*options, variables={"TMPDIR": str(temporary)}) as process:
        assert process.ready()["workers"] == WORKERS
        yield process
        assert not any("Traceback" in str(event) for event in process.events)


def test_a_killed_worker_hurts_its_own_calls_alone(server: ServerProcess) -> None:
    """They fail with UNAVAILABLE, nothing else fails, and no count is lost or doubled."""
    callers = [Caller(server.address) for _ in range(6)]
    for caller in callers:
        caller.start()
    for kill in range(1, KILLS + 1):
        os.kill(server.worker_pids[-1], signal.SIGKILL)
        server.wait_for_many("worker ready", kill)
    for caller in callers:
        caller.finish()
    assert set().union(*(caller.refused for caller in callers)) <= {grpc.StatusCode.UNAVAILABLE}
    answered = sum(caller.answered for caller in callers)
    assert answered > 0
    method = "flatdense.v1.Classifier/Classify"
    ok = counted(server, "flatdense_requests_total", method=method, code="OK")
    # A worker may be killed between an answer and its count, or between the count and the wire.
    assert abs(ok - answered) <= KILLS * len(callers)
    assert counted(server, "flatdense_worker_restarts_total") == KILLS
    assert counted(server, "flatdense_inflight_requests") == 0
    assert server.stop() == 0


def test_the_sdk_hides_that_a_worker_is_killed(server: ServerProcess) -> None:
    """It is replaced, and no caller of the SDK sees an error."""
    callers = [PatientCaller(server.address) for _ in range(4)]
    for caller in callers:
        caller.start()
    for gone in range(1, WORKERS + 1):
        os.kill(server.worker_pids[0], signal.SIGKILL)
        server.wait_for_many("worker ready", gone)
    for caller in callers:
        caller.finish()
    assert [caller.failure for caller in callers] == [None] * len(callers)
    assert all(caller.answered for caller in callers)
    assert server.stop() == 0


def test_a_new_version_reaches_every_worker(exported_model: Path, tmp_path: Path) -> None:
    """Each of them swaps by itself, and then no connection meets the old version."""
    model_dir = Path(shutil.copytree(exported_model, tmp_path / "model"))
    options = ("--model-dir", str(model_dir), "--engine", "aot", "--poll-interval-s", "0.05")
    with ServerProcess(*options, "--workers", str(WORKERS)) as server:
        server.ready()
        shutil.copytree(model_dir / "1", tmp_path / "aside").rename(model_dir / "2")
        for worker in range(1, WORKERS + 1):
            server.wait_for("swapped", version=2, worker=worker)
        for _ in range(8):
            with Client(server.address) as client:
                assert client.classify(IMAGE).model_version == 2
        assert server.stop() == 0


def test_workers_do_not_outlive_their_supervisor(server: ServerProcess, temporary: Path) -> None:
    """Killed, it takes them with it: they drain, and leave no process, port or file behind."""
    workers = server.worker_pids
    assert len(workers) == WORKERS
    handles = [os.pidfd_open(pid) for pid in workers]
    server.send(signal.SIGKILL)
    for handle in handles:
        assert wait_for_end(handle)
    server.wait()
    assert list(temporary.glob("flatdense-*")) == []


def wait_for_end(handle: int) -> bool:
    """Waits until a process has ended; False where that takes too long."""
    ended, _, _ = select.select([handle], [], [], 30)
    os.close(handle)
    return bool(ended)


def test_what_no_worker_can_serve_is_said_once(tmp_path: Path) -> None:
    """The command ends with 1, and its last line is one sentence with the reason."""
    (tmp_path / "model").mkdir()
    with ServerProcess("--model-dir", str(tmp_path / "model"), "--workers", "2") as server:
        assert server.wait() == 1
    said = [event["raw"] for event in server.events if "raw" in event]
    assert len([line for line in said if "has no version" in line]) == 1


def test_a_folder_whose_path_is_too_long_for_sockets_is_named(
    exported_model: Path, tmp_path: Path
) -> None:
    """The sentence has the folder and the variable that chooses another."""
    long = tmp_path / ("x" * 80)
    long.mkdir()
    with ServerProcess(
        "--model-dir", str(exported_model), variables={"TMPDIR": str(long)}
    ) as server:
        assert server.wait() == 1
    (said,) = [event["raw"] for event in server.events if "raw" in event]
    assert str(long) in said
    assert "TMPDIR" in said

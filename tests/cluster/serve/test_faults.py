"""Replicas and nodes that end, come and change under load: no accepted call is lost."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from flatdense_client import Client
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierStub
from grpc_status import rpc_status
from publishing import publish
from ray_nodes_process import NodesAside, start_nodes_aside
from ray_process import configure, wait_for

pytestmark = [
    pytest.mark.xdist_group("ray"),
    pytest.mark.usefixtures("compiled"),
]

CALLS_A_SECOND = "15"

MEMORY_BYTES = 1 << 16
"""Less than a worker needs to answer for a while."""

IMAGES = np.zeros((4, 784), np.uint8)

REPLICAS = 2


@pytest.fixture(scope="module")
def model_dir(exported_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Which every node sees; versions can be brought into it."""
    folder = tmp_path_factory.mktemp("model")
    shutil.copytree(exported_model / "1", folder / "1")
    return folder


@pytest.fixture(scope="module")
def config(repository: Path, model_dir: Path) -> dict[str, Any]:
    """The committed one, on free ports."""
    committed = repository / "deploy" / "ray" / "flatdense.yaml"
    return configure(committed, model_dir, num_replicas=REPLICAS)


@pytest.fixture(scope="module")
def address(config: dict[str, Any]) -> str:
    """Of gRPC. The proxies of all nodes listen there."""
    return f"127.0.0.1:{config['grpc_options']['port']}"


@pytest.fixture(scope="module")
def cluster(config: dict[str, Any]) -> Iterator[NodesAside]:
    """A node for each replica."""
    with start_nodes_aside(config, REPLICAS) as nodes:
        yield nodes


@pytest.fixture
def nodes(cluster: NodesAside) -> NodesAside:
    """With every replica running."""
    cluster.deploy(REPLICAS)
    return cluster


@pytest.fixture
def load(repository: Path, address: str) -> Callable[[], object]:
    """Calls by the SDK that begin when they are due, for the time of a block.

    In the end each was answered, and rightly.
    """

    @contextmanager
    def run() -> Iterator[None]:
        script = repository / "bench" / "open_calls.py"
        calls = subprocess.Popen(
            [sys.executable, script, address, "--rate", CALLS_A_SECOND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert calls.stdout
        try:
            assert calls.stdout.readline() == "ready\n"
            yield
        finally:
            told, _ = calls.communicate(timeout=60)
        fates = json.loads(told)
        assert fates
        assert [wrong for _due_s, _took_s, wrong in fates if wrong] == []

    return run


def kill_a_replica(nodes: NodesAside) -> None:
    """As the kernel does where there is no memory."""
    pid = nodes.replica_pids()[0]
    os.kill(pid, signal.SIGKILL)
    nodes.wait_for_replicas(REPLICAS, without=[pid])


def kill_a_server(nodes: NodesAside) -> None:
    """That of a replica, which cannot go on without it."""
    server, replica = nodes.server_pids()[0], nodes.replica_pids()[0]
    os.kill(server, signal.SIGKILL)
    nodes.wait_for_replicas(REPLICAS, without=[replica])


@contextmanager
def memory_limit(pid: int, limit_bytes: int) -> Iterator[Callable[[], int]]:
    """Of what a process takes from now on; gives how often the kernel had to kill for it."""
    (own,) = re.findall(r":memory:(.*)", Path("/proc/self/cgroup").read_text()) or [""]
    group = Path(f"/sys/fs/cgroup/memory/{own}/flatdense-{pid}")
    if not own or not os.access(group.parent, os.W_OK):
        pytest.skip("limits of memory need root, and version 1 of cgroups")
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(f"{pid}")
        (group / "memory.limit_in_bytes").write_text(f"{limit_bytes}")
        yield lambda: int(
            re.findall(r"oom_kill (\d+)", (group / "memory.oom_control").read_text())[0]
        )
    finally:
        wait_for(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


def lose_a_node(nodes: NodesAside) -> None:
    """Another one has come before."""
    nodes.add()
    nodes.kill_node()
    nodes.wait_for_replicas(REPLICAS)


def drain_a_replica(nodes: NodesAside) -> None:
    """There are fewer, and then more again."""
    nodes.deploy(REPLICAS - 1)
    nodes.deploy(REPLICAS)


def change_a_setting(nodes: NodesAside) -> None:
    """Each replica is replaced by one with the new setting."""
    before = nodes.replica_pids()
    nodes.deploy(REPLICAS, max_queued_rows=8192)
    nodes.wait_for_replicas(REPLICAS, without=before)


@pytest.mark.parametrize(
    "happen",
    [
        kill_a_replica,
        kill_a_server,
        lose_a_node,
        drain_a_replica,
        change_a_setting,
    ],
    ids=lambda do: do.__name__,
)
def test_no_call_is_lost(
    nodes: NodesAside, load: Callable[..., object], happen: Callable[[NodesAside], None]
) -> None:
    """Whatever ends, every call is answered, rightly and in order, and capacity comes back."""
    with load():
        happen(nodes)
    assert len(nodes.replica_pids()) == REPLICAS


def test_a_worker_without_memory_loses_no_call(
    nodes: NodesAside, address: str, load: Callable[..., object]
) -> None:
    """The kernel ends it where it has used up what it may; another one comes."""
    big = np.zeros((1024, 784), np.float32)
    with load(), memory_limit(nodes.worker_pids()[0], MEMORY_BYTES) as count_kills:
        with Client(address, timeout_s=60) as client:
            wait_for(lambda: len(client.classify(big)) == len(big) and count_kills() > 0)
        nodes.wait_for_replicas(REPLICAS)


def test_a_new_version_reaches_every_replica(
    nodes: NodesAside, address: str, load: Callable[..., object], model_dir: Path
) -> None:
    """Each takes it up by itself, under load, and no call is lost."""
    with load():
        publish(model_dir, 2)
        wait_for(lambda: nodes.count_ready(2) == REPLICAS)
    with Client(address) as client:
        assert client.model().version == 2


def test_there_are_more_replicas_while_calls_wait(nodes: NodesAside, address: str) -> None:
    """And fewer again when none do."""
    scaling = {"min_replicas": 1, "max_replicas": REPLICAS, "target_ongoing_requests": 2}
    pace = {"upscale_delay_s": 0.5, "downscale_delay_s": 0.5, "metrics_interval_s": 0.2}
    nodes.deploy_with(autoscaling_config={**scaling, **pace, "look_back_period_s": 1})
    nodes.wait_for_replicas(1)
    ended = threading.Event()

    def call() -> None:
        with Client(address, timeout_s=60) as client:
            while not ended.is_set():
                client.classify(IMAGES)

    with ThreadPoolExecutor(16) as callers:
        calls = [callers.submit(call) for _ in range(16)]
        try:
            nodes.wait_for_replicas(REPLICAS)
        finally:
            ended.set()
        for each in calls:
            each.result()
    nodes.wait_for_replicas(1)


def test_a_crowd_is_refused_in_words_that_callers_know(nodes: NodesAside, address: str) -> None:
    """RESOURCE_EXHAUSTED with when to come back; who is let in is answered."""
    nodes.deploy_with(num_replicas=1, max_ongoing_requests=1, max_queued_requests=1)
    nodes.wait_for_replicas(1)
    request = pb.ClassifyRequest(images=IMAGES.tobytes(), data_type=pb.DATA_TYPE_UINT8)
    no_retries = (("grpc.enable_retries", 0),)
    with grpc.insecure_channel(address, no_retries) as channel:
        classify = ClassifierStub(channel).Classify
        calls = [classify.future(request, timeout=60) for _ in range(200)]
        codes = Counter(call.code() for call in calls)
        refused = next(call for call in calls if call.code() is not grpc.StatusCode.OK)
        status = rpc_status.from_call(refused)
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert status
    assert [detail.TypeName() for detail in status.details] == ["google.rpc.RetryInfo"]


def test_a_cluster_without_the_model_says_so(nodes: NodesAside, tmp_path: Path) -> None:
    """The application's status has the server's own sentence, and the others go on."""
    nodes.add()
    assert "nothing" in nodes.deploy_another(tmp_path / "nothing")
    assert len(nodes.replica_pids()) == REPLICAS

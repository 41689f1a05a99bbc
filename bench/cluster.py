"""What Ray Serve costs and what its callers notice of trouble: `python bench/cluster.py`.

First one process, workers, servers and Ray Serve, each under the same load of `flatdense bench`, in
turns. Then several Ray nodes on this machine, of which something happens to one while calls come
through the SDK when they are due (open_calls.py). Ends with an error where a call was lost or
answered wrongly. Writes bench/results/cluster.json, with the machine's description, and two tables
of docs/scaling.md.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from machine import describe_machine
from ray_nodes import Nodes, start_nodes
from ray_process import configure, serve_run, wait_for
from replicas import calling, judge
from report import CLUSTER, CLUSTER_PAGE, CLUSTER_SECTION, Results, publish, render_cluster

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "examples"))

from server_process import ServerProcess  # noqa: E402 -- after the path that it is on

MODEL = HERE.parent / "exported_model"
CONFIG = HERE.parent / "deploy" / "ray" / "flatdense.yaml"
BENCH = Path(sys.executable).with_name("flatdense")

CORES = 2
"""Workers, servers and replicas each."""

LOADS = {
    "one caller, 1 row": ("--concurrency", "1"),
    "64 callers, 1 row": ("--concurrency", "64"),
    "16 callers, 256 rows": ("--concurrency", "16", "--rows", "256"),
}
DURATION_S = "3"

RATE = 30.0
"""Calls a second beside trouble: less than what is left can do."""

BEFORE_S, AFTER_S = 4.0, 3.0


def main() -> None:
    """Measures, writes, prints, judges."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of each load")
    parser.add_argument("--troubles", type=int, default=2, help="rounds of each trouble")
    given = parser.parse_args()
    results = {
        "machine": describe_machine(),
        "cores": CORES,
        "rate": RATE,
        "loads": compare(given.rounds),
        "troubles": {
            name: [measure(happen) for _ in range(given.troubles)]
            for name, happen in TROUBLES.items()
        },
    }
    section = render_cluster(results)
    publish(results, CLUSTER, CLUSTER_PAGE, section, CLUSTER_SECTION)
    print(section)
    if faults := [
        f"{name}: {each['lost']} calls lost, {each['wrong']} wrong: {each['told']}"
        for name, rounds in results["troubles"].items()
        for each in rounds
        if each["lost"] or each["wrong"]
    ]:
        raise SystemExit("\n".join(faults))


def compare(rounds: int) -> dict[str, dict[str, list[Results]]]:
    """What each way to serve reached under each load, in each round."""
    with ExitStack() as stack:
        servers = dict(start_all(stack))
        found: dict[str, dict[str, list[Results]]] = {
            load: {name: [] for name in servers} for load in LOADS
        }
        for number in range(rounds + 1):  # the first is not counted
            for load, options in LOADS.items():
                for name, address in servers.items():
                    told = ask(address, options)
                    if number:
                        found[load][name].append(told)
    return found


def start_all(stack: ExitStack) -> Iterator[tuple[str, str]]:
    """The names of the ways, and where each listens."""

    def start(workers: int) -> str:
        server = ServerProcess("--model-dir", str(MODEL), "--workers", str(workers))
        stack.enter_context(server).ready()
        return server.address

    yield "one process", start(1)
    yield f"{CORES} workers", start(CORES)
    yield f"{CORES} servers", ",".join(start(1) for _ in range(CORES))
    config = configure(CONFIG, MODEL, num_replicas=CORES)
    stack.enter_context(serve_run(config))
    yield f"Ray Serve, {CORES} replicas", f"127.0.0.1:{config['grpc_options']['port']}"


def ask(address: str, options: tuple[str, ...]) -> Results:
    """Rows a second and latencies under a load."""
    command = [BENCH, "bench", "--server", address, "--duration", DURATION_S, "--json", *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 -- ours
    told = json.loads(done.stdout)
    return {
        "rows_per_s": told["rows_per_s"],
        "p50_ms": told["latency_ms"]["p50"],
        "p99_ms": told["latency_ms"]["p99"],
    }


def measure(happen: Callable[[Nodes, Path], None]) -> Results:
    """One trouble, on nodes of its own."""
    with tempfile.TemporaryDirectory() as folder:
        model_dir = Path(folder)
        shutil.copytree(MODEL / "1", model_dir / "1")
        with start_nodes(configure(CONFIG, model_dir, num_replicas=CORES), CORES) as nodes:
            nodes.deploy(CORES)
            with calling(nodes.address, "AsyncClient", RATE) as load:
                time.sleep(BEFORE_S)
                happened_s = time.monotonic()
                happen(nodes, model_dir)
                over_s = time.monotonic()
                time.sleep(AFTER_S)
            found = judge(load.fates, happened_s, time.monotonic())
    return {**found, "retries": load.retries, "over_s": over_s - happened_s}


def kill_a_replica(nodes: Nodes, _model_dir: Path) -> None:
    """As the kernel does where there is no memory."""
    pid = nodes.replica_pids()[0]
    os.kill(pid, signal.SIGKILL)
    nodes.wait_for_replicas(CORES, without=[pid])


def kill_a_server(nodes: Nodes, _model_dir: Path) -> None:
    """That of a replica."""
    pid = nodes.replica_pids()[0]
    os.kill(nodes.server_pids()[0], signal.SIGKILL)
    nodes.wait_for_replicas(CORES, without=[pid])


def lose_a_node(nodes: Nodes, _model_dir: Path) -> None:
    """Another one comes."""
    nodes.add()
    nodes.kill_node()
    nodes.wait_for_replicas(CORES)


def drain_a_replica(nodes: Nodes, _model_dir: Path) -> None:
    """There is one less."""
    nodes.deploy(CORES - 1)


def add_a_replica(nodes: Nodes, _model_dir: Path) -> None:
    """On a new node."""
    nodes.add()
    nodes.deploy(CORES + 1)


def upgrade(nodes: Nodes, model_dir: Path) -> None:
    """Another version comes into the model folder, and each replica takes it up."""
    aside = Path(shutil.copytree(model_dir / "1", model_dir / ".aside"))
    aside.rename(model_dir / "2")
    wait_for(lambda: nodes.count_ready(2) == CORES)


TROUBLES = {
    "a replica is killed (SIGKILL)": kill_a_replica,
    "the server of a replica is killed": kill_a_server,
    "a node is lost, another one comes": lose_a_node,
    "a replica is drained": drain_a_replica,
    "a node and a replica come": add_a_replica,
    "a new version": upgrade,
}


if __name__ == "__main__":
    main()

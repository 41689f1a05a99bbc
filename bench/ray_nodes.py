"""Several Ray nodes on this machine, and what runs on them: for tests and benchmarks."""

import copy
import tempfile
import urllib.request
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray
from flatdense_cluster.serve.application import build
from prometheus_client.parser import text_string_to_metric_families
from ray import serve
from ray.cluster_utils import Cluster
from ray.serve.config import HTTPOptions, gRPCOptions
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema
from ray_process import wait_for

REPLICA = "ray::ServeReplica:flatdense:Replica"


class Nodes:
    """A cluster with a head for the proxies and the meter, and nodes with one core each."""

    def __init__(self, cluster: Cluster, config: dict[str, Any]) -> None:
        self._cluster = cluster
        self._config = config
        self._added: list[Any] = []

    @property
    def address(self) -> str:
        """Of gRPC. The proxies of all nodes listen there."""
        return f"127.0.0.1:{self._config['grpc_options']['port']}"

    @property
    def metrics_url(self) -> str:
        """For a scraper."""
        return f"http://127.0.0.1:{self._config['http_options']['port']}/metrics"

    def add(self) -> None:
        """One more, with one core."""
        self._added.append(self._cluster.add_node(num_cpus=1))

    def kill_node(self) -> None:
        """As if its machine had lost power: the oldest of those that were added."""
        node = self._added.pop(0)
        lost = self._pids_of(node)
        self._cluster.remove_node(node, allow_graceful=False)
        wait_for(lambda: not any(map(read_command, lost)))

    def deploy(self, replicas: int, **changes: object) -> None:
        """Has so many, and waits until they are there. `changes` are to servers' settings."""
        config = copy.deepcopy(self._config)
        (application,) = config["applications"]
        application["args"].update(changes)
        deploy(config, num_replicas=replicas)
        self.wait_for_replicas(replicas)

    def deploy_with(self, **settings: object) -> None:
        """Has replicas with these settings of Serve, without waiting for them."""
        deploy(copy.deepcopy(self._config), **settings)

    def deploy_another(self, model_dir: Path) -> str:
        """A second application with this model folder; gives what is said of it, and ends it."""
        with suppress(RuntimeError):
            serve.run(build({"model_dir": str(model_dir)}), name="another", route_prefix="/another")
        status = serve.status().applications["another"]
        serve.delete("another")
        return status.deployments["Replica"].message

    def wait_for_replicas(self, count: int, *, without: Collection[int] = ()) -> None:
        """Until so many run, and no other one starts or ends; `without` these processes."""

        def is_settled() -> bool:
            application = serve.status().applications["flatdense"]
            states = application.deployments["Replica"].replica_states
            pids = self.replica_pids()
            return states == {"RUNNING": count} and len(pids) == count and not {*without} & {*pids}

        wait_for(is_settled)

    def replica_pids(self) -> list[int]:
        """The processes of the replicas, on all nodes of this cluster."""
        nodes = self._cluster.list_all_nodes()
        return [pid for node in nodes for pid in self._pids_of(node)]

    def server_pids(self) -> list[int]:
        """The servers that the replicas hold."""
        return [pid for replica in self.replica_pids() for pid in children(replica)]

    def worker_pids(self) -> list[int]:
        """Those processes of the servers that answer calls."""
        started = [pid for server in self.server_pids() for pid in children(server)]
        return [pid for pid in started if "spawn_main" in read_command(pid)]

    def count_ready(self, version: int) -> int:
        """How many replicas serve a version, as a scraper reads it."""
        with urllib.request.urlopen(self.metrics_url) as response:  # noqa: S310 -- our own server
            told = response.read().decode()
        return sum(
            sample.value == 1
            for family in text_string_to_metric_families(told)
            for sample in family.samples
            if sample.name == "flatdense_model_state"
            and sample.labels["version"] == str(version)
            and sample.labels["state"] == "ready"
        )

    def _pids_of(self, node: Any) -> list[int]:  # noqa: ANN401 -- as Ray has it
        (raylet,) = node.all_processes["raylet"]
        started = children(raylet.process.pid)
        return [pid for pid in started if read_command(pid).startswith(REPLICA)]


def deploy(config: dict[str, Any], **settings: object) -> None:
    """Does what `serve deploy` does, with these settings of the replicas."""
    (application,) = config["applications"]
    (replica,) = (each for each in application["deployments"] if each["name"] == "Replica")
    replica.update(settings)
    if "autoscaling_config" in settings:
        del replica["num_replicas"]
    _get_global_client().deploy_apps(ServeDeploySchema.model_validate(config), _blocking=True)


@contextmanager
def start_nodes(config: dict[str, Any], count: int) -> Iterator[Nodes]:
    """So many nodes beside the head, with Serve and without an application."""
    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        head = {"num_cpus": 0, "include_dashboard": False, "temp_dir": folder}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            nodes = Nodes(cluster, config)
            for _ in range(count):
                nodes.add()
            ray.init(address=cluster.address, log_to_driver=False)
            serve.start(
                proxy_location=config["proxy_location"],
                http_options=HTTPOptions(**config["http_options"]),
                grpc_options=gRPCOptions(**config["grpc_options"]),
            )
            yield nodes
        finally:
            serve.shutdown()
            ray.shutdown()
            cluster.shutdown()


def children(pid: int) -> list[int]:
    """The processes that a process has started, which run."""
    found = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for child in " ".join(found).split()]


def read_command(pid: int) -> str:
    """The command line of a process; empty where it has just ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""

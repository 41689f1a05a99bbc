"""Ray Serve as people start it: `serve run` with a configuration, a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import yaml
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

COMMAND = Path(sys.executable).with_name("serve")

SERVING = HealthCheckResponse.SERVING

START_S = 120.0

STOP_S = 60.0


def find_ports(count: int) -> list[int]:
    """Free ones of the loopback."""
    with ExitStack() as stack:
        listeners = [
            stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
            for _ in range(count)
        ]
        return [listener.getsockname()[1] for listener in listeners]


def configure(committed: Path, model_dir: Path, **replica: object) -> dict[str, Any]:
    """The committed configuration with another model folder, free ports, and so many replicas."""
    config: dict[str, Any] = yaml.safe_load(committed.read_text())
    config["grpc_options"]["port"], config["http_options"]["port"] = find_ports(2)
    (application,) = config["applications"]
    application["args"]["model_dir"] = str(model_dir)
    (deployment,) = (each for each in application["deployments"] if each["name"] == "Replica")
    if "num_replicas" in replica:
        del deployment["autoscaling_config"]
    deployment.update(replica)
    return config


@contextmanager
def serve_run(config: dict[str, Any]) -> Iterator[None]:
    """Runs until the block ends, on a Ray of its own. Entering waits until calls are answered."""
    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        file, log = Path(folder) / "flatdense.yaml", Path(folder) / "log"
        file.write_text(yaml.safe_dump(config))
        with log.open("wb") as output:
            process = subprocess.Popen(
                [COMMAND, "run", file],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "RAY_ADDRESS": "local", "RAY_TMPDIR": folder},  # noqa: TID251
            )
        try:
            wait_until_served(
                f"127.0.0.1:{config['grpc_options']['port']}",
                lambda: process.poll() is None,
                log.read_text,
            )
            yield
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until_served(
    address: str, lives: Callable[[], bool], explain: Callable[[], str] = str
) -> None:
    """Asks for the health of what is there until it is good."""
    end_s = time.monotonic() + START_S
    with grpc.insecure_channel(address) as channel:
        check = HealthStub(channel).Check
        while True:
            assert lives(), explain()
            assert time.monotonic() < end_s, explain()
            with suppress(grpc.RpcError):
                if check(HealthCheckRequest(), timeout=10, wait_for_ready=True).status == SERVING:
                    return

"""Runs Ray Serve as a child process, as people start it: for tests and benchmarks."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import grpc
import yaml
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

COMMAND = Path(sys.executable).with_name("serve")

STOP_S = 60.0

PATIENCE_S = 120.0

PAUSE_S = 0.1


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
            process = subprocess.Popen(  # noqa: S603 -- Ray's own command
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
    """Asks for the health of what is there until it is good.

    Raises RuntimeError with the log where it ends first, or takes too long.
    """
    with grpc.insecure_channel(address) as channel:
        check = HealthStub(channel).Check

        def is_served() -> bool:
            if not lives():
                raise RuntimeError(f"Ray Serve ended: {explain()}")
            try:
                told = check(HealthCheckRequest(), timeout=10, wait_for_ready=True)
            except grpc.RpcError:
                return False
            return told.status == HealthCheckResponse.SERVING

        try:
            wait_for(is_served)
        except TimeoutError as error:
            raise RuntimeError(f"Ray Serve does not answer: {explain()}") from error


def wait_for(is_so: Callable[[], bool]) -> None:
    """Until it is. Raises TimeoutError."""
    end_s = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > end_s:
            raise TimeoutError(f"not within {PATIENCE_S} s")
        time.sleep(PAUSE_S)

"""flatdense beside its peers, in turn, on one machine: `python bench/peers/compare.py`.

Each peer runs in an environment of its own, made in `--environments` from PyPI on first use, with
one worker and one compute thread. Its answers are compared with the golden ones before.
Writes bench/results/peers.json, with the machine's description, and a decision record's table.
"""

import argparse
import os
import socket
import subprocess
import sys
import time
import urllib.request
import venv
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
from flatdense_artifact import read_manifest
from flatdense_proto.v1 import classifier_pb2 as pb

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path += [str(HERE.parent), str(ROOT / "examples")]

from load import (  # noqa: E402 -- after the path that it is on
    METHOD,
    Request,
    calls_per_second,
    check_tool,
    http1_calls_per_second,
)
from machine import describe_machine  # noqa: E402
from report import PEERS, PEERS_PAGE, publish, render_peers  # noqa: E402
from server_process import ServerProcess  # noqa: E402

VERSION = ROOT / "exported_model" / "1"
ROUNDS = 5

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

Rate = Callable[[str, Request, int, int], float]
"""Calls a second of an address, for a request, so many in flight, so many in all."""


@dataclass(frozen=True)
class Peer:
    """A server that runs now."""

    address: str
    rate: Rate


@dataclass(frozen=True)
class Case:
    """What all of them are asked."""

    name: str
    rows: int
    dtype: str
    in_flight: int
    calls: int

    def request(self) -> Request:
        """The message."""
        types = {"uint8": pb.DATA_TYPE_UINT8, "float32": pb.DATA_TYPE_FP32}
        return Request(self.rows, types[self.dtype])


CASES = (
    Case("1 row uint8, 64 in flight", 1, "uint8", 64, 10_000),
    Case("64 rows uint8, 8 in flight", 64, "uint8", 8, 2000),
    Case("64 rows float32, 8 in flight", 64, "float32", 8, 1000),
    Case("256 rows uint8, 8 in flight", 256, "uint8", 8, 800),
    Case("256 rows float32, 8 in flight", 256, "float32", 8, 400),
)


def grpc_rate(address: str, request: Request, in_flight: int, calls: int) -> float:
    """Of a server that speaks our protocol."""
    return calls_per_second(address, request, in_flight=in_flight, calls=calls)


def http1_rate(address: str, request: Request, in_flight: int, calls: int) -> float:
    """Of a server that takes the pixels alone, as the body of a POST."""
    return http1_calls_per_second(
        f"http://{address}/inference", request, in_flight=in_flight, calls=calls
    )


@contextmanager
def flatdense(_environments: Path, _dtype: str) -> Iterator[Peer]:
    """Our own server, one process, with the network compiled ahead of time."""
    with ServerProcess("--model-dir", str(VERSION.parent), "--engine", "aot") as server:
        server.ready()
        check(ask_grpc(server.address))
        yield Peer(server.address, grpc_rate)


@contextmanager
def keras(_environments: Path, dtype: str) -> Iterator[Peer | None]:
    """The threads of grpcio and a Keras model: uint8 alone."""
    if dtype != "uint8":
        yield None
        return
    command = [sys.executable, HERE / "keras_server.py", VERSION]
    with run(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout  # noqa: S101 -- it was asked for
        address = f"127.0.0.1:{process.stdout.readline().decode().strip()}"
        check(ask_grpc(address))
        yield Peer(address, grpc_rate)


@contextmanager
def mosec(environments: Path, dtype: str) -> Iterator[Peer]:
    """mosec: Rust in front, one Python worker with numpy."""
    python = make_environment(environments / "mosec", "mosec", "numpy", "safetensors")
    port = free_port()
    script = HERE / "mosec_server.py"
    command = [python, script, "--port", str(port), "--log-level", "error"]
    with run(command, {"PEER_DTYPE": dtype, "PEER_FOLDER": str(VERSION)}):
        url = f"http://127.0.0.1:{port}/inference"
        images = golden_images()
        sent = images if dtype == "uint8" else images.astype(np.float32) / np.float32(255)
        answer = wait_for(lambda: urllib.request.urlopen(url, sent.tobytes()).read())
        check(np.frombuffer(answer, np.float32).reshape(-1, 10))
        yield Peer(f"127.0.0.1:{port}", http1_rate)


SERVERS = {"flatdense": flatdense, "mosec": mosec, "grpcio + Keras": keras}


def main(environments: Path) -> None:
    """Measures, writes, prints."""
    check_tool()
    figures: dict[str, dict[str, list[float]]] = {}
    for dtype in ("uint8", "float32"):
        with ExitStack() as stack:
            found = {
                name: stack.enter_context(make(environments, dtype))
                for name, make in SERVERS.items()
            }
            running = {name: peer for name, peer in found.items() if peer}
            cases = [case for case in CASES if case.dtype == dtype]
            for number in range(ROUNDS + 1):  # the first is not counted
                for case in cases:
                    for name, peer in running.items():
                        rate = peer.rate(
                            peer.address, case.request(), case.in_flight, calls_of(name, case)
                        )
                        if number:
                            figures.setdefault(case.name, {}).setdefault(name, []).append(
                                case.rows * rate
                            )
    results = {
        "machine": describe_machine(),
        "versions": {"mosec": version_of(environments / "mosec", "mosec")},
        "figures": figures,
    }
    section = render_peers(results)
    publish(results, PEERS, PEERS_PAGE, section)
    print(section)


def version_of(environment: Path, package: str) -> str:
    """What an environment has of a package."""
    script = f"import importlib.metadata as m; print(m.version({package!r}))"
    done = subprocess.run(  # noqa: S603 -- the environment that we made
        [environment / "bin" / "python", "-c", script], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def calls_of(name: str, case: Case) -> int:
    """Fewer for the slow one."""
    return max(64, case.calls // 20) if name == "grpcio + Keras" else case.calls


def golden_images() -> np.ndarray:
    """Images of which the manifest has the answers."""
    return read_manifest(VERSION).golden.inputs()


def check(probabilities: np.ndarray) -> None:
    """Ends where a server's answers are not the golden ones: its speed would mean nothing."""
    if np.abs(probabilities - read_manifest(VERSION).golden.outputs()).max() > 1e-4:  # noqa: PLR2004
        raise SystemExit("a server gives wrong answers")


def ask_grpc(address: str) -> np.ndarray:
    """The answers to the golden images."""
    request = pb.ClassifyRequest(images=golden_images().tobytes(), data_type=pb.DATA_TYPE_UINT8)
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(
            METHOD, pb.ClassifyRequest.SerializeToString, pb.ClassifyResponse.FromString
        )
        return np.frombuffer(call(request).probabilities, np.float32).reshape(-1, 10)


def make_environment(folder: Path, *packages: str) -> Path:
    """An environment with these packages; gives its Python."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)  # noqa: S603
    return python


@contextmanager
def run(
    command: list[object], variables: dict[str, str] | None = None, **options: object
) -> Iterator[subprocess.Popen[bytes]]:
    """A process, held to one compute thread, that ends with the context."""
    environment = {**os.environ, **ONE_THREAD, **(variables or {})}  # noqa: TID251 -- handed on
    with subprocess.Popen(command, env=environment, **options) as process:  # type: ignore[call-overload]  # noqa: S603
        try:
            yield process
        finally:
            process.terminate()


def wait_for(ask: Callable[[], bytes], timeout_s: float = 60.0) -> bytes:
    """Asks until there is an answer."""
    until_s = time.monotonic() + timeout_s
    while True:
        try:
            return ask()
        except OSError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.2)


def free_port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--environments", type=Path, default=Path("~/.cache/flatdense/peers").expanduser()
    )
    main(parser.parse_args().environments)

"""The servers in Python that are compared: ours, and the peers with the same network."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from child import free_port, started
from endpoint import HERE, NATIVE, RAW, Endpoint, open_inference
from environment import Environment

from server import ROOT, VERSION, Server, check

sys.path.append(str(ROOT / "examples"))

from server_process import ServerProcess

TYPES = ("uint8", "float32")


@contextmanager
def flatdense(_environments: Path) -> Iterator[Server]:
    """Our own server, one worker, with the network compiled ahead of time."""
    with ours("--workers", "1") as server:
        yield server


@contextmanager
def flatdense_workers(_environments: Path) -> Iterator[Server]:
    """The same with as many workers as it starts by default."""
    with ours() as server:
        yield server


@contextmanager
def ours(*options: str) -> Iterator[Server]:
    """A server of ours with these options."""
    model = ("--model-dir", str(VERSION.parent), "--engine", "aot")
    with ServerProcess(*model, *options) as process:
        process.ready()
        endpoints = {dtype: Endpoint(process.address, NATIVE) for dtype in TYPES}
        for dtype, endpoint in endpoints.items():
            check(endpoint, dtype)
        yield Server(endpoints)


@contextmanager
def keras(_environments: Path) -> Iterator[Server]:
    """The threads of grpcio and a Keras model: uint8 alone."""
    with started([sys.executable, HERE / "keras_server.py", VERSION]) as child:
        endpoint = Endpoint(f"127.0.0.1:{child.printed_port()}", NATIVE)
        child.wait_for(lambda: check(endpoint, "uint8"))
        yield Server({"uint8": endpoint}, (child,))


@contextmanager
def mosec(environments: Path) -> Iterator[Server]:
    """mosec: Rust in front, one Python worker with numpy; a server for each type of pixels."""
    environment = Environment(environments / "mosec").install("mosec", "numpy", "safetensors")
    with ExitStack() as stack:
        endpoints, children = {}, []
        for dtype in TYPES:
            port = free_port()
            options = ["--port", port, "--log-level", "error"]
            command = [environment.python, HERE / "mosec_server.py", *options]
            variables = {"PEER_DTYPE": dtype, "PEER_FOLDER": str(VERSION)}
            child = stack.enter_context(started(command, variables))
            endpoint = Endpoint(f"127.0.0.1:{port}", RAW)
            child.wait_for(lambda endpoint=endpoint, dtype=dtype: check(endpoint, dtype))
            endpoints[dtype] = endpoint
            children.append(child)
        yield Server(endpoints, tuple(children), {"mosec": environment.version_of("mosec")})


@contextmanager
def kserve(environments: Path) -> Iterator[Server]:
    """KServe's server for models in Python, one worker, by gRPC."""
    environment = Environment(environments / "kserve").install("kserve", "safetensors")
    port = free_port()
    command = [environment.python, HERE / "kserve_server.py", VERSION, port, free_port()]
    with started(command) as child:
        endpoint = Endpoint(f"127.0.0.1:{port}", open_inference(environments, "mnist"))
        for dtype in TYPES:
            child.wait_for(lambda dtype=dtype: check(endpoint, dtype))
        version = environment.version_of("kserve")
        yield Server(dict.fromkeys(TYPES, endpoint), (child,), {"KServe": version})


@contextmanager
def mlserver(environments: Path) -> Iterator[Server]:
    """MLServer with the model in its own process, by gRPC.

    Its batching is off, as by default: with 64 rows and 1 ms, 64 calls in flight were slower.
    """
    environment = Environment(environments / "mlserver").install("mlserver", "safetensors")
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in ("mlserver_model.py", "network.py"):
            shutil.copy(HERE / file, folder)
        settings = {
            "host": "127.0.0.1",
            "grpc_port": port,
            "http_port": free_port(),
            "metrics_port": free_port(),
            "parallel_workers": 0,
            "debug": False,
        }
        model = {
            "name": "mnist",
            "implementation": "mlserver_model.Classifier",
            "parameters": {"uri": str(VERSION)},
        }
        (folder / "settings.json").write_text(json.dumps(settings))
        (folder / "model-settings.json").write_text(json.dumps(model))
        command = [environment.folder / "bin" / "mlserver", "start", folder]
        with started(command, {"PYTHONPATH": name}) as child:
            endpoint = Endpoint(f"127.0.0.1:{port}", open_inference(environments, "mnist"))
            for dtype in TYPES:
                child.wait_for(lambda dtype=dtype: check(endpoint, dtype))
            version = environment.version_of("mlserver")
            yield Server(dict.fromkeys(TYPES, endpoint), (child,), {"MLServer": version})

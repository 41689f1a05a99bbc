"""Triton: the C++ server that PyTriton's wheel carries, with its Python backend."""

import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from child import free_port, started
from endpoint import HERE, Endpoint, open_inference
from environment import Environment, Unavailable

from server import VERSION, Server, check

PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
TYPES: Final = {"uint8": "TYPE_UINT8", "float32": "TYPE_FP32"}

CONFIGURATION: Final = """\
name: "{name}"
backend: "python"
max_batch_size: 1024
input [ {{ name: "images" data_type: {datatype} dims: [ 784 ] }} ]
output [ {{ name: "probabilities" data_type: TYPE_FP32 dims: [ 10 ] }} ]
instance_group [ {{ count: 1 kind: KIND_CPU }} ]
dynamic_batching {{ }}
parameters {{ key: "folder" value: {{ string_value: "{folder}" }} }}
"""


@contextmanager
def triton_numpy(environments: Path) -> Iterator[Server]:
    """With numpy in the Python backend."""
    with serve(environments, "triton", "triton_model.py") as server:
        yield server


@contextmanager
def triton_xla(environments: Path) -> Iterator[Server]:
    """With TensorFlow in the Python backend, compiled by XLA just in time."""
    with serve(environments, "triton-xla", "triton_xla_model.py", "tensorflow-cpu") as server:
        yield server


@contextmanager
def serve(environments: Path, name: str, script: str, *packages: str) -> Iterator[Server]:
    """A model for each type of pixels, each one instance, in one server."""
    environment = Environment(environments / name)
    environment.install("nvidia-pytriton", "safetensors", *packages)
    tritonserver = environment.packages / "pytriton" / "tritonserver"
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        backends, models = Path(folder) / "backends", Path(folder) / "models"
        link_backend(tritonserver, backends / "python")
        for dtype in TYPES:
            write_model(models / dtype, dtype, HERE / script)
        command = [
            tritonserver / "bin" / "tritonserver",
            f"--model-repository={models}",
            f"--backend-directory={backends}",
            "--disable-auto-complete-config",
            "--allow-http=false",
            "--allow-metrics=false",
            "--grpc-address=127.0.0.1",
            f"--grpc-port={port}",
        ]
        with started(command, find_libraries(environment)) as child:
            endpoints = {
                dtype: Endpoint(f"127.0.0.1:{port}", open_inference(environments, dtype))
                for dtype in TYPES
            }
            for dtype, endpoint in endpoints.items():
                child.wait_for(lambda dtype=dtype, endpoint=endpoint: check(endpoint, dtype))
            version = environment.version_of("nvidia-pytriton")
            yield Server(endpoints, (child,), {"PyTriton": version})


def write_model(folder: Path, dtype: str, script: Path) -> None:
    """The folder that Triton reads a model from; the model's name is the folder's."""
    version = folder / "1"
    version.mkdir(parents=True)
    shutil.copy(script, version / "model.py")
    shutil.copy(HERE / "network.py", version)
    (folder / "config.pbtxt").write_text(
        CONFIGURATION.format(name=folder.name, datatype=TYPES[dtype], folder=VERSION)
    )


def link_backend(tritonserver: Path, folder: Path) -> None:
    """The Python backend, with the stub for this Python beside it, where Triton looks for it."""
    stub = tritonserver / "python_backend_stubs" / PYTHON / "triton_python_backend_stub"
    if not stub.exists():
        raise Unavailable(f"the wheel has no Python backend for Python {PYTHON}")
    folder.mkdir(parents=True)
    for file in (*(tritonserver / "backends" / "python").glob("*.*"), stub):
        (folder / file.name).symlink_to(file)


def find_libraries(environment: Environment) -> dict[str, str]:
    """The variables with which server and stub find their libraries, and Python its packages.

    Without the wheel's own libraries on the path, the stub hangs while it loads.
    """
    library = f"libpython{PYTHON}.so.1.0"
    folders = [
        Path(sysconfig.get_config_var("LIBDIR") or ""),
        *Path("/usr/lib").glob("*-linux-gnu"),
    ]
    found = next((folder for folder in folders if (folder / library).exists()), None)
    if found is None:
        raise Unavailable(f"there is no {library}, which its Python backend loads")
    own = environment.packages / "nvidia_pytriton.libs"
    return {
        "LD_LIBRARY_PATH": f"{own}:{found}",
        # the stub takes no PYTHONPATH: it has the packages of the first python3 on the path
        "PATH": f"{environment.python.parent}:/usr/bin:/bin",
    }

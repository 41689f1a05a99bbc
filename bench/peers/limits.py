"""The limits: servers with a fixed answer, and no model at all."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from child import Child, free_port, started
from endpoint import HERE, METHOD, NATIVE, Endpoint
from environment import Unavailable

from server import Server, golden_pixels

sys.path.append(str(HERE.parent))

from bare_server import ANSWER
from load import frame

THREADS: Final = HERE.parent / "bare_server.py"
ASYNCIO: Final = HERE / "bare_aio_server.py"


@contextmanager
def grpcio_threads(_environments: Path) -> Iterator[Server]:
    """The threads of grpcio."""
    with started([sys.executable, THREADS]) as child:
        yield fixed(child, child.printed_port())


@contextmanager
def grpcio_asyncio(_environments: Path) -> Iterator[Server]:
    """The same on asyncio, in one thread."""
    with started([sys.executable, ASYNCIO]) as child:
        yield fixed(child, child.printed_port())


@contextmanager
def http2(_environments: Path) -> Iterator[Server]:
    """nghttp2's server, in C: one thread that reads the request and sends a file as the answer."""
    program = shutil.which("nghttpd")
    if program is None:
        raise Unavailable("nghttpd is missing: install Debian's package nghttp2-server")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, METHOD.removeprefix("/"))
        file.parent.mkdir(parents=True)
        file.write_bytes(frame(ANSWER))
        command = [
            program,
            "--no-tls",
            "--workers=1",
            "--address=127.0.0.1",
            "--trailer=grpc-status: 0",
            f"--htdocs={folder}",
            port,
        ]
        with started(command) as child:
            yield fixed(child, port)


def fixed(child: Child, port: int) -> Server:
    """Ready, and a gRPC server: the answer to any call is the fixed one."""
    endpoint = Endpoint(f"127.0.0.1:{port}", NATIVE)
    expected = NATIVE.decode(ANSWER)

    def check() -> bool:
        if endpoint.classify(golden_pixels("uint8")).tolist() != expected.tolist():
            raise Unavailable("it does not give the fixed answer")
        return True

    child.wait_for(check)
    return Server({"uint8": endpoint, "float32": endpoint}, (child,))

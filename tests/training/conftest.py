"""Shared things: a tiny dataset, a mirror on this machine, a real version trained on the digits."""

import gzip
import hashlib
import http.server
import io
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
from flatdense_training.data.datasets import (
    DIGITS,
    TEST_IMAGES,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    Dataset,
)
from flatdense_training.data.idx import UInt8, format_idx
from flatdense_training.fit.plan import Plan
from flatdense_training.order import Order
from flatdense_training.terminal.screen import Screen
from flatdense_training.workflow import follow
from rich.console import Console

NOBODY = 65534


@pytest.fixture
def arrays() -> dict[str, UInt8]:
    """Random images and labels: 40 to train on, 20 to test."""
    random = np.random.default_rng(1)
    return {
        TRAIN_IMAGES: random.integers(0, 256, (40, 28, 28), np.uint8),
        TRAIN_LABELS: random.integers(0, 10, 40, np.uint8),
        TEST_IMAGES: random.integers(0, 256, (20, 28, 28), np.uint8),
        TEST_LABELS: random.integers(0, 10, 20, np.uint8),
    }


@pytest.fixture
def tiny(arrays: dict[str, UInt8]) -> Dataset:
    """The dataset that is made of `arrays`, with no mirror."""
    return Dataset(
        name="tiny",
        title="Tiny",
        class_names=tuple("0123456789"),
        sha256={
            name: hashlib.sha256(format_idx(array)).hexdigest() for name, array in arrays.items()
        },
        min_accuracy=0,
    )


@pytest.fixture
def packed(arrays: dict[str, UInt8]) -> dict[str, bytes]:
    """What a mirror of the tiny dataset serves: path -> bytes."""
    return {f"/{name}.gz": gzip.compress(format_idx(array)) for name, array in arrays.items()}


@pytest.fixture
def write_idx(arrays: dict[str, UInt8]) -> Callable[..., Path]:
    """Writes the tiny dataset's IDX files into a folder."""

    def write(folder: Path, *, gzipped: bool = True) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in arrays.items():
            data = format_idx(array)
            (folder / f"{name}.gz" if gzipped else folder / name).write_bytes(
                gzip.compress(data) if gzipped else data
            )
        return folder

    return write


@pytest.fixture
def serve() -> Iterator[Callable[[Mapping[str, bytes]], tuple[str, list[str]]]]:
    """Starts mirrors that serve the given paths, and 404 for others.

    Each is given as its address and the list of the paths that it was asked for.
    """
    servers = []

    def start(files: Mapping[str, bytes]) -> tuple[str, list[str]]:
        requests: list[str] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            """Answers from `files`."""

            def do_GET(self) -> None:
                """Answers one request."""
                requests.append(self.path)
                if self.path not in files:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(files[self.path])))
                self.end_headers()
                self.wfile.write(files[self.path])

            def log_message(self, *_: object) -> None:
                """Keeps quiet."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}", requests

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def make_order(model_dir: Path, *, epochs: int = 12, min_accuracy: float = 0.8) -> Order:
    """An order for a small, quick model of the embedded digits."""
    return Order(
        datasets=(DIGITS,),
        class_names=None,
        data_dir=None,
        cache_dir=model_dir.with_name(f"{model_dir.name}-cache"),
        model_dir=model_dir,
        hidden_units=32,
        plan=Plan(preset="quick", epochs=epochs, batch_rows=128),
        resume=False,
        logdir=None,
        drawn_digits=True,
        min_accuracy=min_accuracy,
        compile="no",
    )


@pytest.fixture(scope="session")
def order() -> Callable[..., Order]:
    """Makes orders for small, quick models of the embedded digits."""
    return make_order


@pytest.fixture(scope="session")
def output() -> io.StringIO:
    """What the user saw of the run that `trained` made."""
    return io.StringIO()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, output: io.StringIO) -> Path:
    """The folder of a version that the whole job trained and exported; for reading only."""
    order = make_order(tmp_path_factory.mktemp("trained"))
    return follow(order, Screen(Console(file=output, width=120)))


@contextmanager
def be_nobody() -> Iterator[None]:
    """Root may write everywhere: for this block it is nobody."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def without_privileges() -> Callable[[], AbstractContextManager[None]]:
    """A block in which permissions hold, whoever runs the tests."""
    return be_nobody


@pytest.fixture
def write_compiler() -> Callable[..., Path]:
    """Writes a shell script called `c++`, and gives its folder."""

    def write(folder: Path, *lines: str) -> Path:
        folder.mkdir()
        script = folder / "c++"
        script.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        script.chmod(0o755)
        return folder

    return write


@pytest.fixture
def broken_compiler(tmp_path: Path, write_compiler: Callable[..., Path]) -> Path:
    """A folder with a C++ compiler that says `no space left` and ends with status 7."""
    return write_compiler(tmp_path / "broken", "echo 'no space left' >&2", "exit 7")


@pytest.fixture
def held_compiler(tmp_path: Path, write_compiler: Callable[..., Path]) -> Path:
    """A folder with a C++ compiler whose child does the work, and never ends.

    The child writes to the pipe `started`, and then reads from the pipe `held`.
    """
    folder = tmp_path / "held-compiler"
    started, held = folder / "started", folder / "held"
    write_compiler(folder, f"sh -c 'echo > {started}; read line < {held}; true'", "exit 1")
    os.mkfifo(started)
    os.mkfifo(held)
    return folder

"""What is scored in these tests: drawings of the digits that scikit-learn has, and seeded rows."""

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from flatdense_cluster.score.job import Order
from flatdense_cluster.score.ray_session import LOCAL
from PIL import Image
from sklearn.datasets import load_digits

Images = npt.NDArray[np.uint8]
Job = subprocess.Popen[str]

COMMAND = Path(sys.executable).with_name("flatdense-score")


@pytest.fixture(scope="session")
def drawings() -> Images:
    """Digits of 40x40, light on dark: uint8 [N, 40, 40]."""
    digits = (load_digits().images * 15.9).astype(np.uint8)
    big = digits.repeat(3, axis=1).repeat(3, axis=2)
    return np.pad(big, ((0, 0), (8, 8), (8, 8)))


@pytest.fixture(scope="session")
def draw(drawings: Images) -> Callable[[Path, int], None]:
    """Writes so many pictures, in folders of ten."""

    def write(folder: Path, count: int) -> None:
        for number, drawing in enumerate(drawings[:count]):
            file = folder / str(number // 10) / f"{number:03d}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(drawing).save(file)

    return write


@pytest.fixture
def rows() -> Images:
    """Seeded patterns: uint8 [100, 784]."""
    return np.random.default_rng(3).integers(0, 256, (100, 784), np.uint8)


@pytest.fixture(scope="session")
def order_of(exported_model: Path) -> Callable[..., Order]:
    """An order to score a source by the repository's model."""

    def make(source: Path, **others: object) -> Order:
        fields: dict[str, Any] = {
            "source": source,
            "output": source.parent / "out",
            "model_dir": exported_model,
            "version": None,
            "engine": "auto",
            "cache_dir": Path("~/.cache/flatdense").expanduser(),
            "part_rows": 16,
            "concurrency": None,
            "address": LOCAL,
            **others,
        }
        return Order(**fields)

    return make


@pytest.fixture
def limit_file_size() -> Callable[[int], AbstractContextManager[None]]:
    """A block in which no file can grow beyond so many bytes, as on a full disk."""
    return files_limited


@contextmanager
def files_limited(file_bytes: int) -> Iterator[None]:
    """See limit_file_size. The kernel sends a signal, which Python leaves aside."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@dataclass(frozen=True)
class Nodes:
    """A Ray cluster."""

    address: str
    process: int
    """Of which all of its processes are descendants."""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Nodes]:
    """Two nodes with one CPU each.

    Tests that use it are marked xdist_group("ray"), so that a run starts it once.
    """
    command = [sys.executable, Path(__file__).with_name("nodes.py")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        yield Nodes(process.stdout.readline().strip(), process.pid)


@pytest.fixture
def start(exported_model: Path) -> Iterator[Callable[..., Job]]:
    """Starts flatdense-score as a process of its own; those that still run end with the test."""
    with ExitStack() as started:

        def begin(*arguments: object) -> Job:
            """With the repository's model."""
            command = [COMMAND, *map(str, arguments), "--model-dir", str(exported_model)]
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            started.enter_context(process)
            started.callback(process.kill)
            return process

        yield begin

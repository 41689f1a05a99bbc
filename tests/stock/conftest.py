"""What the tests of others' packages share: a server with two versions, rows, the native answer."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import Client, Predictions
from server_process import ServerProcess

Images = npt.NDArray[np.generic]
Native = Callable[[Images], Predictions]


@pytest.fixture(scope="session")
def two_versions(exported_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with two versions of one network: 1 is `stable`, 2 is `canary`."""
    model_dir = Path(shutil.copytree(exported_model, tmp_path_factory.mktemp("stock") / "model"))
    shutil.copytree(model_dir / "1", model_dir / "2")
    (model_dir / "versions.toml").write_text("[labels]\nstable = 1\ncanary = 2\n")
    return model_dir


@pytest.fixture(scope="session")
def server(two_versions: Path, compiled: Path) -> Iterator[ServerProcess]:  # noqa: ARG001
    """Two workers with both versions. Its tests are marked xdist_group("stock"): one start."""
    options = ("--model-dir", str(two_versions), "--engine", "aot", "--workers", "2")
    with ServerProcess(*options) as process:
        assert process.ready()["version"] == 1
        yield process
        assert process.stop() == 0
        assert not any("Traceback" in str(event) for event in process.events)


@pytest.fixture(scope="session")
def controlled(two_versions: Path, compiled: Path) -> Iterator[ServerProcess]:  # noqa: ARG001
    """The same with --model-control."""
    options = ("--model-dir", str(two_versions), "--engine", "aot", "--workers", "2")
    with ServerProcess(*options, "--model-control") as process:
        process.ready()
        yield process
        assert process.stop() == 0
        assert not any("Traceback" in str(event) for event in process.events)


@pytest.fixture(scope="session")
def native(server: ServerProcess) -> Iterator[Native]:
    """What the native protocol answers to rows."""
    with Client(server.address) as client:
        yield client.classify


@pytest.fixture(scope="session", params=[1, 3, 64, 300])
def pixels(request: pytest.FixtureRequest) -> npt.NDArray[np.uint8]:
    """So many rows of pixels, 0..255."""
    rows: int = request.param
    return np.random.default_rng(rows).integers(0, 256, (rows, 784), dtype=np.uint8)


@pytest.fixture(scope="session", params=["uint8", "float32"])
def images(pixels: npt.NDArray[np.uint8], request: pytest.FixtureRequest) -> Images:
    """The rows in either type."""
    return pixels if request.param == "uint8" else pixels.astype(np.float32) / np.float32(255)


@pytest.fixture(scope="session")
def aside(install_aside: Callable[[Path], Path]) -> Callable[[str], Path]:
    """Installs what a list beside the tests names, and gives the folder that it is in."""
    return lambda name: install_aside(Path(__file__).with_name(f"{name}.txt"))

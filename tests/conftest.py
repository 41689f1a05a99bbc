"""What tests of every folder share: the repository, a running server, real digits."""

import gzip
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import trustme
from hypothesis import settings
from prometheus_process import Config, PrometheusProcess
from server_process import COMMAND, ServerProcess

# No test asserts on time: how long an example takes says what else the machine does.
settings.register_profile("flatdense", deadline=None)
settings.load_profile("flatdense")

REPOSITORY = Path(__file__).resolve().parents[1]

Images = npt.NDArray[np.uint8]


@dataclass
class ServerFiles:
    """The files of a server's certificate, of an authority made for the test."""

    folder: Path
    ca: trustme.CA = field(default_factory=trustme.CA)

    @property
    def cert(self) -> Path:
        """The server's chain."""
        return self.folder / "cert.pem"

    @property
    def key(self) -> Path:
        """Its key."""
        return self.folder / "key.pem"

    @property
    def roots(self) -> bytes:
        """What its callers trust: PEM."""
        pem: bytes = self.ca.cert_pem.bytes()
        return pem

    @property
    def roots_file(self) -> Path:
        """The same as a file."""
        path = self.folder / "ca.pem"
        path.write_bytes(self.roots)
        return path

    @property
    def options(self) -> tuple[str, ...]:
        """For the server's command line."""
        return ("--tls-cert", str(self.cert), "--tls-key", str(self.key))

    def issue(self, *names: str, **options: object) -> trustme.LeafCert:
        """Writes a new certificate and its key: for localhost, or for these names."""
        leaf = self.ca.issue_cert(*(names or ("localhost", "127.0.0.1")), **options)
        self.cert.write_bytes(chain_of(leaf))
        self.key.write_bytes(leaf.private_key_pem.bytes())
        return leaf


def chain_of(leaf: trustme.LeafCert) -> bytes:
    """All certificates, as PEM."""
    return b"".join(pem.bytes() for pem in leaf.cert_chain_pems)


@pytest.fixture
def server_files(tmp_path: Path) -> ServerFiles:
    """With a good certificate for localhost."""
    folder = tmp_path / "tls"
    folder.mkdir()
    files = ServerFiles(folder)
    files.issue()
    return files


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def exported_model(repository: Path) -> Path:
    """The model folder that is part of the repository."""
    return repository / "exported_model"


@pytest.fixture(scope="session")
def compiled() -> Path:
    """The folder of the library for the repository's model, in the user's cache.

    `make setup` compiled it where there is a C++ compiler, and this finds it up to date.
    """
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        pytest.skip("no C++ compiler")
    done = subprocess.run(
        [COMMAND.with_name("flatdense-compile")],
        check=True,
        capture_output=True,
        text=True,
        timeout=280,
    )
    return Path(done.stdout.splitlines()[-1].split(",")[0].removesuffix(" is up to date"))


@pytest.fixture(scope="session", params=["aot", "jit"])
def server(exported_model: Path, request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """A real server process with the repository's model, ready; once with each engine.

    Tests that use it are marked xdist_group("server"), so that a run starts each once.
    """
    if request.param == "aot":
        request.getfixturevalue("compiled")
    with ServerProcess(
        *("--model-dir", str(exported_model), "--engine", request.param, "--workers", "1")
    ) as process:
        assert process.ready()["engine"] == request.param
        yield process


@pytest.fixture(scope="session")
def install_aside(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Installs the packages that a file lists into a folder of their own, and gives the folder.

    Without what the packages depend on: that is in the environment already, or must not be.
    """

    @cache
    def install(wanted: Path) -> Path:
        folder = tmp_path_factory.mktemp(wanted.stem)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        command = [*pip, "--no-deps", "--only-binary=:all:", "--target", folder, "-r", wanted]
        subprocess.run(command, check=True, timeout=250)
        return folder

    return install


@pytest.fixture
def start_prometheus(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[Config], PrometheusProcess]]:
    """Starts a real Prometheus with a configuration, ready for queries; it ends with the test."""
    with ExitStack() as started:

        def start(config: Config) -> PrometheusProcess:
            """As many as the test wants."""
            folder = tmp_path_factory.mktemp("prometheus")
            return started.enter_context(PrometheusProcess(config, folder))

        yield start


@pytest.fixture(scope="session")
def mnist_folder(repository: Path) -> Path:
    """The folder with the original MNIST files; the test is skipped where there is none."""
    named = os.environ.get("FLATDENSE_DATA_DIR")  # noqa: TID251 -- no command is run here
    folder = Path(named) if named else repository.parent / "shared" / "mnist"
    if not (folder / "t10k-images-idx3-ubyte.gz").exists():
        pytest.skip(f"no MNIST in {folder}: name its folder in FLATDENSE_DATA_DIR")
    return folder


@pytest.fixture(scope="session")
def mnist_test(mnist_folder: Path) -> tuple[Images, Images]:
    """The 10,000 test images, uint8 [10000, 28, 28], and their labels."""
    images = gzip.decompress((mnist_folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((mnist_folder / "t10k-labels-idx1-ubyte.gz").read_bytes())
    return (
        np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28),
        np.frombuffer(labels, np.uint8, offset=8),
    )


@pytest.fixture(scope="session")
def fashion_folder(repository: Path) -> Path:
    """The folder with the files of Fashion-MNIST; the test is skipped where there is none."""
    folder = repository.parent / "shared" / "fashion-mnist"
    if not (folder / "t10k-images-idx3-ubyte.gz").exists():
        pytest.skip(f"no Fashion-MNIST: {folder} is not there")
    return folder


@pytest.fixture(scope="session")
def fashion_test(fashion_folder: Path) -> Images:
    """The 10,000 test images of Fashion-MNIST, uint8 [10000, 28, 28]."""
    images = gzip.decompress((fashion_folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    return np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)

"""The images, built once: by the Dockerfiles' own steps, without an engine."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest
from deploy.compose import Service, read_services
from deploy.container import Container
from deploy.dockerfile import read_stages
from deploy.image import Builder, Image, copy_context, make_python_image

PROGRAMS = ("mmdebstrap", "unshare", "nsenter", "setpriv")

ARCHIVE = Path.home() / ".cache" / "flatdense" / "tests" / "bookworm-python.tar"


ROOM_BYTES = 8 << 30
"""Twice what the builds take."""


@pytest.fixture(scope="session")
def dockerfiles(repository: Path) -> Path:
    """Their folder."""
    return repository / "deploy" / "docker"


@pytest.fixture(scope="session")
def services(repository: Path) -> Mapping[str, Service]:
    """The services of docker-compose.yml."""
    return read_services(repository / "docker-compose.yml")


def make_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where there are gigabytes: in memory if there is enough, as a disk takes minutes."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or shutil.disk_usage(memory).free < ROOM_BYTES:
        return tmp_path_factory.mktemp("images")
    for left in memory.glob("flatdense-images-*"):  # by a run that was killed
        if not Path(f"/proc/{left.name.rpartition('-')[2]}").exists():
            shutil.rmtree(left)
    folder = memory / f"flatdense-images-{os.getpid()}"
    folder.mkdir(mode=0o755)
    return folder


@pytest.fixture(scope="session")
def builder(
    repository: Path, dockerfiles: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Builder]:
    """Builds from what .dockerignore leaves of the repository."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"images are built here by root, with {', '.join(missing or PROGRAMS)}")
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False).returncode:
        pytest.skip("this machine lets nobody have mounts of their own")
    folder = make_folder(tmp_path_factory)
    try:
        python = make_python_image(folder / "python", ARCHIVE)
        named = read_stages(dockerfiles / "server.Dockerfile")[0].base
        yield Builder(
            folder=folder,
            context=copy_context(repository, folder / "context"),
            images={named: python},
            # The same TensorFlow and compiler made it; a minute of work.
            caches={"/cache/aot-runtime": Path.home() / ".cache" / "flatdense" / "aot-runtime"},
        )
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def server_image(builder: Builder, dockerfiles: Path) -> Image:
    """Of server.Dockerfile."""
    return builder.build(dockerfiles / "server.Dockerfile")


@pytest.fixture(scope="session")
def train_image(builder: Builder, dockerfiles: Path) -> Image:
    """Of train.Dockerfile."""
    return builder.build(dockerfiles / "train.Dockerfile")


@pytest.fixture(scope="session")
def client_image(builder: Builder, dockerfiles: Path) -> Image:
    """Of client.Dockerfile."""
    return builder.build(dockerfiles / "client.Dockerfile")


class Start(Protocol):
    """Starts a container of a service of docker-compose.yml."""

    def __call__(
        self,
        service: str,
        image: Image,
        *,
        variables: Mapping[str, str] | None = None,
        hosts: str = "",
        command: tuple[str, ...] = (),
    ) -> Container:
        """With further variables, lines of /etc/hosts, and another command."""


@pytest.fixture
def start(services: Mapping[str, Service], tmp_path: Path) -> Iterator[Start]:
    """Starts containers, which share the test's volumes and end with it.

    A volume that is used for the first time begins with what the image has in its place.
    """
    with ExitStack() as started:

        def start_one(
            service: str,
            image: Image,
            *,
            variables: Mapping[str, str] | None = None,
            hosts: str = "",
            command: tuple[str, ...] = (),
        ) -> Container:
            """See Start."""
            volumes = {}
            for name, path, _mode in services[service].volumes:
                volumes[name] = tmp_path / name
                if not volumes[name].exists():
                    layer = next(layer for layer in image.layers if (layer / path[1:]).exists())
                    subprocess.run(["cp", "-a", layer / path[1:], volumes[name]], check=True)
            number = len(list(tmp_path.glob("container-*")))
            return started.enter_context(
                Container(
                    services[service],
                    image,
                    tmp_path / f"container-{number}",
                    volumes=volumes,
                    variables=variables,
                    hosts=hosts,
                    command=command,
                )
            )

        yield start_one


def find_free_ports(count: int) -> list[str]:
    """Ports that are free on every address of this machine."""
    with ExitStack() as sockets:
        held = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for each in held:
            each.bind(("0.0.0.0", 0))
        return [str(each.getsockname()[1]) for each in held]


@pytest.fixture
def ports() -> dict[str, str]:
    """Variables that give a server ports of its own: containers share this machine's network."""
    names = ("FLATDENSE_GRPC_PORT", "FLATDENSE_HTTP_PORT")
    return dict(zip(names, find_free_ports(2), strict=True))


@pytest.fixture
def free_port() -> str:
    """One more."""
    return find_free_ports(1)[0]

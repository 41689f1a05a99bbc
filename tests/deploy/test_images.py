"""Each Dockerfile's own steps, executed; and what they made, run as docker-compose.yml says."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from deploy.compose import Service
from deploy.conftest import Start
from deploy.container import Container
from deploy.dockerfile import Step, read_stages
from deploy.image import Image, find
from flatdense_client import Client, Unavailable

pytestmark = [pytest.mark.xdist_group("images"), pytest.mark.timeout(900)]

SERVING_BYTES = 260_000_000
"""Numpy, gRPC and the one file of TensorFlow are 190 MB of it."""

DOCKERFILES = ("client", "server", "server-gpu", "train")


@pytest.fixture
def server(start: Start, server_image: Image, ports: dict[str, str]) -> Container:
    """A container of the server, ready."""
    container = start("server", server_image, variables=ports)
    container.wait_for("ready")
    return container


@pytest.fixture
def address(ports: dict[str, str]) -> str:
    """Where the server's gRPC is."""
    return f"127.0.0.1:{ports['FLATDENSE_GRPC_PORT']}"


@pytest.mark.parametrize("name", DOCKERFILES)
def test_dockerfiles_are_clean(dockerfiles: Path, name: str) -> None:
    """Hadolint finds nothing."""
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), dockerfiles / f"{name}.Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_every_dockerfile_is_named_here(dockerfiles: Path) -> None:
    """None is left out of these tests."""
    assert {path.stem for path in dockerfiles.glob("*.Dockerfile")} == set(DOCKERFILES)


def test_base_images_are_one_and_pinned(dockerfiles: Path) -> None:
    """All build on one release of Python and of Debian."""
    bases = {read_stages(dockerfiles / f"{name}.Dockerfile")[0].base for name in DOCKERFILES}
    (base,) = bases
    repository, _, tag = base.partition(":")
    assert repository == "python"
    assert tag.count(".") == 2


def test_gpu_image_is_the_server_image_but_for_its_engine(dockerfiles: Path) -> None:
    """The GPU's image is installed and started as the other is, of which the steps are tried."""

    def steps(name: str, stage: str) -> list[Step]:
        """Those of a stage that both have."""
        return next(
            each.steps
            for each in read_stages(dockerfiles / f"{name}.Dockerfile")
            if each.name == stage
        )

    def without_engine(steps: list[Step]) -> list[Step]:
        """Without what tells the engines apart."""
        return [
            Step(step.instruction, step.value.replace("'./server[jit-gpu]'", "./server"))
            for step in steps
            if step.instruction != "ENV"
            and "/cache/aot" not in step.value
            and step.instruction != "HEALTHCHECK"
        ]

    common = without_engine(steps("server", "tools") + steps("server", "install"))
    assert without_engine(steps("server-gpu", "install")) == common
    assert without_engine(steps("server-gpu", "serving")) == without_engine(
        steps("server", "serving")
    )


def test_serving_image_is_small(server_image: Image) -> None:
    """What is put over Python stays within a bound."""
    assert server_image.added_bytes < SERVING_BYTES


def test_serving_image_has_no_tensorflow_and_no_compiler(server: Container) -> None:
    """Neither TensorFlow nor Keras can be imported, and nothing there compiles."""
    look = "import importlib.util as u; print(*map(u.find_spec, ('tensorflow', 'keras', 'numpy')))"
    words = server.execute("/opt/flatdense/bin/python", "-c", look).stdout.split(maxsplit=2)
    assert words[:2] == ["None", "None"]
    assert words[2].startswith("ModuleSpec")
    assert server.execute("sh", "-c", "command -v g++ c++ gcc").returncode != 0


def test_server_runs_the_library_of_its_image(server: Container) -> None:
    """The engine is the network compiled ahead of time, of the first stage."""
    ready = server.wait_for("ready")
    assert (ready["engine"], ready["version"]) == ("aot", 1)


@pytest.mark.usefixtures("server")
def test_server_answers_calls_from_outside(address: str) -> None:
    """A classification over gRPC comes back to a caller who is no container."""
    with Client(address) as client:
        assert client.ready()
        assert client.classify(np.zeros((1024, 28, 28), np.uint8)).classes.shape == (1024,)


def test_server_has_no_rights(server: Container) -> None:
    """It is nobody's user, without capabilities, and can get none."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert set(fields["Uid"].split() + fields["Gid"].split()) == {"10001"}
    assert {int(fields[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapInh")} == {0}
    assert fields["NoNewPrivs"] == "1"


@pytest.mark.parametrize("path", ["/opt/flatdense/x", "/models/x", "/x", "/etc/x"])
def test_server_writes_nowhere(server: Container, path: str) -> None:
    """Its files and the model are read-only to it."""
    done = server.execute("touch", path)
    assert "Read-only file system" in done.stderr


def test_server_fits_its_limits(
    server: Container, services: Mapping[str, Service], address: str
) -> None:
    """After big requests, half of the memory and of the processes that it may have are left."""
    with Client(address) as client:
        client.classify(np.zeros((20_000, 28, 28), np.uint8))
    pids = server.pids
    threads = sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in pids)
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    used_bytes = sum(int(text.split("Pss:")[1].split()[0]) * 1024 for text in rollups)
    assert threads < services["server"].limits["pids"] / 2
    assert used_bytes < services["server"].memory_bytes / 2


def test_probe_says_when_the_server_is_ready(
    server: Container, services: Mapping[str, Service], server_image: Image
) -> None:
    """The health check exits with 0 at a server that is ready, and with 1 where none is."""
    (kind, *probe) = services["server"].document["healthcheck"]["test"]
    assert kind == "CMD"
    assert tuple(probe) == server_image.probe
    assert server.execute(*probe).returncode == 0
    elsewhere = server.execute("env", "FLATDENSE_GRPC_PORT=9", *probe)
    assert (elsewhere.returncode, elsewhere.stderr) == (1, "")


def test_probe_asks_the_plaintext_port_where_there_is_one(
    start: Start, server_image: Image, ports: dict[str, str], free_port: int
) -> None:
    """With a health port the probe needs no gRPC, as where that has TLS."""
    told = {**ports, "FLATDENSE_PLAINTEXT_HEALTH_PORT": str(free_port)}
    container = start("server", server_image, variables=told)
    container.wait_for("ready")
    assert container.execute("env", "FLATDENSE_GRPC_PORT=9", "probe").returncode == 0
    closed = container.execute("env", "FLATDENSE_PLAINTEXT_HEALTH_PORT=9", "probe")
    assert (closed.returncode, closed.stderr) == (1, "")


def test_sigterm_drains(server: Container, address: str) -> None:
    """SIGTERM ends the container with 0 within the time that an engine gives it."""
    with Client(address) as client:
        client.classify(np.zeros((28, 28), np.uint8))
        assert server.stop() == 0
        with pytest.raises(Unavailable):
            client.classify(np.zeros((28, 28), np.uint8))


def test_variables_are_judged(start: Start, server_image: Image) -> None:
    """A variable that cannot be meant ends the container at once, with a sentence."""
    container = start("server", server_image, variables={"FLATDENSE_GRPC_PORT": "many"})
    assert container.wait() == 2
    assert "Invalid value for '--grpc-port': 'many'" in container.lines[-1]


def test_training_is_served(start: Start, train_image: Image, server: Container) -> None:
    """The train service writes the next version into the volume, and the server takes it."""
    train = start(
        "train",
        train_image,
        variables={"FLATDENSE_DATASET": "digits"},
        command=("--epochs", "2", "--min-accuracy", "0"),
    )
    assert train.wait() == 0, train.lines
    assert server.wait_for("swapped")["version"] == 2


def test_training_image_has_no_more_rights(train_image: Image) -> None:
    """It is the same user, and owns what the volumes begin with."""
    assert train_image.user == "10001:10001"
    for path in ("/models", "/data"):
        assert find(train_image, path).stat().st_uid == 10_001


def test_client_calls_every_replica(
    start: Start, server_image: Image, client_image: Image, ports: dict[str, str]
) -> None:
    """The client service spreads its calls over all addresses of the server's name."""
    addresses = ("127.0.0.1", "127.0.0.2")
    for each in addresses:
        start("server", server_image, variables={**ports, "FLATDENSE_HOST": each}).wait_for("ready")
    client = start(
        "client",
        client_image,
        variables={"FLATDENSE_SERVER": f"dns:///server:{ports['FLATDENSE_GRPC_PORT']}"},
        hosts="".join(f"{each} server\n" for each in addresses),
        command=("--http-port", ports["FLATDENSE_HTTP_PORT"], "--calls", "100"),
    )
    assert client.wait() == 0, client.lines
    assert client.lines[:2] == ["50 pictures of a 3", "50 pictures of a 7"]
    answered = [re.fullmatch(r"(\S+) classified (\d+)", line) for line in client.lines[2:]]
    counts = {found[1]: int(found[2]) for found in answered if found}
    assert (tuple(counts), sum(counts.values())) == (addresses, 100)
    assert min(counts.values()) > 25  # the first calls may come before the second connection

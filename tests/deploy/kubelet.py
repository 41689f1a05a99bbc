"""Runs one container of a pod as a kubelet would: its arguments, its files, its probes, its end."""

import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from server_process import ServerProcess

PodSpec = dict[str, Any]
"""A pod's `spec`, of a manifest."""

LOOK_S = 0.1
"""How often probes are asked here, where the answer is waited for."""


class Pod:
    """The server of a pod, on this machine, on free ports.

    Used as a context manager: it leaves no process behind. What the manifest mounts is what the
    test gives instead, by the path in the container.
    """

    def __init__(
        self, spec: PodSpec, volumes: Mapping[str, Path], *, values: Mapping[str, str] | None = None
    ) -> None:
        """`values` are what takes the place of `{{...}}` in arguments."""
        self._spec = spec
        (self._container,) = spec["containers"]
        self._arguments = [fill(each, values or {}) for each in self._container["args"]]
        self._volumes = volumes
        here = [self._carry_over(each) for each in self._arguments]
        variables = {each["name"]: each["value"] for each in self._container.get("env", [])}
        self.server = ServerProcess(*here, variables={**variables, "TMPDIR": str(volumes["/tmp"])})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.server.__exit__(kind, error, traceback)

    @property
    def address(self) -> str:
        """Where gRPC is: host:port."""
        return f"127.0.0.1:{self.ports()['--grpc-port']}"

    def ports(self) -> dict[str, int]:
        """What it listens on, by the option that says so."""
        said = self.server.wait_for("listening")
        places = {
            "--grpc-port": said["grpc"],
            "--http-port": said["page"],
            "--plaintext-health-port": said.get("probes"),
        }
        return {option: port_of(place) for option, place in places.items() if place}

    def probe(self, name: str) -> bool:
        """Asks one of the container's probes, such as `readinessProbe`, once."""
        probe = self._container[name]
        timeout_s = probe["timeoutSeconds"]
        if "grpc" in probe:
            port = self._port_here(probe["grpc"]["port"])
            return answers_grpc(port, probe["grpc"].get("service", ""), timeout_s)
        if "tcpSocket" in probe:
            return answers_tcp(self._port_here(probe["tcpSocket"]["port"]), timeout_s)
        wanted = probe["httpGet"]
        scheme = wanted.get("scheme", "HTTP").lower()
        url = f"{scheme}://127.0.0.1:{self._port_here(wanted['port'])}{wanted['path']}"
        return answers_http(url, timeout_s)

    def start(self) -> None:
        """Asks the startup probe, or else the readiness probe, until it succeeds.

        Raises TimeoutError where a kubelet would begin anew.
        """
        name = "startupProbe" if "startupProbe" in self._container else "readinessProbe"
        probe = self._container[name]
        until_s = time.monotonic() + max(60, probe["periodSeconds"] * probe["failureThreshold"])
        while not self.probe(name):
            if time.monotonic() > until_s:
                raise TimeoutError(f"{name} fails: {self.server.events}")
            time.sleep(LOOK_S)

    def await_end_of_pre_stop(self) -> None:
        """What comes before SIGTERM."""
        time.sleep(pre_stop_s(self._container))

    def terminate(self) -> int:
        """Sends SIGTERM, gives the exit status. Raises TimeoutExpired where it would be killed."""
        self.server.send(signal.SIGTERM)
        return self.server.wait(grace_s(self._spec) - pre_stop_s(self._container))

    def _carry_over(self, argument: str) -> str:
        """The same argument here: free ports, and the test's folders."""
        option, equals, value = argument.partition("=")
        if option.endswith("-port"):
            return f"{option}=0"
        for path, folder in self._volumes.items():
            if value == path or value.startswith(f"{path}/"):
                return f"{option}{equals}{folder}{value.removeprefix(path)}"
        return argument

    def _port_here(self, wanted: int | str) -> int:
        """Where a port of the container is here, by its number or name."""
        named = {port["name"]: port["containerPort"] for port in self._container["ports"]}
        number = named.get(str(wanted), wanted)
        options = dict(each.split("=", 1) for each in self._arguments if "-port=" in each)
        (option,) = (option for option, value in options.items() if int(value) == number)
        return self.ports()[option]


class SecretVolume:
    """A folder as a kubelet keeps it for a Secret: new files take the old ones' place all at once.

    Each file is a link to `..data/` and its name, and `..data` is a link to the folder that counts.
    """

    def __init__(self, folder: Path, files: Mapping[str, bytes]) -> None:
        self.folder = folder
        self._updates = 0
        folder.mkdir()
        self.update(files)

    def update(self, files: Mapping[str, bytes]) -> None:
        """The Secret was changed."""
        data = self.folder / "..data"
        before = data.resolve() if data.is_symlink() else None
        self._updates += 1
        now = self.folder / f"..2026_01_01_00_00_00.{self._updates}"
        now.mkdir()
        for name, content in files.items():
            (now / name).write_bytes(content)
        aside = self.folder / "..data_tmp"
        aside.symlink_to(now.name)
        aside.rename(data)
        for name in files:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")
        if before:
            for file in before.iterdir():
                file.unlink()
            before.rmdir()


def fill(text: str, values: Mapping[str, str]) -> str:
    """KServe's templates."""
    for name, value in values.items():
        text = text.replace(f"{{{{{name}}}}}", value)
    return text


def grace_s(spec: PodSpec) -> float:
    """How long a pod has to end; what Kubernetes gives where it says nothing."""
    return float(spec.get("terminationGracePeriodSeconds", 30))


def pre_stop_s(container: Mapping[str, Any]) -> float:
    """How much of that goes by before SIGTERM."""
    hook = container.get("lifecycle", {}).get("preStop", {})
    return float(hook.get("sleep", {}).get("seconds", 0))


def port_of(place: str) -> int:
    """Of host:port, or of a URL."""
    port = urlsplit(place if "//" in place else f"//{place}").port
    assert port
    return port


def answers_grpc(port: int, service: str, timeout_s: float) -> bool:
    """A gRPC probe: in plaintext, and SERVING alone counts."""
    request = health_pb2.HealthCheckRequest(service=service)
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=timeout_s)
        except grpc.RpcError:
            return False
    serving: bool = answer.status == health_pb2.HealthCheckResponse.SERVING
    return serving


def answers_http(url: str, timeout_s: float) -> bool:
    """An HTTP probe: 200 to 399."""
    try:
        with urlopen(url, timeout=timeout_s):
            return True
    except HTTPError as error:
        error.close()
        return False
    except (URLError, OSError):
        return False


def answers_tcp(port: int, timeout_s: float) -> bool:
    """A TCP probe: somebody listens."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout_s):
            return True
    except OSError:
        return False

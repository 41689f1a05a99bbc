"""Runs an image as a compose service says, without an engine: namespaces, no rights, no writing.

The network is this machine's: there the tests call from, and ports are told by variables.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.compose import Service
from deploy.image import Image
from server_process import parse

START = """
mount -t overlay -o "ro,lowerdir=$1" overlay "$2"
cd "$2"; shift 2
mount -t proc proc proc
mount -t tmpfs tmpfs dev
for device in null zero random urandom; do
  : > "dev/$device"; mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/shm; mount -t tmpfs -o size=64m,mode=1777 tmpfs dev/shm
while [ "$1" != -- ]; do
  case $3 in
    tmpfs) mount -t tmpfs -o "$1" tmpfs ".$2" ;;
    *) mount --bind "$1" ".$2"; mount -o "remount,bind,$3" ".$2" ;;
  esac
  shift 3
done
shift
exec chroot . "$@"
"""
"""Lower folders; where; triples of a source, a target and a mode; --; the command."""


class Container:
    """One container of a service. Leaving the context leaves nothing of it behind."""

    def __init__(
        self,
        service: Service,
        image: Image,
        folder: Path,
        *,
        volumes: Mapping[str, Path],
        variables: Mapping[str, str] | None = None,
        command: Sequence[str] = (),
        hosts: str = "",
    ) -> None:
        self._service = service
        told = {**image.variables, "HOME": "/", **service.variables, **(variables or {})}
        self._confined = [
            *("setpriv", f"--reuid={service.user[0]}", f"--regid={service.user[1]}"),
            *("--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"),
            *("env", "-i", f"--chdir={image.folder}", *(f"{k}={v}" for k, v in told.items())),
        ]
        folder.mkdir(parents=True)
        root = folder / "root"
        root.mkdir()
        (folder / "hosts").write_text(hosts)
        mounts = [(str(folder / "hosts"), "/etc/hosts", "ro")]
        mounts += [(str(volumes[name]), path, mode) for name, path, mode in service.volumes]
        mounts += [(options, path, "tmpfs") for path, options in service.tmpfs]
        entrypoint = service.entrypoint or image.entrypoint
        self._process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child"]
            + ["sh", "-euc", START, "sh", ":".join(map(str, image.layers)), str(root)]
            + [part for mount in mounts for part in mount]
            + ["--", *self._confined, *entrypoint, *(command or service.command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        """What it wrote so far."""
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            os.kill(self.pid, signal.SIGKILL)  # with it all others of its namespace end
        self.wait()

    @property
    def pid(self) -> int:
        """The container's first process, by its id outside."""
        return int(Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text())

    @property
    def pids(self) -> list[int]:
        """All its processes."""
        space = Path(f"/proc/{self.pid}/ns/pid").readlink()
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if (path / "ns/pid").readlink() == space:
                    found.append(int(path.name))
            except OSError:  # it ended
                continue
        return found

    def execute(self, *command: str, timeout_s: float = 30) -> subprocess.CompletedProcess[str]:
        """Runs a command inside, as the service's user."""
        return subprocess.run(
            [
                *("nsenter", "--target", str(self.pid)),
                *("--mount", "--pid", "--ipc", "--root", "--wd=/"),
                *(*self._confined, *command),
            ],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def wait_for(self, event: str, timeout_s: float = 60) -> dict[str, object]:
        """The first line of the log with that event. Raises RuntimeError, TimeoutError."""

        def find() -> dict[str, object] | None:
            events = map(parse, self.lines)
            return next((each for each in events if each.get("event") == event), None)

        with self._changed:
            if not self._changed.wait_for(lambda: find() or self._ended, timeout_s):
                raise TimeoutError(f"no {event!r} within {timeout_s} s: {self.lines}")
            found = find()
        if found is None:
            raise RuntimeError(f"it ended without {event!r}: {self.lines}")
        return found

    def stop(self) -> int:
        """Sends SIGTERM and gives the exit status. Raises TimeoutExpired where an engine kills."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait(self._service.stop_grace_period_s)

    def wait(self, timeout_s: float = 120) -> int:
        """Gives the exit status, when it ends. Raises TimeoutExpired."""
        status = self._process.wait(timeout_s)
        self._reader.join(timeout_s)
        if self._process.stdout:
            self._process.stdout.close()
        return status

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

"""A peer's process: held to one compute thread, watched while it starts, ended with all it made."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from environment import Unavailable

Found = TypeVar("Found")

ONE_THREAD: Final = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
}
START_S: Final = 180.0
END_S: Final = 10.0

UTIME, SESSION = 11, 3
"""Where /proc/<pid>/stat has them, counted after the name in brackets."""


class Child:
    """A process and those that it starts: one session of the system's."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    def wait_for(self, find: Callable[[], Found | None], timeout_s: float = START_S) -> Found:
        """Asks until something is found; an OSError means not yet.

        Raises Unavailable with the end of the log where the process ends first, or after a while.
        """
        until_s = time.monotonic() + timeout_s
        last: OSError | None = None
        while time.monotonic() < until_s and self._process.poll() is None:
            try:
                found = find()
            except OSError as error:
                found, last = None, error
            if found is not None:
                return found
            time.sleep(0.1)
        if self._process.poll() is None:
            raise Unavailable(f"not ready after {timeout_s:.0f} s: {in_one_line(str(last))}")
        said = self._log.read_text(errors="replace")
        faults = [line for line in said.splitlines() if "Error:" in line]
        raise Unavailable(f"its process ended: {in_one_line((faults or [said])[-1])}")

    def printed_port(self) -> int:
        """The number that the process printed alone on a line, waiting for it."""

        def find() -> int | None:
            lines = self._log.read_text(errors="replace").splitlines()
            return next((int(line) for line in lines if line.isdigit()), None)

        return self.wait_for(find)

    def cpu_s(self) -> float:
        """What all processes of the session took of the CPU so far."""
        ticks = 0
        for file in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = file.read_text().rpartition(")")[2].split()
            except OSError:  # it ended between the two
                continue
            if int(fields[SESSION]) == self._process.pid:
                ticks += int(fields[UTIME]) + int(fields[UTIME + 1])
        return ticks / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """Asks all of them to end, and kills what is left after a while."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return


@contextmanager
def started(command: list[object], variables: dict[str, str] | None = None) -> Iterator[Child]:
    """A process that ends with the context. It may not be ready yet."""
    environment = {**os.environ, **ONE_THREAD, **(variables or {})}  # noqa: TID251 -- handed on
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with (
            log.open("wb") as output,
            subprocess.Popen(  # noqa: S603 -- our own commands
                [str(argument) for argument in command],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as process,
        ):
            child = Child(process, log)
            try:
                yield child
            finally:
                child.end()


def free_port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def in_one_line(text: str) -> str:
    """The end of a text."""
    return " ".join(text.split())[-300:]

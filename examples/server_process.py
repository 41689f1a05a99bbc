"""Runs flatdense-server as a child process: for demos, tests and benchmarks."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

Event = dict[str, Any]

COMMAND = Path(sys.executable).with_name("flatdense-server")


class ServerProcess:
    """A server on free ports, whose log events can be waited for.

    Used as a context manager: it leaves no process behind. Entering does not wait; ready() does.
    """

    def __init__(
        self,
        *options: str,
        variables: dict[str, str] | None = None,
        command: Sequence[str | Path] = (COMMAND,),
    ) -> None:
        ports = ("--grpc-port", "0", "--http-port", "0")
        self._process = subprocess.Popen(  # noqa: S603 -- our own command
            [*command, *ports, *options, "--log-format", "json"],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(variables or {})},  # noqa: TID251 -- handed on, not read
        )
        self.events: list[Event] = []
        """What the server logged so far, oldest first; a line that is no event under "raw"."""
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "ServerProcess":  # noqa: PYI034 -- typing.Self is newer than 3.10
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self.wait()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def worker_pids(self) -> list[int]:
        """The ids of the worker processes that run now. On Linux."""
        children = [path.read_text() for path in Path(f"/proc/{self.pid}/task").glob("*/children")]
        pids = map(int, " ".join(children).split())
        return [pid for pid in pids if b"spawn_main" in read_command(pid)]

    @property
    def address(self) -> str:
        """Where gRPC listens: host:port."""
        return str(self.wait_for("listening")["grpc"])

    @property
    def page(self) -> str:
        """The URL of the page, ending in a slash; the other HTTP paths are below it."""
        return str(self.wait_for("listening")["page"])

    def ready(self, timeout_s: float = 180.0) -> Event:
        """Waits until the server answers calls."""
        return self.wait_for("ready", timeout_s)

    def wait_for(self, name: str, timeout_s: float = 60.0, **particulars: object) -> Event:
        """The first event of that name with those particulars, waiting for it.

        Raises RuntimeError with the log where the process ends first, TimeoutError after a while.
        """

        def find() -> Event | None:
            wanted = {"event": name, **particulars}.items()
            return next((event for event in self.events if wanted <= event.items()), None)

        with self._changed:
            if not self._changed.wait_for(lambda: find() or self._ended, timeout_s):
                raise TimeoutError(f"no event {name!r} within {timeout_s} s: {self.events}")
            event = find()
        if event is None:
            raise RuntimeError(f"the server ended without the event {name!r}: {self.events}")
        return event

    def wait_for_many(self, name: str, count: int, timeout_s: float = 60.0) -> None:
        """Waits until there were so many events of that name. Raises TimeoutError."""

        def found() -> bool:
            return sum(event.get("event") == name for event in self.events) >= count

        with self._changed:
            if not self._changed.wait_for(found, timeout_s):
                raise TimeoutError(f"not {count} events {name!r} in {timeout_s} s: {self.events}")

    def send(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal and gives the exit status."""
        self.send(number)
        return self.wait()

    def wait(self, timeout_s: float = 60.0) -> int:
        """Waits for the end and gives the exit status.

        Raises TimeoutError, which says where each thread of it stands, where it does not end.
        """
        try:
            status = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGABRT)  # faulthandler writes to the log, and the process ends
            self._process.wait(timeout_s)
            self._reader.join(timeout_s)
            raise TimeoutError(f"no end in {timeout_s} s: {self.events}") from None
        self._reader.join(timeout_s)
        if self._process.stderr:
            self._process.stderr.close()
        return status

    def _read(self) -> None:
        assert self._process.stderr  # noqa: S101 -- it was asked for
        for line in self._process.stderr:
            self._append(parse(line))
        self._append(None)

    def _append(self, event: Event | None) -> None:
        with self._changed:
            if event is None:
                self._ended = True
            else:
                self.events.append(event)
            self._changed.notify_all()


def read_command(pid: int) -> bytes:
    """The command line of a process; empty where it has just ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def parse(line: str) -> Event:
    """One line of the log."""
    try:
        event = json.loads(line)
    except ValueError:
        return {"raw": line}
    return event if isinstance(event, dict) else {"raw": line}

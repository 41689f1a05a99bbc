"""The server that a replica holds: a process of its own, the same as on one machine."""

import asyncio
import json
import logging
import os
import sys
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from flatdense_cluster.errors import ClusterError

log = logging.getLogger("ray.serve")

COMMAND: Final = Path(sys.executable).with_name("flatdense-server")

TAKEN: Final = frozenset({"host", "http_host", "grpc_port", "http_port", "workers", "log_format"})
"""Settings that are the replica's: each has one worker, on ports that nobody else knows."""

LINE_BYTES: Final = 1 << 20
"""More than a line of its log has."""

REMEMBERED_LINES: Final = 20
"""Of the log, for whoever asks why it ended."""


class Server:
    """A running flatdense-server with one worker, on free ports of the loopback.

    It ends with the process that started it. Used from one event loop.
    """

    def __init__(self, process: asyncio.subprocess.Process, lines: asyncio.StreamReader) -> None:
        """Of one that was just started, and the lines of its log; see start()."""
        self._process = process
        self._lines = lines
        self._last: deque[str] = deque(maxlen=REMEMBERED_LINES)
        self._listening: asyncio.Future[dict[str, Any]] = asyncio.Future()
        self._ready: asyncio.Future[dict[str, Any]] = asyncio.Future()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, options: Mapping[str, object]) -> "Server":
        """Starts one with these settings of flatdense-server, and waits until it answers.

        Raises ClusterError where a setting is the replica's own, and where the server does not
        start, with what it said.
        """
        command = [str(COMMAND), *write_options(options)]
        # A pipe of our own: asyncio takes a process for running until its pipes are closed, and a
        # worker that answers its last calls holds them open.
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "flatdense_cluster.serve.leash", str(os.getpid())),
                *command,
                stderr=writing,
            )
        finally:
            os.close(writing)
        server = cls(process, await open_lines(reading))
        try:
            await server._ready
        except BaseException:
            await server.stop()
            raise
        return server

    @property
    def address(self) -> str:
        """Of gRPC: host:port."""
        return str(self._listening.result()["grpc"])

    @property
    def metrics_url(self) -> str:
        """For a scraper."""
        return f"{self._listening.result()['page']}metrics"

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    async def wait(self) -> str:
        """Waits until it has ended; gives its status, and what it said last."""
        await self._process.wait()
        return self._explain_end()

    async def stop(self) -> None:
        """Has it answer what it accepted, and waits for its end."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        """Hands its log on, and learns from it where it listens and when it answers."""
        async for line in self._lines:
            self._hear(line.decode(errors="replace").rstrip())
        await self._process.wait()
        for awaited in (self._listening, self._ready):
            if not awaited.done():
                awaited.set_exception(ClusterError(self._explain_end()))
                awaited.exception()  # it may be that nobody waits

    def _hear(self, line: str) -> None:
        self._last.append(line)
        try:
            event = json.loads(line)
        except ValueError:
            event = {}
        level = logging.getLevelName(str(event.get("level", "warning")).upper())
        log.log(level if isinstance(level, int) else logging.WARNING, "%s", line)
        for name, awaited in (("listening", self._listening), ("ready", self._ready)):
            if event.get("event") == name and not awaited.done():
                awaited.set_result(event)

    def _explain_end(self) -> str:
        said = "\n".join(self._last) or "nothing"
        return f"flatdense-server ended with status {self._process.returncode}. It said:\n{said}"


async def open_lines(reading: int) -> asyncio.StreamReader:
    """The end of a pipe that is read, as a stream."""
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    protocol = asyncio.StreamReaderProtocol(reader)
    pipe = os.fdopen(reading, "rb", buffering=0)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, pipe)
    return reader


def write_options(options: Mapping[str, object]) -> list[str]:
    """Settings by their names, such as model_dir, as flatdense-server's command line has them.

    Raises ClusterError where one is not for the caller to choose.
    """
    if taken := sorted(TAKEN & options.keys()):
        raise ClusterError(
            f"{', '.join(taken)}: a replica chooses by itself. Leave out; for more capacity set "
            "num_replicas or autoscaling_config."
        )
    arguments = ["--host=127.0.0.1", "--grpc-port=0", "--http-port=0", "--workers=1"]
    arguments.append("--log-format=json")
    for name, value in options.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            arguments.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            arguments.append(f"--{flag}={value}")
    return arguments

"""The C++ compiler."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from flatdense_training.errors import CompileFailed

CANDIDATES = ("c++", "g++", "clang++")

TAIL_LINES = 12
"""How much of a compiler's complaint a user is shown."""


def find_compiler() -> Path:
    """The first C++ compiler on the PATH. Raises CompileFailed where there is none."""
    for name in CANDIDATES:
        found = shutil.which(name)
        if found:
            return Path(found)
    raise CompileFailed(
        f"There is no C++ compiler: none of {', '.join(CANDIDATES)} is on the PATH. "
        "Install one (on Debian: apt-get install g++), or serve with --engine jit."
    )


class Toolchain:
    """A C++ compiler, and those of its processes that run.

    - `run` is called on any thread but the main one, for Ctrl-C must not get between a process and
      its record; `stop` on any thread.
    - A toolchain that was stopped runs nothing more. Leaving it as a context stops it.
    """

    def __init__(self, compiler: Path) -> None:
        self._compiler = compiler
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def run(self, arguments: Sequence[str | Path], output: Path) -> None:
        """Compiles or links `output`, and returns when no process of that is left.

        Raises CompileFailed with the end of what the compiler said, or where it was stopped.
        """
        process = self._start([self._compiler, *arguments, "-o", output])
        # To the end of the pipe, which the compiler's own children hold too.
        said, _ = process.communicate()
        with self._lock:
            self._running.remove(process)
        if process.returncode:
            tail = "\n".join(said.splitlines()[-TAIL_LINES:])
            raise CompileFailed(
                f"{self._compiler} failed with {describe_end(process.returncode)} and did not make "
                f"{output}:\n{tail}\nPut that right and compile again, or serve with --engine jit."
            )

    def stop(self) -> None:
        """Ends what runs: each `run` that waits for it raises soon after."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)

    def check(self) -> None:
        """Raises CompileFailed where it was stopped."""
        if self._stopped:
            raise CompileFailed("The compilation was given up.")

    def _start(self, command: Sequence[str | Path]) -> subprocess.Popen[str]:
        with self._lock:
            self.check()
            try:
                process = subprocess.Popen(  # noqa: S603 -- the compiler that was found
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    # A compiler is a driver whose children do the work: they are ended together.
                    process_group=0,
                )
            except OSError as error:
                raise CompileFailed(
                    f"{self._compiler} cannot be run: {error.strerror}. Put that right, or serve "
                    "with --engine jit."
                ) from error
            self._running.add(process)
            return process


def describe_end(returncode: int) -> str:
    """How a process ended, in words."""
    if returncode < 0:
        return f"signal {-returncode} ({signal.strsignal(-returncode)})"
    return f"status {returncode}"

"""Keeps one worker process running."""

import logging
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Final, TypeAlias

from flatdense_server.observe.metrics.board import Board
from flatdense_server.observe.metrics.boards import Boards
from flatdense_server.post import Answer, Command, Ended, Failed, Ready, Renewed, Report

log = logging.getLogger(__name__)

FIRST_BACKOFF_S: Final = 0.1
LONGEST_BACKOFF_S: Final = 30.0

STEADY_S: Final = 60.0
"""After one that was ready for so long, the next one comes at once, whatever was before."""

MAX_FALSE_STARTS: Final = 3
"""So many may end in a row before one was ever ready."""

Make: TypeAlias = Callable[[Board, Connection], SpawnProcess]
"""Gives a process that was not started, for its board and its end of a pipe to the supervisor."""


class Keeper:
    """Starts a worker, passes its reports on, replaces it when it ends, and ends it when told to.

    A thread does it.
    """

    def __init__(
        self, number: int, make: Make, *, boards: Boards, tell: Callable[[int, Report], None]
    ) -> None:
        """`tell(number, report)` is called on the keeper's thread."""
        self.number = number
        self._make = make
        self._boards = boards
        self._tell = tell
        self._process: SpawnProcess | None = None
        self._line: Connection | None = None
        self._starting = threading.Lock()
        self._stopping = threading.Event()
        self._ready_s: float | None = None
        self._backoff_s = FIRST_BACKOFF_S
        self._false_starts = 0
        self._thread = threading.Thread(target=self._keep, name=f"keeper-{number}", daemon=True)

    @property
    def pid(self) -> int | None:
        """The process's id, where there is one now."""
        process = self._process
        return process.pid if process else None

    def start(self) -> None:
        """Begins. Once."""
        self._thread.start()

    def send(self, message: Answer | Command | Renewed) -> None:
        """Says something to the process; where there is none now, nobody hears."""
        if line := self._line:
            with suppress(OSError):
                line.send(message)

    def drain(self) -> None:
        """Tells the process to end as on SIGTERM; there is no other after it."""
        with self._starting:
            self._stopping.set()
            if self._process:
                self._process.terminate()

    def kill(self) -> None:
        """Ends the process at once."""
        if process := self._process:
            process.kill()

    def join(self, timeout_s: float) -> bool:
        """Waits until the process has ended after drain(); False where that takes longer."""
        self._thread.join(max(0.0, timeout_s))
        return not self._thread.is_alive()

    def _keep(self) -> None:
        # Ctrl-C in a terminal reaches every process: this one's children leave it to us.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        while not self._stopping.is_set():
            cause = self._run()
            if not self._stopping.is_set():
                ended = self._judge(cause)
                self._tell(self.number, ended)
                self._stopping.wait(ended.backoff_s)

    def _run(self) -> str:
        """A process from its start to its end; gives why it ended."""
        self._ready_s = None
        board = Board()
        reports, theirs = Pipe()
        with reports:
            self._line = reports
            try:
                process = self._start(board, theirs)
            except OSError as error:
                return f"it could not be started: {error}"
            self._boards.add(board)
            self._hear(reports, board)
            process.join()
            self._boards.retire(board)
        return describe_end(process.exitcode or 0)

    def _start(self, board: Board, theirs: Connection) -> SpawnProcess:
        with theirs, self._starting:
            process = self._make(board, theirs)
            if self._stopping.is_set():
                raise InterruptedError("the service stops")
            process.start()
            self._process = process
            return process

    def _hear(self, reports: Connection, board: Board) -> None:
        while True:
            try:
                report = reports.recv()
            except (EOFError, OSError):
                return
            if isinstance(report, Ready):
                self._ready_s = time.monotonic()
                self._false_starts = 0
                self._boards.settle(board)
            self._tell(self.number, report)

    def _judge(self, cause: str) -> Ended:
        """What an end means, and how long to wait after it."""
        if self._ready_s is None:
            self._false_starts += 1
            if self._false_starts == MAX_FALSE_STARTS:
                reason = (
                    f"worker {self.number} ended {MAX_FALSE_STARTS} times before it was ready, the "
                    f"last time like this: {cause}."
                )
                self._tell(self.number, Failed(reason))
        if self._ready_s is not None and time.monotonic() - self._ready_s > STEADY_S:
            self._backoff_s = FIRST_BACKOFF_S
        backoff_s, self._backoff_s = self._backoff_s, min(2 * self._backoff_s, LONGEST_BACKOFF_S)
        return Ended(cause, backoff_s)


def describe_end(exitcode: int) -> str:
    """How a process ended."""
    if exitcode >= 0:
        return f"exit status {exitcode}"
    return f"killed by {signal.Signals(-exitcode).name}"

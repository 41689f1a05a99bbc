"""Writes log lines where nobody has to wait for them."""

import logging
import os
import select
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final, TypeAlias

from flatdense_server.observe.logs import access_log

MOST_BYTES: Final = 1 << 22
"""Of lines that wait. Beyond them lines are dropped."""

MOST_PLENTIFUL_BYTES: Final = MOST_BYTES // 2
"""Of lines that wait, where one more of the access log comes: the others keep their place."""

AT_ONCE_BYTES: Final = 4096
"""Written in one piece, so that lines of several processes do not mix in one pipe."""

FLUSH_S: Final = 1.0
"""For what waits to be written, when the process ends."""

Waiting: TypeAlias = bytes | threading.Event


class LogWriter(logging.Handler):
    """Writes each line on a thread of its own: a full disk, or a reader that does not read, keeps
    nobody waiting.

    What finds no place in the queue is dropped, and so is what cannot be written. When lines can
    be written again, the first one says how many were lost. Flushing waits for FLUSH_S at most.
    """  # noqa: D205 -- the contract in one sentence

    def __init__(self, descriptor: int) -> None:
        """Writes to a descriptor, which it does not close."""
        super().__init__()
        self._descriptor = descriptor
        self._lines: SimpleQueue[Waiting] = SimpleQueue()
        self._came_bytes = 0
        """Changed where the handler's lock is held."""
        self._left_bytes = 0
        """Changed on the writing thread alone."""
        self._counting = threading.RLock()
        self._dropped = 0
        self._untold = 0
        """Lines that were dropped since it was last said how many."""
        self._torn = False
        """Whether the last line was not written to its end."""
        self._report: Callable[[int], None] | None = None
        threading.Thread(target=self._work, name="log", daemon=True).start()

    def report_to(self, count: Callable[[int], None]) -> None:
        """From now on `count` hears of lines that are dropped, and first of those that were."""
        with self._counting:
            self._report = count
            count(self._dropped)

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler. Never waits, never raises."""
        plentiful = record.name == access_log.log.name
        most_bytes = MOST_PLENTIFUL_BYTES if plentiful else MOST_BYTES
        try:
            line = f"{self.format(record)}\n".encode(errors="backslashreplace")
        except Exception:  # noqa: BLE001 -- a line that cannot be made is no reason to fail
            line = b""
        if line and self._came_bytes - self._left_bytes < most_bytes:
            self._came_bytes += len(line)
            self._lines.put(line)
        else:
            self._drop(1)

    def flush(self) -> None:
        """See logging.Handler."""
        written = threading.Event()
        self._lines.put(written)
        written.wait(FLUSH_S)

    def _drop(self, lines: int) -> None:
        with self._counting:
            self._dropped += lines
            self._untold += lines
            if self._report:
                self._report(lines)

    def _work(self) -> None:
        while True:
            lines, marks = self._take()
            if lines:
                self._write(lines)
                self._left_bytes += sum(map(len, lines))
            for mark in marks:
                mark.set()

    def _take(self) -> tuple[list[bytes], list[threading.Event]]:
        """Waits for a line, and gives it with those behind it, as many as fit in one piece."""
        lines: list[bytes] = []
        waiting = self._lines.get()
        size_bytes = 0
        while not isinstance(waiting, threading.Event):
            lines.append(waiting)
            size_bytes += len(waiting)
            if size_bytes >= AT_ONCE_BYTES:
                return lines, []
            try:
                waiting = self._lines.get_nowait()
            except Empty:
                return lines, []
        return lines, [waiting]

    def _write(self, lines: list[bytes]) -> None:
        with self._counting:
            untold, self._untold = self._untold, 0
        told = [self._tell(untold)] if untold else []
        left = memoryview(b"".join([b"\n"] * self._torn + told + lines))
        try:
            while left:
                try:
                    left = left[os.write(self._descriptor, left) :]
                except BlockingIOError:  # somebody made it so, for all who have it
                    select.select([], [self._descriptor], [])
                self._torn = bool(left)
        except (OSError, ValueError):
            self._drop(len(lines))
            with self._counting:
                self._untold += untold

    def _tell(self, dropped: int) -> bytes:
        record = logging.makeLogRecord(
            {
                "name": __name__,
                "levelno": logging.WARNING,
                "levelname": "WARNING",
                "msg": "log lines were dropped",
                "lines": dropped,
            }
        )
        self.filter(record)
        return f"{self.format(record)}\n".encode()

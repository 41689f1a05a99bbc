"""The signals that end a process."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

ENDING: Final = (signal.SIGTERM, signal.SIGINT)


class StopSignal:
    """Waits for SIGTERM or Ctrl-C. A second one ends the process at once, as without us."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self.name = ""
        """The signal that came."""

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Listens for the time of the block. On the main thread."""
        before = {number: signal.signal(number, self._handle) for number in ENDING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def set(self) -> None:
        """Ends the wait without a signal."""
        self._stop.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits until a signal came; False where the time ran out."""
        return self._stop.wait(timeout_s)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name
        for ending in ENDING:
            signal.signal(ending, signal.SIG_DFL)
        self._stop.set()

"""The signals that end a process."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Final

ENDING: Final = (signal.SIGTERM, signal.SIGINT)


class StopSignal:
    """Waits for SIGTERM or Ctrl-C. A second one ends the process at once, as without us."""

    def __init__(self, notify: Callable[[], None] = lambda: None) -> None:
        """`notify()` is called when it is time, perhaps in a signal handler."""
        self._notify = notify
        self._stopped = False
        # Not an Event: a handler that sets one while its thread begins to wait would lock both.
        self._wake: SimpleQueue[None] = SimpleQueue()
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
        self._stopped = True
        self._wake.put(None)
        self._notify()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits until a signal came; False where the time ran out. For one thread."""
        if not self._stopped:
            with suppress(Empty):
                self._wake.get(timeout=timeout_s)
        return self._stopped

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name
        for ending in ENDING:
            signal.signal(ending, signal.SIG_DFL)
        self.set()

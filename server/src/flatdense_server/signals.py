"""The signals that end a process."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Final, TypeVar

Item = TypeVar("Item")

ENDING: Final = (signal.SIGTERM, signal.SIGINT)


LOOK_S: Final = 0.25
"""The longest wait on the main thread in one piece. A signal that comes in the instant before it
does not end it, and Python's handlers run only when the thread goes on."""


def wait_for_item(queue: SimpleQueue[Item]) -> Item:
    """The next item of a queue. On the main thread, whose signal handlers may put it there."""
    while True:
        with suppress(Empty):
            return queue.get(timeout=LOOK_S)


class StopSignal:
    """Waits for SIGTERM or Ctrl-C. A second one ends the process at once, as without us."""

    def __init__(self, notify: Callable[[], None] = lambda: None) -> None:
        """`notify()` is called when it is time, perhaps in a signal handler."""
        self._notify = notify
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
        self._wake.put(None)
        self._notify()

    def wait(self) -> None:
        """Waits until a signal came. On the main thread, once."""
        wait_for_item(self._wake)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name
        for ending in ENDING:
            signal.signal(ending, signal.SIG_DFL)
        self.set()

"""Brings spans to a receiver that may be slow, or not there."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

log = logging.getLogger(__name__)

Item = TypeVar("Item")

MOST_WAITING: Final = 8192
"""Beyond these, what comes is let go of: some 10 MB of spans."""

AT_ONCE: Final = 512

PAUSE_S: Final = 1.0
"""Between two looks for what is there, unless there is much."""

SHARE: Final = 0.25
"""Of one core, at most, for writing what is sent: calls come first."""

TELL_S: Final = 60.0
"""Between two lines in the log about the same trouble."""


class Delivery(Generic[Item]):
    """A bounded queue, and a thread that empties it.

    put() never waits. What finds no place, and what the receiver does not take, is counted by
    `count_dropped`. Thread-safe.
    """

    def __init__(
        self, send: Callable[[Sequence[Item]], str], count_dropped: Callable[[int], None]
    ) -> None:
        """`send(items)` says why they did not arrive; nothing where they did. It may take long."""
        self._send = send
        self._count_dropped = count_dropped
        self._waiting: deque[Item] = deque()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._told_s: float | None = None
        """When the trouble was told of that lasts; None where there is none."""
        self._thread = threading.Thread(target=self._work, name="delivery", daemon=True)
        self._thread.start()

    @property
    def is_full(self) -> bool:
        """Whether what comes now would be let go of."""
        return len(self._waiting) >= MOST_WAITING

    def put(self, item: Item) -> None:
        """Sends it in its turn."""
        if self.is_full:
            self._count_dropped(1)
            return
        self._waiting.append(item)
        if len(self._waiting) == AT_ONCE:
            self._wake.set()

    def close(self, timeout_s: float) -> bool:
        """Sends what is left; False where that takes longer."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(PAUSE_S)
            self._wake.clear()
            while self._waiting:
                began_s = time.thread_time()
                self._deliver()
                self._closing.wait((time.thread_time() - began_s) * (1 / SHARE - 1))

    def _deliver(self) -> None:
        items = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
        try:
            reason = self._send(items)
        except Exception as error:  # noqa: BLE001 -- whatever it is, calls go on
            reason = f"{type(error).__name__}: {error}"
        if reason:
            self._count_dropped(len(items))
        self._tell(reason)

    def _tell(self, reason: str) -> None:
        now_s = time.monotonic()
        if not reason and self._told_s is not None:
            self._told_s = None
            log.info("traces arrive again")
        elif reason and (self._told_s is None or now_s - self._told_s >= TELL_S):
            self._told_s = now_s
            log.warning("traces do not arrive", extra={"reason": reason})

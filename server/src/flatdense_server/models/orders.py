"""What a follower is told to do, beside its own looks."""

from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Literal, TypeAlias

Action: TypeAlias = Literal["load", "unload"]


@dataclass(frozen=True, slots=True)
class Order:
    """One thing to do."""

    action: Action
    done: Callable[[str], None]
    """Called once, on the follower's thread, with why it failed; empty where it did not."""


class Orders:
    """Orders on their way to the follower. Thread-safe."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[Order | None] = SimpleQueue()
        self.closed = False
        """Whether the follower is to end."""

    def put(self, order: Order) -> None:
        """It will be done, unless close() comes first."""
        self._waiting.put(order)

    def close(self) -> None:
        """There will be no more."""
        self.closed = True
        self._waiting.put(None)

    def wait(self, timeout_s: float) -> Order | None:
        """The next one; None where none comes within that time."""
        try:
            return self._waiting.get(timeout=timeout_s)
        except Empty:
            return None

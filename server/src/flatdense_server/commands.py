"""What every worker is told to do at once, and who waits for it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from flatdense_server.models.orders import Action
from flatdense_server.post import Answer, Command


@dataclass(slots=True)
class Pending:
    """A command that not every worker has obeyed yet."""

    asker: int
    token: int
    """By which the asker knows its question."""
    waiting: set[int]
    reasons: set[str] = field(default_factory=set)


class Commands:
    """Passes a worker's wish on to all of them, and answers it when all have obeyed.

    `send(number, message)` reaches a worker. For one thread.
    """

    def __init__(self, send: Callable[[int, Answer | Command], None]) -> None:
        self._send = send
        self._pending: dict[int, Pending] = {}
        self._last_token = 0

    def begin(self, asker: int, token: int, action: Action, workers: Iterable[int]) -> None:
        """One of the workers wants all of them to do this."""
        self._last_token += 1
        pending = self._pending[self._last_token] = Pending(asker, token, set(workers))
        for number in list(pending.waiting):
            self._send(number, Command(self._last_token, action))
        self._settle(self._last_token)

    def obeyed(self, number: int, token: int, reason: str) -> None:
        """A worker is done; `reason` says why it failed."""
        if pending := self._pending.get(token):
            pending.waiting.discard(number)
            pending.reasons.update(filter(None, (reason,)))
            self._settle(token)

    def gone(self, number: int) -> None:
        """A worker has ended: nobody waits for it."""
        for token, pending in list(self._pending.items()):
            pending.waiting.discard(number)
            self._settle(token)

    def _settle(self, token: int) -> None:
        pending = self._pending[token]
        if not pending.waiting:
            del self._pending[token]
            self._send(pending.asker, Answer(pending.token, "; ".join(sorted(pending.reasons))))

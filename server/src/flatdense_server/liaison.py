"""A worker's line to its supervisor."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.connection import Connection
from typing import Any, Final

from flatdense_server.errors import LoadFailed, NotReady
from flatdense_server.models.orders import Action, Order
from flatdense_server.observe.metrics.statistics import Figures
from flatdense_server.post import (
    Answer,
    Command,
    ControlWanted,
    FiguresWanted,
    Obeyed,
    Renewed,
    Report,
)
from flatdense_server.security.credentials import Credentials

FIGURES_S: Final = 5.0
"""The supervisor takes milliseconds."""

CONTROL_S: Final = 120.0
"""For every worker to load a version, which may have to be compiled."""


class Liaison:
    """Reports, asks, and hears commands. Thread-safe, but for listen()."""

    def __init__(self, line: Connection) -> None:
        self._line = line
        self._lock = threading.Lock()
        self._asked: dict[int, Future[Any]] = {}
        self._last_token = 0

    def report(self, report: Report) -> None:
        """Says what has become of this worker. Where the supervisor is gone, nobody hears."""
        with self._lock:
            self._line.send(report)

    def figures(self) -> Figures:
        """The figures of all processes. Raises NotReady where the supervisor does not answer."""
        found: Figures = self._ask(FiguresWanted, timeout_s=FIGURES_S)
        return found

    def load(self) -> None:
        """See ModelControl.load."""
        self._control("load")

    def unload(self) -> None:
        """See ModelControl.unload."""
        self._control("unload")

    def listen(
        self,
        obey: Callable[[Order], None],
        renew: Callable[[Credentials], None] = lambda _credentials: None,
    ) -> None:
        """Hears the supervisor until it is gone. `obey` must not wait until an order is done.

        `renew` gets the credentials that count from then on.
        """
        while True:
            try:
                heard = self._line.recv()
            except (EOFError, OSError):
                return
            match heard:
                case Answer(token, value):
                    if asked := self._asked.pop(token, None):
                        asked.set_result(value)
                case Command():
                    obey(self._order(heard))
                case Renewed(credentials):
                    renew(credentials)

    def _order(self, command: Command) -> Order:
        def done(reason: str) -> None:
            self.report(Obeyed(command.token, reason))

        return Order(command.action, done)

    def _control(self, action: Action) -> None:
        reason = self._ask(lambda token: ControlWanted(token, action), timeout_s=CONTROL_S)
        if reason:
            raise LoadFailed(reason)

    def _ask(self, make: Callable[[int], Report], *, timeout_s: float) -> Any:  # noqa: ANN401
        asked: Future[Any] = Future()
        with self._lock:
            self._last_token += 1
            token = self._last_token
            self._asked[token] = asked
            self._line.send(make(token))
        try:
            return asked.result(timeout_s)
        except TimeoutError:
            raise NotReady("the supervisor does not answer now. Try again later.") from None
        finally:
            self._asked.pop(token, None)

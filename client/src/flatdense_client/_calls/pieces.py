"""One call, cut to messages, and the answers to them so far. No I/O."""

from collections.abc import Callable, Iterator
from typing import Any, Generic

from flatdense_client._calls.session import Session
from flatdense_client._core.messages import Method, Part, Request, Response, cut, message_rows
from flatdense_client._images.pixels import Rows

Progress = Callable[[int, int], object]
"""Told after each message how many rows are answered by then, and how many there are in all."""


class Pieces(Generic[Request, Response, Part]):
    """The messages of one call, and the answers to them in the same order."""

    def __init__(
        self,
        session: Session,
        method: Method[Request, Response, Part, Any],
        rows: Rows,
        progress: Progress | None = None,
    ) -> None:
        self._session = session
        self._method = method
        self._rows = rows
        self._progress = progress
        self._counts = message_rows(method, rows, session.rows_per_message)
        self._answered_rows = 0
        self.answers: list[Part] = []
        """One for each message that was answered."""

    def __len__(self) -> int:
        """How many messages there are."""
        return len(self._counts)

    def requests(self) -> Iterator[Request]:
        """Writes each message when it is asked for."""
        return cut(self._method, self._rows, self._counts, self._session.model)

    def take(self, response: Response, timing: str | None) -> None:
        """Takes the answer to the next message, and what it took.

        Raises ServerError: it does not fit the rows. Raises what `progress` raises.
        """
        count = self._counts[len(self.answers)]
        self.answers.append(self._method.read(response, count, self._session.address, timing))
        self._answered_rows += count
        if self._progress is not None:
            self._progress(self._answered_rows, len(self._rows))

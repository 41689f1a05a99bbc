"""Ctrl-C while a load runs: the first asks for an early end, the second ends at once."""

import signal
from types import FrameType


class Interrupt:
    """Notes the first SIGINT; the second raises KeyboardInterrupt. Of the main thread alone.

    Used as a context manager: afterwards SIGINT means again what it meant before.
    """

    def __init__(self) -> None:
        self.came = False
        """Whether Ctrl-C was pressed."""

    def __enter__(self) -> "Interrupt":  # noqa: PYI034  # typing.Self is newer than 3.10
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        if self.came:
            raise KeyboardInterrupt
        self.came = True

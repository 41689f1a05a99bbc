"""Ctrl-C at a moment when it can be borne."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def held_interrupts() -> Iterator[Callable[[], None]]:
    """Holds Ctrl-C and SIGTERM back, and gives the function that lets them through.

    It raises KeyboardInterrupt where one has come. TensorFlow calls Python from C++ that expects no
    exception there: one that came at any moment could crash the process. A second signal does not
    wait. Signals are the main thread's: on another nothing is held.
    """
    came = False
    before: dict[signal.Signals, Any] = {}

    def note(_number: int, _frame: FrameType | None) -> None:
        nonlocal came
        came = True
        for number in before:
            signal.signal(number, signal.default_int_handler)

    def let_through() -> None:
        nonlocal came
        if came:
            came = False
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield let_through
        return
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as in the background of a shell
            before[number] = signal.signal(number, note)
    try:
        yield let_through
        let_through()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

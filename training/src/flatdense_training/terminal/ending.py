"""How a command ends: with an exit code, and a sentence where it failed."""

import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from rich.console import Console
from rich.text import Text

from flatdense_training.errors import TrainingError

EXIT_OK = 0
EXIT_FAILURE = 1
EXIT_INTERRUPTED = 130


def end(status: int) -> NoReturn:
    """Ends the process with this exit code.

    One that was interrupted ends at once, without the interpreter's own end: threads of TensorFlow
    may be in the middle of a step, and would crash where what they use is torn down.
    """
    if status == EXIT_INTERRUPTED:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def carry_out(work: Callable[[], None], *, undone: str, left: str) -> int:
    """Does the work, tells the user how it ended, and gives the exit code.

    `undone` says what a failure means, `left` what an interruption leaves behind. SIGTERM is the
    same as Ctrl-C.
    """
    errors = Console(stderr=True)
    try:
        with stopped_by_sigterm():
            work()
    except KeyboardInterrupt:
        complain(errors, f"Interrupted. {left}")
        return EXIT_INTERRUPTED
    except TrainingError as error:
        complain(errors, f"Error: {error}")
        return EXIT_FAILURE
    except Exception as error:  # noqa: BLE001  # the user gets a sentence, and a file the rest
        complain(errors, f"Error: {describe_fault(error, undone)}")
        return EXIT_FAILURE
    return EXIT_OK


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """Makes a polite kill the same as Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def describe_fault(error: Exception, undone: str) -> str:
    """What to tell a user of an error that nobody foresaw; its traceback goes to a file."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="flatdense-train-", suffix=".txt", delete=False
    ) as report:
        traceback.print_exception(error, file=report)
    return (
        f"Something went wrong that should not: {type(error).__name__}. {undone} "
        f"Please report it with the file {report.name}."
    )


def complain(console: Console, message: str) -> None:
    """Says why the work was not done, without folding lines: paths are there to be copied."""
    console.print()
    console.print(Text(message), soft_wrap=True)

"""Where the command writes: results to stdout, the rest to stderr, in colour for people alone."""

import sys

from rich.console import Console

_UNBOUNDED_COLUMNS = 10_000
"""How wide a pipe is: nothing is cut or folded for a program that reads."""


def stdout_console() -> Console:
    """For results. In a pipe: no colour, no folding."""
    width = None if sys.stdout.isatty() else _UNBOUNDED_COLUMNS
    return Console(highlight=False, markup=False, emoji=False, width=width)


def stderr_console() -> Console:
    """For errors and progress."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def plain(text: str) -> str:
    r"""Words from elsewhere as one line that shows as it is written, whatever is in it.

    Characters that cannot be seen, such as those that steer a terminal, are spelled out: `\x1b`.
    """
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    if character.isspace():
        return " "
    return character.encode("unicode_escape").decode()


def complain(message: str, console: Console | None = None) -> None:
    """Writes one line that begins with `error:`."""
    line = plain(" ".join(message.split()))
    target = console or stderr_console()
    target.print("error:", style="bold red", end=" ")
    target.print(line)

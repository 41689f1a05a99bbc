"""Where the command writes: results to stdout, the rest to stderr, in colour for people alone."""

import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

_UNBOUNDED_COLUMNS = 10_000
"""How wide a pipe is: nothing is cut or folded for a program that reads."""

_ROOMY_COLUMNS = 60
"""From how many columns on there is room between the columns of a table."""


def stdout_console() -> Console:
    """For results. In a pipe: no colour, no folding."""
    width = None if sys.stdout.isatty() else _UNBOUNDED_COLUMNS
    return Console(highlight=False, markup=False, emoji=False, width=width)


def stderr_console() -> Console:
    """For errors and progress."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def quiet_table(console: Console) -> Table:
    """A table without lines; its columns move together where the screen is narrow."""
    gap_columns = 3 if console.width >= _ROOMY_COLUMNS else 1
    return Table(box=None, header_style="dim", pad_edge=False, padding=(0, gap_columns, 0, 0))


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
    _say("error:", "bold red", message, console)


def note(message: str, console: Console | None = None) -> None:
    """Writes one line that begins with `note:`, about something that is no error."""
    _say("note:", "bold", message, console)


def waiting(message: str, console: Console | None = None) -> None:
    """Writes one line that begins with `waiting:`, about what is still missing."""
    _say("waiting:", "bold", message, console)


def _say(mark: str, style: str, message: str, console: Console | None) -> None:
    target = console or stderr_console()
    line = Text.assemble((mark, style), " ", plain(" ".join(message.split())))
    # People see it folded between words; in a pipe or a log it is one line.
    target.print(line, soft_wrap=not target.is_terminal)

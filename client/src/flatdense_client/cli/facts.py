"""Facts for people: a label, and beside it what is known."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from flatdense_client.cli.screen import plain

Part = str | tuple[str, str]
"""Words, or words and their style."""

_GAP_COLUMNS = 3

_LEAST_COLUMNS = 8
"""How narrow the facts may get beside their labels."""


@dataclass(frozen=True, kw_only=True)
class _Fact:
    label: str
    head: Text
    told: Text


class Facts:
    """Labelled lines in the order in which they are added; rich prints them.

    - A fact that is too long for the screen is folded, and goes on beneath its own beginning.
    - Whoever the words come from, no character of theirs steers the terminal.
    - No line ends in blanks: one long fact does not make the others long for a pipe.
    """

    def __init__(self) -> None:
        self._facts: list[_Fact] = []

    def add(self, label: str, *told: Part, head: Sequence[Part] = ()) -> None:
        """Adds a fact. What is told is folded beneath itself, and not beneath its `head`."""
        self._facts.append(_Fact(label=label, head=_assemble(head), told=_assemble(told)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        label_columns = max((cell_len(fact.label) for fact in self._facts), default=0)
        for fact in self._facts:
            label = Text(fact.label.ljust(label_columns + _GAP_COLUMNS), style="dim")
            before = Text.assemble(label, fact.head)
            told_columns = max(options.max_width - before.cell_len, _LEAST_COLUMNS)
            for told in fact.told.wrap(console, told_columns, overflow="fold"):
                line = Text.assemble(before, told)
                line.rstrip()
                yield line
                before = Text(" " * before.cell_len)


def _assemble(parts: Sequence[Part]) -> Text:
    pairs = [(part, "") if isinstance(part, str) else part for part in parts]
    return Text.assemble(*((plain(words), style) for words, style in pairs))

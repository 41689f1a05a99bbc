"""What the user sees of a job: a bar on a terminal, lines in a pipe."""

import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from flatdense_cluster.score.output import Summary
from flatdense_cluster.score.plan import Plan
from flatdense_cluster.score.scorer import Receipt

MOST_REJECTED: Final = 20
"""How many are named; the table has all."""

LINE_EVERY_S: Final = 10.0


class Screen:
    """Shows how far a job is, on the standard error. See Watcher."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=32),
            TaskProgressColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("images", total=None, rate="")
        self._rows = self._done = self._named = 0
        self._told_s = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    @property
    def progress(self) -> str:
        """How many are done."""
        return f"{self._done:,} of {self._rows:,} images"

    def planning(self) -> None:
        """See Watcher."""
        self._bar.update(self._task, description="looking at the source")

    def starting(self, plan: Plan, *, done_rows: int) -> None:
        """See Watcher."""
        self._rows, self._done = plan.rows, done_rows
        self._told_s = time.monotonic()
        if done_rows:
            self.line(f"goes on after {self.progress}")
        else:
            self.line(f"{plan.rows:,} images, version {plan.version}")
        self._bar.update(self._task, description="images", total=plan.rows, completed=done_rows)

    def scored(self, receipt: Receipt) -> None:
        """See Watcher."""
        self._done += receipt["rows"]
        self._name_rejected(receipt)
        self._bar.update(self._task, completed=self._done)
        rate = self._bar.tasks[self._task].speed
        if not rate:
            return
        told = f"{rate:,.0f} images/s"
        self._bar.update(self._task, rate=told)
        if not self._console.is_terminal and time.monotonic() - self._told_s > LINE_EVERY_S:
            self._told_s = time.monotonic()
            left_s = (self._rows - self._done) / rate
            self.line(f"{self.progress}, {told}, {left_s:,.0f} s left")

    def line(self, text: str) -> None:
        """One line above the bar, never cut or wrapped: paths are there to be copied."""
        self._bar.console.print(Text(text), soft_wrap=True)

    def _name_rejected(self, receipt: Receipt) -> None:
        for example in receipt["examples"]:
            if self._named < MOST_REJECTED:
                self.line(f"rejected: {plain(example)}")
            self._named += 1
        if self._named >= MOST_REJECTED > self._named - len(receipt["examples"]):
            self.line("rejected: more; the column error has them all")


def plain(text: str) -> str:
    r"""On one line, with what cannot be seen spelled out, as `\n` and `\x1b`."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def tell(summary: Summary, output: object) -> str:
    """The end, in a sentence."""
    rejected = f", {summary.rejected:,} rejected (see the column error)" if summary.rejected else ""
    return f"{summary.scored:,} images scored by version {summary.version}{rejected}: {output}"

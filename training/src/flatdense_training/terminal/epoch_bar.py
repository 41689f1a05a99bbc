"""How far the training is: one line for each epoch, and on a terminal a bar below them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from flatdense_training.fit.recipe import Epoch

MOST_LINES = 40


class EpochBar:
    """Hears of steps and epochs from `train`, and shows them."""

    def __init__(self, bar: Progress, task: TaskID, *, steps_per_epoch: int, rows: int) -> None:
        self.bar = bar
        self.task = task
        self.epochs = round((bar.tasks[task].total or 0) / steps_per_epoch)
        self.steps_per_epoch = steps_per_epoch
        self.rows = rows

    def steps_done(self, steps: int) -> None:
        """Moves the bar by so many steps."""
        self.bar.advance(self.task, steps)

    def resumed(self, epochs: Sequence[Epoch]) -> None:
        """Says where the run goes on."""
        self.bar.update(self.task, completed=len(epochs) * self.steps_per_epoch)
        self.write(f"goes on after epoch {len(epochs)}")

    def epoch_ended(self, epoch: Epoch) -> None:
        """Writes the epoch's line, or that of one in several where there are many."""
        self.bar.update(self.task, completed=epoch.number * self.steps_per_epoch)
        if epoch.number != self.epochs and epoch.number % ceil(self.epochs / MOST_LINES):
            return
        number = f"{epoch.number:>{len(str(self.epochs))}}"
        rate = self.rows / epoch.duration_s
        self.write(
            f"epoch {number}/{self.epochs}  "
            f"loss {epoch.loss:.4f}  accuracy {epoch.accuracy:.4f}  "
            f"validation loss {epoch.validation_loss:.4f}  "
            f"accuracy {epoch.validation_accuracy:.4f}  {rate:,.0f} images/s"
        )

    def not_kept(self, reason: str) -> None:
        """Warns that the run could not go on from here, were it stopped."""
        self.write(f"Note: a checkpoint could not be written: {reason}. The run goes on without.")

    def write(self, line: str) -> None:
        """One indented line above the bar, never cut or wrapped."""
        self.bar.console.print(Text(f"  {line}"), soft_wrap=True)


@contextmanager
def epoch_bar(
    console: Console, *, epochs: int, steps_per_epoch: int, rows: int
) -> Iterator[EpochBar]:
    """The bar of one stage, whose epochs have so many rows each. It is gone when the context ends;
    the lines stay.
    """  # noqa: D205  # one sentence says it
    with moving_bar(console, "batches") as bar:
        task = bar.add_task("", total=epochs * steps_per_epoch)
        yield EpochBar(bar, task, steps_per_epoch=steps_per_epoch, rows=rows)


@contextmanager
def count_bar(console: Console, what: str, *, total: int) -> Iterator[Callable[[], None]]:
    """A bar that moves by one for each call; like epoch_bar in all else."""
    with moving_bar(console, what) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)


def moving_bar(console: Console, what: str) -> Progress:
    """A bar that says how many there are and how long it will take; on a terminal alone."""
    return Progress(
        TextColumn("  "),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TextColumn(what),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )

"""How far the training is: one line for each epoch, and on a terminal a bar below them."""

from collections.abc import Iterator
from contextlib import contextmanager

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


class EpochBar:
    """Hears of batches and epochs from `train`, and shows them."""

    def __init__(self, bar: Progress, task: TaskID, *, epochs: int) -> None:
        self.bar = bar
        self.task = task
        self.epochs = epochs

    def batch_ended(self) -> None:
        """Moves the bar by one step."""
        self.bar.advance(self.task)

    def epoch_ended(self, epoch: Epoch) -> None:
        """Writes the epoch's line."""
        number = f"{epoch.number:>{len(str(self.epochs))}}"
        self.bar.console.print(
            Text(
                f"  epoch {number}/{self.epochs}  "
                f"loss {epoch.loss:.4f}  accuracy {epoch.accuracy:.4f}  "
                f"validation loss {epoch.validation_loss:.4f}  "
                f"accuracy {epoch.validation_accuracy:.4f}"
            ),
            soft_wrap=True,
        )


@contextmanager
def epoch_bar(console: Console, *, epochs: int, steps_per_epoch: int) -> Iterator[EpochBar]:
    """The bar of one run. It is gone when the context ends; the lines stay."""
    bar = Progress(
        TextColumn("  "),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TextColumn("batches"),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("", total=epochs * steps_per_epoch)
        yield EpochBar(bar, task, epochs=epochs)

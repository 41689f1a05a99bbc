"""What the user sees of a run: on a terminal with moving bars, in a pipe as plain lines."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flatdense_artifact import Architecture
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flatdense_training.data.datasets import Dataset
from flatdense_training.data.split import Splits
from flatdense_training.fit.recipe import Recipe
from flatdense_training.judge.evaluate import Evaluation


class Screen:
    """Writes the chapters of a run to one console, in the order of its methods."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def data(self, dataset: Dataset, origin: str, splits: Splits) -> None:
        """What is learnt from, and where it came from. The chapter was begun before it was read."""
        self.line(f"{dataset.title} from {origin}, {len(dataset.sha256)} checksums verified")
        self.line(
            f"{len(splits.train):,} images to train on, {len(splits.validation):,} to validate, "
            f"{len(splits.test):,} to test"
        )

    def model(self, architecture: Architecture) -> None:
        """The layers and their parameters."""
        self.chapter("Model")
        table = plain_table("Layer", "Kind", "Activation")
        table.add_column("Output", justify="right")
        table.add_column("Parameters", justify="right")
        for layer in architecture.layers:
            outputs = " x ".join(map(str, layer.output_shape))
            activation = layer.activation or "-"
            table.add_row(layer.name, layer.kind, activation, outputs, f"{layer.parameters:,}")
        table.add_row("in all", "", "", "", f"{architecture.parameters:,}", style="bold")
        self.console.print(table)

    def training(self, recipe: Recipe, steps_per_epoch: int) -> None:
        """The recipe, in one line; the epochs follow."""
        self.chapter("Training")
        self.line(
            f"{recipe.epochs} epochs of {steps_per_epoch:,} batches of {recipe.batch_rows} images, "
            f"Adam from {recipe.learning_rate} falling to 0, seed {recipe.seed}"
        )

    def result(self, validation: Evaluation, test: Evaluation) -> None:
        """How good the model is."""
        self.chapter("Result")
        table = plain_table("Images")
        for name in ("Loss", "Accuracy", "Right"):
            table.add_column(name, justify="right")
        for name, outcome in (("validation", validation), ("test", test)):
            right = f"{outcome.correct:,} of {outcome.rows:,}"
            table.add_row(name, f"{outcome.loss:.4f}", f"{outcome.accuracy:.4f}", right)
        self.console.print(table)

    def exported(self, folder: Path, model_dir: Path) -> None:
        """Where the version is, and what to do with it."""
        self.chapter("Export")
        self.line(f"{folder}, read back and verified")
        self.line(f"Serve it: flatdense-server --model-dir {model_dir}")

    def chapter(self, title: str) -> None:
        """A heading."""
        self.console.print()
        self.console.print(Text(title, style="bold"))

    def line(self, text: str) -> None:
        """One indented line, never cut or wrapped: paths are there to be copied."""
        self.console.print(Text(f"  {text}"), soft_wrap=True)

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Shows `text` while something takes seconds; on a terminal alone."""
        if not self.console.is_terminal:
            yield
            return
        with self.console.status(text):
            yield


def plain_table(*columns: str) -> Table:
    """A table without lines, indented as the text is."""
    table = Table(box=None, padding=(0, 2, 0, 2), header_style="dim")
    for column in columns:
        table.add_column(column)
    return table

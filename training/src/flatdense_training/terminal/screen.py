"""What the user sees of a run: on a terminal with moving bars, in a pipe as plain lines."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from flatdense_artifact import Architecture
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flatdense_training.data.datasets import recognise
from flatdense_training.data.material import Material
from flatdense_training.fit.recipe import Epoch, Recipe
from flatdense_training.judge.evaluate import Evaluation


class Screen:
    """Writes the chapters of a run to one console, in the order of its methods."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def data(self, material: Material) -> None:
        """What is learnt from, and where it came from. The chapter was begun before it was read."""
        for part in material.parts:
            checksums = len(part.dataset.sha256)
            is_known = recognise(part.dataset.sha256) is not None
            told = f"{checksums} checksums {'verified' if is_known else 'recorded'}"
            self.line(f"{part.dataset.title} from {part.origin}, {told}")
        names, splits = material.dataset.class_names, material.splits
        self.line(f"{len(names)} classes: {', '.join(names)}")
        self.line(
            f"{len(splits.train):,} images to train on, {len(splits.validation):,} to validate, "
            f"{len(splits.test):,} to test"
        )
        for remark in material.remarks:
            self.line(f"Note: {remark}")

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

    def teaching(self, recipe: Recipe, steps_per_epoch: int) -> None:
        """The teacher's recipe; its epochs follow."""
        self.chapter("Teacher")
        self.line("a convolutional network, whose answers will be learnt instead of the labels")
        self.recipe(recipe, steps_per_epoch)

    def training(self, recipe: Recipe, steps_per_epoch: int) -> None:
        """The recipe; the epochs follow."""
        self.chapter("Training")
        self.recipe(recipe, steps_per_epoch)

    def recipe(self, recipe: Recipe, steps_per_epoch: int) -> None:
        """How often, how many and how fast, in one line."""
        images = "distorted images" if recipe.distortion else "images"
        self.line(
            f"{recipe.epochs} epochs of {steps_per_epoch:,} batches of {recipe.batch_rows} "
            f"{images}, Adam up to {recipe.learning_rate} and down to 0, seed {recipe.seed}"
        )

    def not_kept(self, reason: str) -> None:
        """Warns that what was just done would have to be done again, were the run stopped."""
        self.line(f"Note: a checkpoint could not be written: {reason}. The run goes on without.")

    def fitted(self, epochs: Sequence[Epoch]) -> None:
        """How long it took, and how much of that was waiting for images."""
        whole_s, waited_s = (
            sum(getattr(epoch, name) for epoch in epochs) for name in ("duration_s", "waited_s")
        )
        self.line(f"{whole_s:.1f} s, of which {waited_s:.1f} s waiting for distorted images")

    def calibrated(self, temperature: float) -> None:
        """By what the logits were divided."""
        self.line(
            f"confidence set right on the validation images: logits divided by {temperature:.3f}"
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

    def parts(self, evaluations: Mapping[str, Evaluation]) -> None:
        """How good the model is on the test images of each dataset by itself."""
        for name, outcome in evaluations.items():
            right = f"{outcome.correct:,} of {outcome.rows:,}"
            self.line(f"{name}: accuracy {outcome.accuracy:.4f}, {right} test images")

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

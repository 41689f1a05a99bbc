"""What the user asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flatdense_training.data.datasets import Dataset
from flatdense_training.fit.place import Place
from flatdense_training.fit.plan import Plan

HIDDEN_UNITS = 256
"""Unless told otherwise."""

CompileChoice = Literal["auto", "yes", "no"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One run, as it was ordered on the command line."""

    datasets: tuple[Dataset | Path, ...]
    """What is learnt together: known datasets, and places with the user's own."""
    class_names: tuple[str, ...] | None
    """What to call the classes; None: as the data does."""
    data_dir: Path | None
    """Where known data is, and nowhere else; None: the cache, else the mirrors."""
    cache_dir: Path
    """Holds one folder for each dataset that was downloaded, and the compiled libraries."""
    model_dir: Path
    """Gets one more version."""
    hidden_units: int
    plan: Plan
    resume: bool
    """Whether to go on where the same order was stopped."""
    logdir: Path | None
    """Gets the curves as TensorBoard reads them."""
    drawn_digits: bool
    """Whether the report shows test images."""
    min_accuracy: float | None
    """Of the test images, as a fraction; a model below it is not exported. None: what the data's
    description says."""
    place: Place | None = None
    """Which of several workers this one is; None: it learns alone."""
    compile: CompileChoice
    """Whether the library for the version is compiled too; auto: where it can be."""

    @property
    def command(self) -> str:
        """What to type to have the same model again; paths are left to the user."""
        named = [each.name for each in self.datasets if isinstance(each, Dataset)]
        options = [f"--dataset {name}" for name in named if named != ["mnist"]]
        if self.hidden_units != HIDDEN_UNITS:
            options.append(f"--hidden {self.hidden_units}")
        return " ".join(["flatdense-train", *options, *self.plan.options()])

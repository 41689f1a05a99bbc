"""What the user asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flatdense_training.data.datasets import Dataset
from flatdense_training.fit.recipe import Recipe

CompileChoice = Literal["auto", "yes", "no"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One run, as it was ordered on the command line."""

    dataset: Dataset
    data_dir: Path | None
    """Where the data is, and nowhere else; None: the cache, else the mirrors."""
    cache_dir: Path
    """Holds one folder for each dataset that was downloaded, and the compiled libraries."""
    model_dir: Path
    """Gets one more version."""
    hidden_units: int
    recipe: Recipe
    min_accuracy: float
    """Of the test images, as a fraction; a model below it is not exported."""
    compile: CompileChoice
    """Whether the library for the version is compiled too; auto: where it can be."""

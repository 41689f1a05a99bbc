"""What the user asked for."""

from dataclasses import dataclass
from pathlib import Path

from flatdense_training.datasets import Dataset
from flatdense_training.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One run, as it was ordered on the command line."""

    dataset: Dataset
    data_dir: Path | None
    """Where the data is, and nowhere else; None: the cache, else the mirrors."""
    cache_dir: Path
    """Holds one folder for each dataset that was downloaded."""
    model_dir: Path
    """Gets one more version."""
    hidden_units: int
    recipe: Recipe
    min_accuracy: float
    """Of the test images, as a fraction; a model below it is not exported."""

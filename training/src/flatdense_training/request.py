"""What the user asked to be compared."""

from dataclasses import dataclass
from pathlib import Path

from flatdense_training.data.datasets import Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A comparison, as it was asked for on the command line."""

    versions: tuple[int, int]
    model_dir: Path
    datasets: tuple[Dataset | Path, ...]
    """Where the user's own data lies. What is known by its name is found without."""
    data_dir: Path | None
    """Where known data is, and nowhere else; None: the cache, else the mirrors."""
    cache_dir: Path

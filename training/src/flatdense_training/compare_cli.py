"""`flatdense-train --compare`: what the command does where it is not to train."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from flatdense_training.data.datasets import Dataset
from flatdense_training.terminal.ending import carry_out


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


def carry_out_comparison(request: Request) -> int:
    """Compares two versions, and gives the exit code."""

    def work() -> None:
        # Here and not above: these take a second to import, which --help need not wait for.
        from flatdense_training.comparison import compare_versions  # noqa: PLC0415
        from flatdense_training.terminal.screen import Screen  # noqa: PLC0415

        compare_versions(request, Screen(Console(highlight=False)))

    return carry_out(work, undone="The versions stay as they are.", left="Nothing was changed.")

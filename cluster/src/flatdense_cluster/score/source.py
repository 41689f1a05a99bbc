"""What is scored, as every kind of it promises."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Images:
    """The rows of one part, in order."""

    sources: Sequence[str]
    """Where each is from."""
    pixels: npt.NDArray[np.uint8]
    """[N, 784]; 0 where there is an error."""
    errors: list[str | None]
    """Why there is no image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What a source holds."""

    fingerprint: str
    """Another one where the source is another."""
    rows: int


class Source(Protocol):
    """A folder, or an array on disk. It is pickled: workers read it by themselves.

    Methods raise ClusterError where it is not what it should be, and OSError.
    """

    @property
    def path(self) -> Path:
        """As the user named it, absolute."""
        ...

    @property
    def kind(self) -> str:
        """What the user would call it."""
        ...

    @property
    def default_part_rows(self) -> int:
        """How many rows a part has, where the user does not say."""
        ...

    def take_inventory(self, plan_folder: Path, part_rows: int) -> Inventory:
        """Looks at all of it, and keeps in the folder what read() needs."""
        ...

    def fingerprint(self) -> str:
        """The inventory's, taken anew."""
        ...

    def read(self, plan_folder: Path, part: int, part_rows: int) -> Images:
        """One part. The memory that it takes depends on `part_rows` alone."""
        ...

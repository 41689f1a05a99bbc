"""The batch sizes that are compiled before the server is ready."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ladder:
    """Batch sizes, ascending. A batch is padded to the next size; a bigger one is cut.

    No other size ever reaches XLA, so nothing is compiled while serving.
    """

    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.sizes or self.sizes[0] < 1 or sorted(set(self.sizes)) != list(self.sizes):
            raise ValueError(f"a ladder is ascending sizes from 1 up, not {self.sizes}")

    @classmethod
    def powers_of_two(cls, top: int) -> "Ladder":
        """1, 2, 4, ... up to `top`, which ends the ladder even where it is no power of two."""
        return cls((*(1 << k for k in range((top - 1).bit_length())), top))

    @property
    def top(self) -> int:
        """The most rows of one execution."""
        return self.sizes[-1]

    def fit(self, rows: int) -> int:
        """The smallest size that holds `rows`, which is at most `top`."""
        return next(size for size in self.sizes if size >= rows)

    def cut(self, rows: int) -> Iterator[tuple[int, int]]:
        """Cuts `rows` into executions: (first row, row after the last), each of at most `top`."""
        for start in range(0, rows, self.top):
            yield start, min(start + self.top, rows)

    def padding_rows(self, rows: int) -> int:
        """How many rows of nothing are computed along with `rows`."""
        return sum(self.fit(stop - start) - (stop - start) for start, stop in self.cut(rows))

"""The batch sizes that are compiled before the server is ready."""

import math
from bisect import bisect_left
from dataclasses import dataclass, field

Cut = tuple[tuple[int, int], ...]
"""Executions that follow each other: (first row, row after the last)."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """Batch sizes, ascending. A batch is padded to a size, or cut to several where that costs less.

    No other size ever reaches XLA, so nothing is compiled while serving.
    """

    sizes: tuple[int, ...]
    costs: tuple[float, ...] = ()
    """What an execution of each size costs, in any unit; empty: one costs what any other does."""
    _cuts: dict[int, Cut] = field(default_factory=dict, init=False, repr=False, compare=False)

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
        return self.sizes[bisect_left(self.sizes, rows)]

    def cost(self, size: int) -> float:
        """What an execution of a size of the ladder costs."""
        return self.costs[self.sizes.index(size)] if self.costs else 1.0

    def cut(self, rows: int) -> Cut:
        """Cuts `rows` into executions, each of at most `top`.

        All but the last are whole sizes, the biggest first. Of the ways to cut so, the one that
        costs least.
        """
        return self._cuts.get(rows) or self._find_cut(rows)

    def padding_rows(self, rows: int) -> int:
        """How many rows of nothing are computed along with `rows`."""
        return sum(self.fit(stop - start) - (stop - start) for start, stop in self.cut(rows))

    def _find_cut(self, rows: int) -> Cut:
        best: Cut = ()
        whole: Cut = ()
        least, spent, start = math.inf, 0.0, 0
        while start < rows and spent < least:
            rest = rows - start
            if rest <= self.top and (cost := spent + self.cost(self.fit(rest))) < least:
                best, least = (*whole, (start, rows)), cost
            if rest < self.sizes[0]:
                break
            size = max(size for size in self.sizes if size <= rest)
            whole += ((start, start + size),)
            start, spent = start + size, spent + self.cost(size)
        self._cuts[rows] = best
        return best

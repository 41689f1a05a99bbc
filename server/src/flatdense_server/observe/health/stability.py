"""How far apart two distributions are: the population stability index."""

from collections.abc import Sequence
from math import log
from typing import Final

HALF_A_ROW: Final = 0.5
"""Added to each bin on both sides, or one empty bin would make the index infinite."""


def stability_index(rows: Sequence[float], reference_rows: Sequence[float]) -> float:
    """The population stability index of two sets of rows, counted in the same bins.

    It is the sum of (p - q) ln(p / q) over the bins, where p and q are the shares of the one and
    the other: 0 where the shares are equal, else above. docs/metrics.md says what to think of it.
    """
    shares = zip(smooth(rows), smooth(reference_rows), strict=True)
    return sum((share - other) * log(share / other) for share, other in shares)


def smooth(rows: Sequence[float]) -> list[float]:
    """The share of each bin, none of them 0."""
    total = sum(rows) + HALF_A_ROW * len(rows)
    return [(each + HALF_A_ROW) / total for each in rows]

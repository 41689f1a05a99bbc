"""How far a fraction that was counted may be from the true one."""

import math
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.95
"""Of an interval: in the long run, this share of them holds the true fraction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Where the true fraction lies, by CONFIDENCE."""

    low: float
    high: float


def wilson(hits: int, rows: int) -> Interval:
    """Wilson's score interval for `hits` of `rows`; all of 0..1 where there are no rows.

    It never leaves 0..1, and stays sound near the ends and for few rows, where "plus or minus two
    standard errors" is not. E. B. Wilson, Journal of the American Statistical Association 22
    (1927), 209-212; compared with others in Brown, Cai and DasGupta, Statistical Science 16
    (2001), 101-133.
    """
    if rows == 0:
        return Interval(low=0.0, high=1.0)
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    fraction = hits / rows
    shrink = 1 + z * z / rows
    centre = (fraction + z * z / (2 * rows)) / shrink
    reach = z / shrink * math.sqrt(fraction * (1 - fraction) / rows + z * z / (4 * rows * rows))
    return Interval(
        low=0.0 if hits == 0 else centre - reach,  # exactly, where rounding would miss by 1e-19
        high=1.0 if hits == rows else centre + reach,
    )

"""Whether two classifiers that answered the same examples are really not equally good."""

import math
from dataclasses import dataclass

from flatdense_training.judge.evaluate import Evaluation

SIGNIFICANT = 0.05
"""A p below it is called a real difference, as is the custom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """How often each of two classifiers was right, on the same examples."""

    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def p(self) -> float:
        """How likely chance alone parts two equally good classifiers at least this far.

        McNemar's test in its exact form, two-sided: where just one of them is right, it is either
        of them like a fair coin. The sum of binomials is computed as it stands and not by the usual
        approximation, which few such examples do not allow. Q. McNemar, Psychometrika 12 (1947),
        153-157; for classifiers, T. G. Dietterich, Neural Computation 10 (1998), 1895-1923.
        """
        tosses = self.only_first + self.only_second
        fewer = min(self.only_first, self.only_second)
        ways = sum(math.comb(tosses, heads) for heads in range(fewer + 1))
        outcomes: int = 2**tosses  # whole numbers are divided: nothing can overflow
        return min(1.0, 2 * ways / outcomes)

    @property
    def is_real(self) -> bool:
        """Whether the difference is more than chance would make of equals."""
        return self.p < SIGNIFICANT


def contest(first: Evaluation, second: Evaluation) -> Contest:
    """Counts the right answers of two evaluations of the same examples."""
    pairs = list(zip(first.hits.tolist(), second.hits.tolist(), strict=True))
    return Contest(
        both=pairs.count((True, True)),
        only_first=pairs.count((True, False)),
        only_second=pairs.count((False, True)),
        neither=pairs.count((False, False)),
    )

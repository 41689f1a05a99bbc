"""How much of a mishap a classifier bears."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from flatdense_training.data.split import Examples
from flatdense_training.judge.disturbances import DISTURBANCES, Disturbance
from flatdense_training.judge.evaluate import Classify, Evaluation, evaluate

SEED = 20_110_514
"""Of the noise and the directions: the same in every report, so that reports compare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbed:
    """One disturbance in one amount, done to all examples."""

    disturbance: str
    amount: float
    unit: str
    accuracy: float
    """The fraction of right answers."""


def disturb(classify: Classify, examples: Examples, untouched: Evaluation) -> tuple[Disturbed, ...]:
    """The accuracy under each of DISTURBANCES: untouched first, then in growing amounts.

    `untouched` is what `classify` answered to the examples as they are. Each amount meets the same
    chance: the same noise, only stronger; the same directions, only further.
    """
    return tuple(
        Disturbed(disturbance=each.name, amount=amount, unit=each.unit, accuracy=accuracy)
        for each in DISTURBANCES
        for amount, accuracy in [
            (each.untouched, untouched.accuracy),
            *((amount, judge(classify, examples, each, amount)) for amount in each.amounts),
        ]
    )


def without_untouched(steps: Iterable[Disturbed]) -> list[Disturbed]:
    """All but the first of each disturbance: there, nothing was disturbed."""
    kinds = groupby(steps, key=lambda step: step.disturbance)
    return [step for _, of_kind in kinds for step in list(of_kind)[1:]]


def judge(classify: Classify, examples: Examples, disturbance: Disturbance, amount: float) -> float:
    """The accuracy on examples that were disturbed by this amount."""
    images = disturbance.apply(examples.images, amount, np.random.default_rng(SEED))
    return evaluate(classify, Examples(images=images, labels=examples.labels)).accuracy

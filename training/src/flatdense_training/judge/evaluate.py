"""How good a classifier is on images that it did not learn from."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flatdense_training.data.idx import UInt8
from flatdense_training.data.split import Examples

BATCH_ROWS = 1_000

SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)
"""What is smaller may be 0 in float32, whose logarithm is infinite. It costs 87 nats."""

Classify = Callable[[UInt8], tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]]
"""uint8 [N, 784] -> probabilities [N, C] and classes [N]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a classifier answered to some examples."""

    rows: int
    correct: int
    loss: float
    """Mean cross-entropy, in nats."""
    classes: npt.NDArray[np.int64]
    """[rows], what it answered."""
    confidences: npt.NDArray[np.float32]
    """[rows], the probability of that answer."""

    @property
    def accuracy(self) -> float:
        """The fraction of right answers."""
        return self.correct / self.rows


def evaluate(classify: Classify, examples: Examples) -> Evaluation:
    """Asks the classifier for every example."""
    rows = examples.rows()
    starts = range(0, len(rows), BATCH_ROWS)
    answers = [classify(rows[start : start + BATCH_ROWS]) for start in starts]
    probabilities = np.concatenate([answer[0] for answer in answers])
    classes = np.concatenate([answer[1] for answer in answers])
    of_label = probabilities[np.arange(len(rows)), examples.labels].astype(np.float64)
    return Evaluation(
        rows=len(rows),
        correct=int(np.count_nonzero(classes == examples.labels)),
        loss=float(-np.log(np.maximum(of_label, SMALLEST_PROBABILITY)).mean()),
        classes=classes,
        confidences=probabilities.max(axis=1),
    )

"""How a classifier answers images that it did not learn from."""

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
    """What a classifier answered to some examples, and what was right."""

    labels: UInt8
    """[rows], what was right."""
    probabilities: npt.NDArray[np.float32]
    """[rows, C]"""
    classes: npt.NDArray[np.int64]
    """[rows], what it answered."""

    @property
    def rows(self) -> int:
        """The number of examples."""
        return len(self.labels)

    @property
    def hits(self) -> npt.NDArray[np.bool_]:
        """[rows], whether each answer is right."""
        return np.equal(self.classes, self.labels)

    @property
    def correct(self) -> int:
        """The number of right answers."""
        return int(np.count_nonzero(self.hits))

    @property
    def accuracy(self) -> float:
        """The fraction of right answers."""
        return self.correct / self.rows

    @property
    def confidences(self) -> npt.NDArray[np.float32]:
        """[rows], the probability of each answer."""
        highest: npt.NDArray[np.float32] = self.probabilities.max(axis=1)
        return highest

    @property
    def label_probabilities(self) -> npt.NDArray[np.float32]:
        """[rows], the probability of what was right."""
        return self.probabilities[np.arange(self.rows), self.labels]

    @property
    def loss(self) -> float:
        """Mean cross-entropy, in nats."""
        of_label = self.label_probabilities.astype(np.float64)
        return float(-np.log(np.maximum(of_label, SMALLEST_PROBABILITY)).mean())


def evaluate(classify: Classify, examples: Examples) -> Evaluation:
    """Asks the classifier for every example."""
    rows = examples.rows()
    starts = range(0, len(rows), BATCH_ROWS)
    answers = [classify(rows[start : start + BATCH_ROWS]) for start in starts]
    return Evaluation(
        labels=examples.labels,
        probabilities=np.concatenate([probabilities for probabilities, _ in answers]),
        classes=np.concatenate([classes for _, classes in answers]),
    )

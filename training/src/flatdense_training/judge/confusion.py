"""Which classes are taken for which."""

import numpy as np
import numpy.typing as npt

from flatdense_training.judge.evaluate import Evaluation


def confusion_matrix(evaluation: Evaluation) -> npt.NDArray[np.int64]:
    """[C, C], the number of examples of each label (row) that got each answer (column)."""
    classes = evaluation.probabilities.shape[1]
    cells = evaluation.labels.astype(np.int64) * classes + evaluation.classes
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)

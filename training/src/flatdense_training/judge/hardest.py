"""The images that a classifier finds hardest."""

from dataclasses import dataclass

import numpy as np

from flatdense_training.data.split import Examples
from flatdense_training.judge.evaluate import Evaluation

HARDEST = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class HardImage:
    """One image, and what was answered to it."""

    row: int
    """Its place among the examples, from 0."""
    label: int
    answer: int
    confidence: float
    label_probability: float
    """What the right class got."""
    pixels: bytes
    """uint8 [784]"""


def find_hardest(examples: Examples, evaluation: Evaluation) -> tuple[HardImage, ...]:
    """The images whose right class got least, hardest first; the earlier one of equals first."""
    confidences, of_label = evaluation.confidences, evaluation.label_probabilities
    return tuple(
        HardImage(
            row=row,
            label=int(examples.labels[row]),
            answer=int(evaluation.classes[row]),
            confidence=float(confidences[row]),
            label_probability=float(of_label[row]),
            pixels=examples.images[row].tobytes(),
        )
        for row in np.argsort(of_label, kind="stable")[:HARDEST].tolist()
    )

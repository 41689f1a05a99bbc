"""How good a classifier is at each class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flatdense_training.judge.interval import wilson


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassOutcome:
    """One class: its precision and its recall, each with Wilson's interval.

    Where there is nothing to count, the fraction is 0 and its interval 0..1: nothing is known.
    """

    name: str
    rows: int
    """Examples of this class."""
    precision: float
    """Of the answers that name this class, the fraction that is right."""
    precision_low: float
    precision_high: float
    recall: float
    """Of the examples of this class, the fraction that is found."""
    recall_low: float
    recall_high: float


def judge_classes(
    confusion: npt.NDArray[np.int64], names: Sequence[str]
) -> tuple[ClassOutcome, ...]:
    """The outcome of each class, from the matrix of `confusion_matrix`."""
    found = confusion.diagonal().tolist()
    examples, answers = confusion.sum(axis=1).tolist(), confusion.sum(axis=0).tolist()
    return tuple(
        judge_class(name, found=right, examples=rows, answers=named)
        for name, right, rows, named in zip(names, found, examples, answers, strict=True)
    )


def judge_class(name: str, *, found: int, examples: int, answers: int) -> ClassOutcome:
    """The outcome of one class, from its three counts."""
    precision, recall = wilson(found, answers), wilson(found, examples)
    return ClassOutcome(
        name=name,
        rows=examples,
        precision=found / answers if answers else 0.0,
        precision_low=precision.low,
        precision_high=precision.high,
        recall=found / examples if examples else 0.0,
        recall_low=recall.low,
        recall_high=recall.high,
    )

"""How often a classifier is right, and how sure one can be of that."""

from dataclasses import dataclass

from flatdense_training.judge.evaluate import Evaluation
from flatdense_training.judge.interval import wilson


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One set of examples in six numbers."""

    rows: int
    correct: int
    accuracy: float
    accuracy_low: float
    """By Wilson's interval."""
    accuracy_high: float
    loss: float
    """Mean cross-entropy, in nats."""


def sum_up(evaluation: Evaluation) -> Outcome:
    """The outcome of an evaluation."""
    interval = wilson(evaluation.correct, evaluation.rows)
    return Outcome(
        rows=evaluation.rows,
        correct=evaluation.correct,
        accuracy=evaluation.accuracy,
        accuracy_low=interval.low,
        accuracy_high=interval.high,
        loss=evaluation.loss,
    )

"""What is gained by not answering where confidence is low."""

from dataclasses import dataclass

from flatdense_training.judge.evaluate import Evaluation

THRESHOLDS = (*(step / 100 for step in range(100)), 0.995, 0.999)
"""Finer where most answers are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """What is left where answers with a confidence below `threshold` are withheld."""

    threshold: float
    answered: float
    """The fraction of the examples that still gets an answer."""
    accuracy: float
    """The fraction of those answers that is right."""


def reject(evaluation: Evaluation) -> tuple[Rejection, ...]:
    """The outcome at each of THRESHOLDS that leaves at least one answer."""
    confidences, hits = evaluation.confidences, evaluation.hits
    return tuple(
        Rejection(
            threshold=threshold,
            answered=float(kept.mean()),
            accuracy=float(hits[kept].mean()),
        )
        for threshold in THRESHOLDS
        for kept in [confidences >= threshold]
        if kept.any()
    )

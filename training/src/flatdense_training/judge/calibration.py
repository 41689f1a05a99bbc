"""Whether "90 % sure" is right nine times in ten."""

from dataclasses import dataclass

import numpy as np

from flatdense_training.judge.evaluate import Evaluation

BINS = 15
"""Of equal width, as in Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural
Networks", ICML 2017, so that figures compare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """The answers whose confidence is above `low` and at most `high`."""

    low: float
    high: float
    rows: int
    confidence: float
    """Mean of what they claim."""
    accuracy: float
    """The fraction of them that is right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How what is claimed compares with what is true."""

    ece: float
    """The expected calibration error: the mean distance, over all answers, of their bin's
    confidence and accuracy. Naeini, Cooper and Hauskrecht, AAAI 2015."""
    bins: tuple[ReliabilityBin, ...]
    """Ascending; those alone that hold answers."""


def calibrate(evaluation: Evaluation) -> Calibration:
    """Compares the confidence of answers with how often they are right."""
    confidences, hits = evaluation.confidences.astype(np.float64), evaluation.hits
    places = np.clip(np.ceil(confidences * BINS).astype(np.int64) - 1, 0, BINS - 1)
    bins = tuple(
        ReliabilityBin(
            low=place / BINS,
            high=(place + 1) / BINS,
            rows=int(np.count_nonzero(inside)),
            confidence=float(confidences[inside].mean()),
            accuracy=float(hits[inside].mean()),
        )
        for place in np.unique(places).tolist()
        for inside in [places == place]
    )
    distances = sum(each.rows * abs(each.confidence - each.accuracy) for each in bins)
    return Calibration(ece=distances / evaluation.rows, bins=bins)

"""Whether confidence can be believed."""

from itertools import pairwise

import numpy as np
import pytest
from answers import evaluations
from flatdense_training.judge.calibration import BINS, calibrate
from flatdense_training.judge.evaluate import Evaluation
from hypothesis import given
from sklearn.calibration import calibration_curve


def claim(confidences: np.ndarray, hits: np.ndarray) -> Evaluation:
    """Answers between two classes with these confidences, right where told."""
    probabilities = np.stack([confidences, 1 - confidences], axis=1).astype(np.float32)
    classes = np.zeros(len(hits), np.int64)
    return Evaluation(labels=(~hits).astype(np.uint8), probabilities=probabilities, classes=classes)


@given(evaluations)
def test_bins_as_sklearn_has_them(evaluation: Evaluation) -> None:
    """The bins that hold answers are scikit-learn's, with the same confidence and accuracy."""
    accuracies, confidences = calibration_curve(
        evaluation.hits, evaluation.confidences.astype(float), n_bins=BINS
    )
    bins = calibrate(evaluation).bins
    assert [each.accuracy for each in bins] == pytest.approx(accuracies.tolist())
    assert [each.confidence for each in bins] == pytest.approx(confidences.tolist())


@given(evaluations)
def test_every_answer_is_in_one_bin(evaluation: Evaluation) -> None:
    """The bins ascend, hold what they say, and sum to the rows; the ECE is a fraction."""
    calibration = calibrate(evaluation)
    bins = calibration.bins
    assert sum(each.rows for each in bins) == evaluation.rows
    assert all(low.high <= high.low for low, high in pairwise(bins))
    for each in bins:
        assert each.high - each.low == pytest.approx(1 / BINS)
        assert each.low - 1e-6 <= each.confidence <= each.high + 1e-6
    assert 0 <= calibration.ece <= 1


def test_a_truthful_answerer_has_no_error() -> None:
    """Where each answer is right as often as it claims, the ECE is that of chance alone."""
    random = np.random.default_rng(0)
    confidences = random.uniform(0.5, 1, 200_000)
    assert calibrate(claim(confidences, random.random(200_000) < confidences)).ece < 0.005


def test_a_boaster_is_found_out() -> None:
    """Who claims 0.9 and is right half of the time has an error of 0.4, in one bin."""
    calibration = calibrate(claim(np.full(1000, 0.9), np.arange(1000) % 2 == 0))
    (only,) = calibration.bins
    assert calibration.ece == pytest.approx(0.4)
    assert (only.rows, only.accuracy, only.confidence) == (1000, 0.5, pytest.approx(0.9))


def test_errors_do_not_cancel() -> None:
    """Too much confidence here and too little there are two errors, weighed by their rows."""
    confidences = np.repeat([0.6, 0.9], [300, 100])
    hits = np.repeat([True, False], [300, 100])
    assert calibrate(claim(confidences, hits)).ece == pytest.approx(0.75 * 0.4 + 0.25 * 0.9)

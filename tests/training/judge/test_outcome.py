"""An evaluation in six numbers."""

import pytest
from answers import evaluations
from flatdense_training.judge.evaluate import Evaluation
from flatdense_training.judge.outcome import sum_up
from hypothesis import given
from sklearn.metrics import accuracy_score, log_loss


@given(evaluations)
def test_as_sklearn_has_it(evaluation: Evaluation) -> None:
    """Accuracy and loss are those of scikit-learn, and the interval holds the accuracy."""
    outcome = sum_up(evaluation)
    classes = evaluation.probabilities.shape[1]
    probabilities = evaluation.probabilities.astype(float)
    probabilities /= probabilities.sum(axis=1, keepdims=True)  # of float32 it is 1 to 7 digits
    assert outcome.accuracy == accuracy_score(evaluation.labels, evaluation.classes)
    assert outcome.loss == pytest.approx(
        log_loss(evaluation.labels, probabilities, labels=range(classes)), rel=1e-5, abs=1e-6
    )
    assert outcome.accuracy_low <= outcome.accuracy <= outcome.accuracy_high
    assert outcome.correct == round(outcome.accuracy * outcome.rows)

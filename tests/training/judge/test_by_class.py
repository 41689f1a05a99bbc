"""Precision and recall of each class."""

import numpy as np
import pytest
from answers import evaluations
from flatdense_training.judge.by_class import judge_classes
from flatdense_training.judge.confusion import confusion_matrix
from flatdense_training.judge.evaluate import Evaluation
from hypothesis import given
from sklearn.metrics import precision_recall_fscore_support


@given(evaluations)
def test_as_sklearn_has_it(evaluation: Evaluation) -> None:
    """Precision, recall and rows are those of scikit-learn, and each lies in its interval."""
    labels = range(evaluation.probabilities.shape[1])
    outcomes = judge_classes(confusion_matrix(evaluation), [f"class {label}" for label in labels])
    precision, recall, _, rows = precision_recall_fscore_support(
        evaluation.labels, evaluation.classes, labels=labels, zero_division=0
    )
    assert [each.precision for each in outcomes] == pytest.approx(precision.tolist())
    assert [each.recall for each in outcomes] == pytest.approx(recall.tolist())
    assert [each.rows for each in outcomes] == rows.tolist()
    assert [each.name for each in outcomes] == [f"class {label}" for label in labels]
    for each in outcomes:
        assert each.precision_low <= each.precision <= each.precision_high
        assert each.recall_low <= each.recall <= each.recall_high


def test_rows_and_columns() -> None:
    """Recall is of a row and precision of a column, each with the interval of its own count."""
    first, second = judge_classes(np.array([[6, 2], [0, 12]]), ["a", "b"])
    assert (first.recall, first.precision) == (6 / 8, 1)
    assert (second.recall, second.precision) == (1, 12 / 14)
    assert first.recall_high < 1
    assert first.precision_high == second.recall_high == 1


def test_nothing_to_count() -> None:
    """Of a class that nobody showed and nobody answered, nothing is known."""
    _, unseen = judge_classes(np.array([[5, 0], [0, 0]]), ["a", "b"])
    assert (unseen.precision, unseen.precision_low, unseen.precision_high) == (0, 0, 1)
    assert (unseen.recall, unseen.recall_low, unseen.recall_high) == (0, 0, 1)

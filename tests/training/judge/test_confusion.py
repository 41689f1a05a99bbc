"""Which classes are taken for which."""

from answers import evaluations
from flatdense_training.judge.confusion import confusion_matrix
from flatdense_training.judge.evaluate import Evaluation
from hypothesis import given
from sklearn import metrics


@given(evaluations)
def test_as_sklearn_has_it(evaluation: Evaluation) -> None:
    """The matrix is scikit-learn's: labels are rows, answers are columns."""
    classes = range(evaluation.probabilities.shape[1])
    expected = metrics.confusion_matrix(evaluation.labels, evaluation.classes, labels=classes)
    assert confusion_matrix(evaluation).tolist() == expected.tolist()


@given(evaluations)
def test_every_answer_is_in_one_cell(evaluation: Evaluation) -> None:
    """The cells sum to the rows, and those of the diagonal to the right answers."""
    matrix = confusion_matrix(evaluation)
    assert (matrix.sum(), matrix.trace()) == (evaluation.rows, evaluation.correct)

"""Counting right answers."""

import math

import numpy as np
import pytest
from flatdense_training.data.split import Examples
from flatdense_training.judge.evaluate import BATCH_ROWS, evaluate


def label_first(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A classifier that reads the class from the first pixel, and is sure by 0.9."""
    classes = rows[:, 0].astype(np.int64)
    probabilities = np.full((len(rows), 10), 0.1 / 9, np.float32)
    probabilities[np.arange(len(rows)), classes] = 0.9
    return probabilities, classes


def make_examples(rows: int, wrong: int) -> Examples:
    """Examples of which the classifier above gets `wrong` wrong."""
    images = np.zeros((rows, 28, 28), np.uint8)
    images[:, 0, 0] = np.arange(rows) % 10
    labels = images[:, 0, 0].copy()
    labels[:wrong] = (labels[:wrong] + 1) % 10
    return Examples(images=images, labels=labels)


@pytest.mark.parametrize("rows", [1, BATCH_ROWS - 1, BATCH_ROWS, BATCH_ROWS + 1, 2500])
def test_every_row_counts_once(rows: int) -> None:
    """Whatever the number of rows, each is asked once and in order."""
    evaluation = evaluate(label_first, make_examples(rows, wrong=1))
    assert (evaluation.rows, evaluation.correct) == (rows, rows - 1)
    assert evaluation.accuracy == (rows - 1) / rows
    assert evaluation.classes.tolist() == [row % 10 for row in range(rows)]


def test_loss_is_mean_cross_entropy() -> None:
    """The loss is the mean of the negative logarithms, in nats."""
    evaluation = evaluate(label_first, make_examples(4, wrong=1))
    assert evaluation.loss == pytest.approx(-(3 * math.log(0.9) + math.log(0.1 / 9)) / 4)
    assert evaluation.confidences == pytest.approx(0.9)


def test_certain_and_wrong_is_finite() -> None:
    """A probability of 0 for the right class costs 87 nats and not infinity."""

    def certain(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.eye(10, dtype=np.float32)[np.zeros(len(rows), int)], np.zeros(len(rows), np.int64)

    examples = Examples(images=np.zeros((1, 28, 28), np.uint8), labels=np.ones(1, np.uint8))
    assert evaluate(certain, examples).loss == pytest.approx(87.3, abs=0.1)

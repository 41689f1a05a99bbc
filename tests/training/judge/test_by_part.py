"""Answers, by the dataset they are answers to."""

import numpy as np
from flatdense_training.data.datasets import DIGITS, MNIST, Dataset
from flatdense_training.data.material import Part
from flatdense_training.data.split import Examples, Splits
from flatdense_training.judge.by_part import by_part
from flatdense_training.judge.evaluate import Evaluation


def make_part(dataset: Dataset, labels: list[int]) -> Part:
    """A part whose test images have these labels."""
    examples = Examples(
        images=np.zeros((len(labels), 28, 28), np.uint8), labels=np.array(labels, np.uint8)
    )
    return Part(
        dataset=dataset,
        origin="here",
        splits=Splits(train=examples, validation=examples, test=examples),
    )


def test_each_dataset_gets_its_own_answers() -> None:
    """The joined evaluation falls apart at the ends of the parts, and nothing is lost."""
    parts = [make_part(MNIST, [1, 2, 3]), make_part(DIGITS, [0, 1])]
    classes = np.array([1, 2, 9, 5, 1])
    whole = Evaluation(
        labels=np.array([1, 2, 3, 0, 1], np.uint8),
        probabilities=np.eye(10, dtype=np.float32)[classes],
        classes=classes,
    )
    parted = by_part(parts, whole)
    assert {name: (part.correct, part.rows) for name, part in parted.items()} == {
        "mnist": (2, 3),
        "digits": (1, 2),
    }

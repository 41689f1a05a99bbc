"""How much of a mishap a classifier bears."""

import numpy as np
import pytest
from flatdense_training.data.idx import UInt8
from flatdense_training.data.split import Examples
from flatdense_training.judge.disturbances import DISTURBANCES
from flatdense_training.judge.evaluate import evaluate
from flatdense_training.judge.robustness import disturb, without_untouched


@pytest.fixture
def examples() -> Examples:
    """Images whose class is how many rows of the middle are inked."""
    labels = (np.arange(60) % 10).astype(np.uint8)
    images = np.zeros((60, 28, 28), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[9 : 9 + label, 8:20] = 255
    return Examples(images=images, labels=labels)


def count_ink(rows: UInt8) -> tuple[np.ndarray, np.ndarray]:
    """A classifier that counts inked rows, wherever they are, however faint."""
    images = rows.reshape(-1, 28, 28)
    classes = np.minimum((images.max(axis=2) > 20).sum(axis=1), 9).astype(np.int64)
    return np.eye(10, dtype=np.float32)[classes], classes


def test_what_it_bears(examples: Examples) -> None:
    """A classifier that moved and faint ink do not mislead has full marks there, and only there."""
    steps = disturb(count_ink, examples, evaluate(count_ink, examples))
    accuracy = {(step.disturbance, step.amount): step.accuracy for step in steps}
    assert all(accuracy["shift", amount] == 1 for amount in (0, 1, 2, 3, 4))
    assert all(accuracy["contrast", amount] == 1 for amount in (100, 75, 50, 25, 10))
    assert accuracy["inversion", 0] == 1
    assert accuracy["inversion", 100] == 0.1
    assert accuracy["rotation", 45] < 1
    assert accuracy["noise", 50] < 1


def test_every_step_in_order(examples: Examples) -> None:
    """Each disturbance begins untouched, with what was answered then, and its amounts follow."""
    untouched = evaluate(lambda rows: (count_ink(rows)[0], 0 * count_ink(rows)[1]), examples)
    steps = disturb(count_ink, examples, untouched)
    expected = [
        (each.name, amount, each.unit)
        for each in DISTURBANCES
        for amount in (each.untouched, *each.amounts)
    ]
    assert [(step.disturbance, step.amount, step.unit) for step in steps] == expected
    first = [step for step in steps if step not in without_untouched(steps)]
    assert [step.accuracy for step in first] == [untouched.accuracy] * len(DISTURBANCES)
    assert len(without_untouched(steps)) == len(steps) - len(DISTURBANCES)


def test_the_same_every_time(examples: Examples) -> None:
    """Two runs over the same images give the same figures, and show the same images to get them."""
    shown: list[list[bytes]] = []

    def remember(rows: UInt8) -> tuple[np.ndarray, np.ndarray]:
        shown[-1].append(rows.tobytes())
        return count_ink(rows)

    evaluation = evaluate(count_ink, examples)
    figures = []
    for _ in range(2):
        shown.append([])
        figures.append(disturb(remember, examples, evaluation))
    assert figures[0] == figures[1]
    assert shown[0] == shown[1]

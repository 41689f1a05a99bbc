"""The images that are hardest."""

import numpy as np
from answers import evaluations, make_answers
from flatdense_training.data.split import Examples
from flatdense_training.judge.evaluate import Evaluation
from flatdense_training.judge.hardest import HARDEST, find_hardest
from hypothesis import given


def draw(evaluation: Evaluation) -> Examples:
    """An image for each answer, all different."""
    images = np.random.default_rng(3).integers(0, 256, (evaluation.rows, 28, 28), np.uint8)
    return Examples(images=images, labels=evaluation.labels)


@given(evaluations)
def test_hardest_first(evaluation: Evaluation) -> None:
    """The images whose right class got least are in, and the least comes first."""
    hardest = find_hardest(draw(evaluation), evaluation)
    of_label = [image.label_probability for image in hardest]
    assert len(hardest) == min(HARDEST, evaluation.rows)
    assert of_label == sorted(of_label)
    assert of_label == np.sort(evaluation.label_probabilities)[: len(hardest)].tolist()


def test_an_image_is_its_own() -> None:
    """Each of them has the pixels, the label, the answer and the confidence of its row."""
    evaluation = make_answers(rows=100)
    examples = draw(evaluation)
    for image in find_hardest(examples, evaluation):
        assert image.pixels == examples.images[image.row].tobytes()
        assert image.label == examples.labels[image.row]
        assert image.answer == evaluation.classes[image.row]
        assert image.confidence == evaluation.probabilities[image.row].max()


def test_equals_in_their_order() -> None:
    """Of images that are equally hard, the earlier one comes first."""
    of_label = np.random.default_rng(4).choice([0.25, 0.5], 500).astype(np.float32)
    evaluation = Evaluation(
        labels=np.zeros(500, np.uint8),
        probabilities=np.stack([of_label, 1 - of_label], axis=1),
        classes=np.ones(500, np.int64),
    )
    rows = [image.row for image in find_hardest(draw(evaluation), evaluation)]
    assert rows == np.flatnonzero(of_label == 0.25)[:HARDEST].tolist()

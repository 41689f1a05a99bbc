"""How a classifier answers each dataset's own test images, where several were joined."""

from collections.abc import Sequence

from flatdense_training.data.material import Part
from flatdense_training.judge.evaluate import Evaluation


def by_part(parts: Sequence[Part], test: Evaluation) -> dict[str, Evaluation]:
    """The evaluation of the joined test images, taken apart again: dataset's name -> its own."""
    evaluations, start = {}, 0
    for part in parts:
        end = start + len(part.splits.test)
        evaluations[part.dataset.name] = Evaluation(
            labels=test.labels[start:end],
            probabilities=test.probabilities[start:end],
            classes=test.classes[start:end],
        )
        start = end
    return evaluations

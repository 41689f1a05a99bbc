"""What is gained by not answering."""

import pytest
from answers import evaluations, make_answers
from flatdense_training.judge.evaluate import Evaluation
from flatdense_training.judge.rejection import THRESHOLDS, reject
from hypothesis import given


@given(evaluations)
def test_fewer_and_fewer_answers(evaluation: Evaluation) -> None:
    """A higher threshold never answers more, and every step answers something."""
    steps = reject(evaluation)
    shares = [step.answered for step in steps]
    assert shares == sorted(shares, reverse=True)
    assert [step.threshold for step in steps] == list(THRESHOLDS[: len(steps)])
    assert (shares[0], steps[0].accuracy) == (1, evaluation.accuracy)
    assert shares[-1] > 0


def test_counts() -> None:
    """At a threshold, the answers that are that sure are counted, and the right ones of them."""
    evaluation = make_answers(rows=500, skill=2)
    sure = [
        (label == answer)
        for label, answer, confidence in zip(
            evaluation.labels, evaluation.classes, evaluation.confidences, strict=True
        )
        if confidence >= 0.75
    ]
    (step,) = [step for step in reject(evaluation) if step.threshold == 0.75]
    assert step.answered == pytest.approx(len(sure) / 500)
    assert step.accuracy == pytest.approx(sum(sure) / len(sure))
    assert step.accuracy > evaluation.accuracy

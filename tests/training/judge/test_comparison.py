"""Two classifiers side by side."""

from answers import make_answers
from flatdense_training.judge.calibration import calibrate
from flatdense_training.judge.comparison import compare
from flatdense_training.judge.evaluate import Evaluation
from flatdense_training.judge.outcome import sum_up


def test_each_side_is_its_own() -> None:
    """Each side has the figures of its own answers, and the contest is of both."""
    first = make_answers(rows=300, seed=1, skill=4)
    worse = make_answers(rows=300, seed=1, skill=1)
    second = Evaluation(
        labels=first.labels, probabilities=worse.probabilities, classes=worse.classes
    )
    comparison = compare(first, second, list("abcdefghij"))
    assert comparison.first.outcome == sum_up(first)
    assert comparison.second.outcome == sum_up(second)
    assert (comparison.first.ece, comparison.second.ece) == (
        calibrate(first).ece,
        calibrate(second).ece,
    )
    assert [each.name for each in comparison.second.classes] == list("abcdefghij")
    lead = comparison.contest.only_first - comparison.contest.only_second
    assert lead == first.correct - second.correct > 0
    assert comparison.contest.is_real

"""Two classifiers side by side, on the same examples."""

from collections.abc import Sequence
from dataclasses import dataclass

from flatdense_training.judge.by_class import ClassOutcome, judge_classes
from flatdense_training.judge.calibration import calibrate
from flatdense_training.judge.confusion import confusion_matrix
from flatdense_training.judge.evaluate import Evaluation
from flatdense_training.judge.mcnemar import Contest, contest
from flatdense_training.judge.outcome import Outcome, sum_up


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two, by itself."""

    outcome: Outcome
    ece: float
    classes: tuple[ClassOutcome, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Both, and how often each was right where the other was not."""

    first: Side
    second: Side
    contest: Contest


def compare(first: Evaluation, second: Evaluation, class_names: Sequence[str]) -> Comparison:
    """Compares what two classifiers answered to the same examples."""
    return Comparison(
        first=judge_side(first, class_names),
        second=judge_side(second, class_names),
        contest=contest(first, second),
    )


def judge_side(evaluation: Evaluation, class_names: Sequence[str]) -> Side:
    """The figures of one of the two."""
    return Side(
        outcome=sum_up(evaluation),
        ece=calibrate(evaluation).ece,
        classes=judge_classes(confusion_matrix(evaluation), class_names),
    )

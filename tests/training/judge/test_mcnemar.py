"""Whether a difference is real."""

import pytest
from answers import evaluations, make_answers
from flatdense_training.judge.evaluate import Evaluation
from flatdense_training.judge.mcnemar import Contest, contest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

counts = st.integers(0, 400)


def make_contest(only_first: int, only_second: int) -> Contest:
    """A contest with these counts where the two do not agree."""
    return Contest(both=50, only_first=only_first, only_second=only_second, neither=7)


@given(counts, counts)
def test_as_scipy_has_it(only_first: int, only_second: int) -> None:
    """Whatever the counts, p is that of an exact two-sided test of a fair coin."""
    tosses = only_first + only_second
    expected = binomtest(only_first, tosses).pvalue if tosses else 1
    assert make_contest(only_first, only_second).p == pytest.approx(expected, rel=1e-9)


def test_many_images() -> None:
    """Counts that no floating-point number holds the binomials of give a p as well."""
    assert make_contest(3000, 2000).p == pytest.approx(binomtest(2000, 5000).pvalue, rel=1e-6)


@given(evaluations)
def test_with_itself(evaluation: Evaluation) -> None:
    """Nobody differs from itself."""
    same = contest(evaluation, evaluation)
    assert (same.both, same.neither) == (
        evaluation.correct,
        evaluation.rows - evaluation.correct,
    )
    assert (same.only_first, same.only_second, same.p, same.is_real) == (0, 0, 1, False)


@given(evaluations, st.integers(0, 2**32 - 1))
def test_every_image_counts_once(first: Evaluation, seed: int) -> None:
    """The four counts sum to the images, and give each one's right answers back."""
    classes = first.probabilities.shape[1]
    answers = make_answers(rows=first.rows, classes=classes, seed=seed)
    second = Evaluation(
        labels=first.labels, probabilities=answers.probabilities, classes=answers.classes
    )
    result = contest(first, second)
    assert result.both + result.only_first == first.correct
    assert result.both + result.only_second == second.correct
    assert result.both + result.only_first + result.only_second + result.neither == first.rows
    assert result.p == contest(second, first).p


def test_real_and_chance() -> None:
    """Forty to ten is real; six to three is not."""
    assert make_contest(40, 10).is_real
    assert not make_contest(6, 3).is_real

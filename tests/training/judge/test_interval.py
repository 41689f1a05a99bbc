"""How far a counted fraction may be from the true one."""

import pytest
from flatdense_training.judge.interval import wilson
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

counts = st.integers(1, 20_000).flatmap(lambda rows: st.tuples(st.integers(0, rows), st.just(rows)))


@given(counts)
def test_as_scipy_has_it(count: tuple[int, int]) -> None:
    """Whatever was counted, the interval is the one that SciPy calls Wilson's."""
    hits, rows = count
    expected = binomtest(hits, rows).proportion_ci(0.95, method="wilson")
    interval = wilson(hits, rows)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(counts)
def test_holds_what_was_counted(count: tuple[int, int]) -> None:
    """The counted fraction lies in its interval, and the interval in 0..1."""
    hits, rows = count
    interval = wilson(hits, rows)
    assert 0 <= interval.low <= hits / rows <= interval.high <= 1


def test_nothing_counted() -> None:
    """Without rows, every fraction is possible."""
    interval = wilson(0, 0)
    assert (interval.low, interval.high) == (0, 1)

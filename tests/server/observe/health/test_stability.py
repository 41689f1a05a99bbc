"""The population stability index."""

import math
from itertools import pairwise

import numpy as np
import pytest
from flatdense_server.observe.health.stability import stability_index
from hypothesis import given
from hypothesis import strategies as st

counts = st.lists(st.integers(0, 10**9), min_size=1, max_size=12)
pairs = st.integers(1, 12).flatmap(
    lambda bins: st.tuples(*[st.lists(st.integers(0, 10**9), min_size=bins, max_size=bins)] * 2)
)
samples = st.lists(st.integers(0, 5), min_size=1, max_size=200)


def test_it_is_the_published_formula() -> None:
    """The sum of (p - q) ln(p / q); of many rows, half a row more is nothing."""
    rows, reference = [300_000, 700_000], [500_000, 500_000]
    expected = (0.3 - 0.5) * math.log(0.3 / 0.5) + (0.7 - 0.5) * math.log(0.7 / 0.5)
    assert stability_index(rows, reference) == pytest.approx(expected, rel=1e-4)


@given(pairs)
def test_it_is_finite_and_never_negative_and_symmetric(pair: tuple[list[int], list[int]]) -> None:
    """Whatever the counts, empty bins and no rows at all among them."""
    one, other = pair
    index = stability_index(one, other)
    assert math.isfinite(index)
    assert index >= 0
    assert index == pytest.approx(stability_index(other, one), rel=1e-9, abs=1e-12)


@given(counts)
def test_equal_counts_have_none(rows: list[int]) -> None:
    """What is distributed as the reference has the index 0."""
    assert stability_index(rows, rows) == 0


@given(samples, samples, st.integers(1, 4))
def test_it_grows_with_the_share_of_what_is_strange(
    usual: list[int], strange: list[int], steps: int
) -> None:
    """The more of the rows come from elsewhere, the greater it is, and never less."""
    reference = np.bincount(usual, minlength=6) / len(usual) * 1000
    other = np.bincount(strange, minlength=6) / len(strange) * 1000
    mixes = [(1 - share) * reference + share * other for share in np.linspace(0, 1, steps + 1)]
    indices = [stability_index(mix.tolist(), reference.tolist()) for mix in mixes]
    assert indices[0] == 0
    assert all(low <= high + 1e-12 for low, high in pairwise(indices))


@pytest.mark.parametrize("rows", [500, 2000])
def test_chance_alone_makes_as_much_as_the_documents_say(rows: int) -> None:
    """Of ten equal bins the mean is (10 - 1) (1/n + 1/m), and all of 2,000 draws are below 0.1."""
    random = np.random.default_rng(0)
    reference = 5000
    indices = [
        stability_index(*(random.multinomial(size, [0.1] * 10).tolist() for size in pair))
        for pair in [(rows, reference)] * 2000
    ]
    assert np.mean(indices) == pytest.approx(9 * (1 / rows + 1 / reference), rel=0.05)
    assert max(indices) < 0.1

"""The ladder: which sizes reach the engine."""

from itertools import combinations, pairwise

import pytest
from flatdense_server.engine.ladder import Ladder
from hypothesis import given
from hypothesis import strategies as st


@st.composite
def make_ladders(draw: st.DrawFn) -> Ladder:
    """Any sizes, and no costs, or any."""
    sizes = tuple(sorted(draw(st.sets(st.integers(1, 500), min_size=1, max_size=8))))
    cost = st.integers(1, 600).map(float)
    costs = draw(st.just(()) | st.tuples(*[cost] * len(sizes)))
    return Ladder(sizes, costs)


ladders = make_ladders()


@given(ladder=ladders, rows=st.integers(1, 3_000))
def test_cut_covers_every_row_once_in_order(ladder: Ladder, rows: int) -> None:
    """The pieces of a cut follow each other without gap, and none is more than the top."""
    pieces = list(ladder.cut(rows))
    assert [row for start, stop in pieces for row in range(start, stop)] == list(range(rows))
    assert all(0 < stop - start <= ladder.top for start, stop in pieces)


def cost_of(ladder: Ladder, pieces: tuple[int, ...]) -> float:
    """Of executions that hold so many rows each."""
    return sum(ladder.cost(ladder.fit(rows)) for rows in pieces)


@given(ladder=ladders, rows=st.integers(1, 3_000))
def test_only_the_last_piece_is_padded(ladder: Ladder, rows: int) -> None:
    """All before it are whole sizes, none bigger than the one before."""
    *whole, _ = (stop - start for start, stop in ladder.cut(rows))
    assert set(whole) <= set(ladder.sizes)
    assert all(first >= second for first, second in pairwise(whole))


@given(execution=st.integers(1, 40), rows=st.integers(1, 32))
def test_no_other_cut_costs_less(execution: int, rows: int) -> None:
    """Where rows cost alike, no other choice of whole sizes before a padded rest costs less."""
    sizes = (1, 2, 4, 8, 16, 32)
    ladder = Ladder(sizes, tuple(float(execution + size) for size in sizes))
    cut = tuple(stop - start for start, stop in ladder.cut(rows))
    choices = [
        (*whole, rows - sum(whole))
        for count in range(len(sizes))
        for whole in combinations(sizes, count)
        if sum(whole) < rows
    ]
    assert cost_of(ladder, cut) == min(cost_of(ladder, choice) for choice in choices)


@given(ladder=ladders, rows=st.integers(1, 500))
def test_without_costs_a_batch_is_padded(ladder: Ladder, rows: int) -> None:
    """Where executions cost the same, as few of them run as can hold the rows."""
    ladder = Ladder(ladder.sizes)
    assert len(ladder.cut(rows)) == -(-rows // ladder.top)


@given(ladder=ladders, data=st.data())
def test_fit_is_the_smallest_size_that_holds_the_rows(ladder: Ladder, data: st.DataObject) -> None:
    """fit() gives a size of the ladder, and the one below it is too small."""
    rows = data.draw(st.integers(1, ladder.top))
    size = ladder.fit(rows)
    assert size in ladder.sizes
    assert size >= rows
    assert all(smaller < rows for smaller in ladder.sizes if smaller < size)


@given(ladder=ladders, rows=st.integers(1, 3_000))
def test_padding_is_what_is_computed_beyond_the_rows(ladder: Ladder, rows: int) -> None:
    """Rows and padding together are the sizes that were run."""
    run = sum(ladder.fit(stop - start) for start, stop in ladder.cut(rows))
    assert ladder.padding_rows(rows) == run - rows


@pytest.mark.parametrize(
    ("top", "sizes"),
    [
        (1, (1,)),
        (2, (1, 2)),
        (3, (1, 2, 3)),
        (8, (1, 2, 4, 8)),
        (1000, (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)),
    ],
)
def test_powers_of_two_end_at_the_top(top: int, sizes: tuple[int, ...]) -> None:
    """The ladder has every power of two below its top, and the top."""
    assert Ladder.powers_of_two(top).sizes == sizes


@pytest.mark.parametrize("sizes", [(), (0, 1), (-1,), (2, 1), (1, 1, 2)])
def test_what_is_no_ladder_is_refused(sizes: tuple[int, ...]) -> None:
    """Sizes that are not ascending from 1 up raise ValueError naming them."""
    with pytest.raises(ValueError, match="ascending"):
        Ladder(sizes)

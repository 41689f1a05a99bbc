"""Staging: the rows of many requests become padded batches."""

from collections.abc import Callable

import numpy as np
import pytest
from flatdense_server.engine.ladder import Ladder
from flatdense_server.engine.staging import Staging
from flatdense_server.tensors import FLOAT32, UINT8, DType, Rows
from hypothesis import given
from hypothesis import strategies as st

LADDER = Ladder((1, 2, 4, 8))


@given(counts=st.lists(st.integers(0, 20), min_size=1, max_size=8).filter(any))
def test_every_row_comes_out_once_in_order(
    draw_rows: Callable[..., Rows], counts: list[int]
) -> None:
    """However rows are spread over parts, the executions together hold exactly them."""
    rows = draw_rows(sum(counts))
    parts = np.split(rows, np.cumsum(counts)[:-1])
    staged = [
        buffer[:filled].copy() for buffer, filled in Staging.allocate(LADDER, UINT8).fill(parts)
    ]
    assert np.array_equal(np.concatenate(staged), rows)


@given(rows=st.integers(1, 40))
def test_every_execution_has_a_size_of_the_ladder(
    draw_rows: Callable[..., Rows], rows: int
) -> None:
    """Only the ladder's sizes are run, each the smallest that holds its rows."""
    for buffer, filled in Staging.allocate(LADDER, UINT8).fill([draw_rows(rows)]):
        assert len(buffer) == LADDER.fit(filled)


@pytest.mark.parametrize("dtype", [UINT8, FLOAT32])
def test_buffers_are_used_again(draw_rows: Callable[..., Rows], dtype: DType) -> None:
    """Two fills of one size get the same memory, of the staging's dtype: nothing is allocated."""
    staging = Staging.allocate(LADDER, dtype)
    ((first, _),) = staging.fill([draw_rows(3, dtype)])
    ((second, _),) = staging.fill([draw_rows(4, dtype)])
    assert np.shares_memory(first, second)
    assert first.dtype == dtype


def test_the_parts_are_not_changed(draw_rows: Callable[..., Rows]) -> None:
    """Staging copies: parts may be read-only and keep their values."""
    part = draw_rows(3)
    part.flags.writeable = False
    ((buffer, _),) = Staging.allocate(LADDER, UINT8).fill([part])
    assert not np.shares_memory(buffer, part)
    assert np.array_equal(part, draw_rows(3))

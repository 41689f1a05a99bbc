"""The recipe's arithmetic."""

import pytest
from flatdense_training.fit.recipe import Recipe


@pytest.mark.parametrize(("rows", "steps"), [(55_000, 430), (128, 1), (129, 2), (1, 1)])
def test_steps(rows: int, steps: int) -> None:
    """Every image is in one batch of the epoch, the last of which may be smaller."""
    assert Recipe(epochs=1, batch_rows=128).steps_per_epoch(rows) == steps

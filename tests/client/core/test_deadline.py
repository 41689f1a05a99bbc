"""The deadline of a whole call."""

import math

import pytest
from flatdense_client import DeadlineExceeded
from flatdense_client._core.deadline import Deadline, check_timeout_s


def test_what_is_left_shrinks() -> None:
    """A deadline gives what is left, never more than before and never more than the whole."""
    deadline = Deadline(30.0, "here:1")
    first, second = deadline.remaining_s(), deadline.remaining_s()
    assert first is not None
    assert second is not None
    assert 0 < second <= first <= 30


def test_infinity_is_no_limit() -> None:
    """Without a limit gRPC gets none."""
    assert Deadline(math.inf, "here:1").remaining_s() is None


def test_nothing_left_is_an_error() -> None:
    """A deadline that has passed names the address and the timeout."""
    with pytest.raises(DeadlineExceeded, match=r"here:1 within 1e-09 s"):
        Deadline(1e-9, "here:1").remaining_s()


@pytest.mark.parametrize("timeout_s", [0, -1, math.nan])
def test_a_timeout_is_positive(timeout_s: float) -> None:
    """Zero, negative and NaN are refused."""
    with pytest.raises(ValueError, match="expected more than 0"):
        check_timeout_s(timeout_s)

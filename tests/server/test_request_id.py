"""Ids of requests: the caller's own where it is usable, else a new one."""

import pytest
from flatdense_server.request_id import (
    HEADER,
    accept_request_id,
    find_request_id,
    make_request_id,
)
from hypothesis import given
from hypothesis import strategies as st

PRINTABLE = [chr(code) for code in range(0x20, 0x7F)]


@given(st.text(PRINTABLE, min_size=1, max_size=128))
def test_printable_ascii_is_accepted(given_id: str) -> None:
    """Up to 128 characters stay as they are, but that spaces at the ends would not arrive."""
    accepted = accept_request_id(given_id)
    assert (accepted == given_id) == (given_id == given_id.strip())


@given(st.text() | st.text(PRINTABLE, min_size=129) | st.binary() | st.none())
def test_what_is_sent_on_is_always_usable(given_id: object) -> None:
    """Whatever came, the id is one line of printable ASCII, neither empty nor longer than 128."""
    request_id = accept_request_id(given_id)
    assert 1 <= len(request_id) <= 128
    assert request_id.isascii()
    assert request_id.isprintable()


@pytest.mark.parametrize("bad", ["", "a\nb", "a\x7f", "grün", "x" * 129, b"bytes"])
def test_another_one_takes_the_place_of_a_bad_one(bad: object) -> None:
    """It is not repaired: a part of it could be somebody else's."""
    assert str(bad) not in accept_request_id(bad) or bad == ""


def test_made_ones_differ() -> None:
    """No two of many are equal."""
    assert len({make_request_id() for _ in range(10_000)}) == 10_000


def test_the_first_of_several_counts() -> None:
    """And a call without one gets one."""
    assert find_request_id([("a", "1"), (HEADER, "first"), (HEADER, "second")]) == "first"
    assert find_request_id([("a", "1")])

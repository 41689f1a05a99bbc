"""Bars on screens of any width."""

import io

import pytest
from flatdense_client.cli.bars import Bar
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console


def _drawn(bar: Bar, columns: int, encoding: str = "utf-8") -> str:
    pipe = io.BytesIO()
    file = io.TextIOWrapper(pipe, encoding=encoding, newline="\n")
    Console(file=file, width=columns).print(bar)
    file.flush()
    return pipe.getvalue().decode(encoding).rstrip("\n")


@given(share=st.floats(0, 1), columns=st.integers(4, 200))
def test_a_bar_is_its_share(share: float, columns: int) -> None:
    """A bar is as long as its share of the columns that there are, and of 30 at most."""
    room = min(columns, 30)
    assert _drawn(Bar(share), columns) == "━" * round(room * share)


@pytest.mark.parametrize(("share", "drawn"), [(0.0, ""), (1e-9, "━"), (1.0, "━" * 30)])
def test_what_was_counted_is_seen(share: float, drawn: str) -> None:
    """A share that must be seen is at least one character, unless it is nothing."""
    assert _drawn(Bar(share, is_seen=True), 80) == drawn


def test_an_ascii_screen_gets_ascii() -> None:
    """Where no line can be written, signs of ASCII stand for it."""
    assert _drawn(Bar(0.1), 80, "ascii") == "###"

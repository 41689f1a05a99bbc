"""What reaches a terminal."""

import pytest
from flatdense_client.cli.screen import complain, plain
from hypothesis import given
from hypothesis import strategies as st


@given(text=st.text())
def test_nothing_steers_the_terminal(text: str) -> None:
    """Whatever the words are, they become one line of printable characters; spelled out once."""
    told = plain(text)
    assert told.isprintable()
    assert plain(told) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("acht 8 ß 数 →", "acht 8 ß 数 →"),
        ("two\nlines\tand a tab", "two lines and a tab"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\udcff.png", r"\udcff.png"),
    ],
)
def test_what_cannot_be_seen_is_spelled_out(text: str, told: str) -> None:
    """Letters of any script stay, white space is a blank, and the rest is its escape."""
    assert plain(text) == told


def test_a_complaint_is_one_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    """An error with the server's own words is one line that steers nothing."""
    complain("there is no label\n  '\x1b[31mred'")
    assert capsys.readouterr().err == "error: there is no label '\\x1b[31mred'\n"

"""Facts on screens of any width."""

import io

from flatdense_client.cli.facts import Facts
from flatdense_client.cli.screen import plain
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console


def _lines(facts: Facts, columns: int) -> list[str]:
    text = io.StringIO()
    Console(file=text, width=columns, highlight=False).print(facts)
    return text.getvalue().split("\n")[:-1]


def test_nothing_is_nothing() -> None:
    """Without facts nothing is written."""
    assert _lines(Facts(), 80) == []


def test_a_long_fact_goes_on_beneath_itself() -> None:
    """Words are folded beneath where they began, after the label and after the head."""
    facts = Facts()
    facts.add("model", "mnist of a long name")
    facts.add("versions", "the weights differ from the manifest", head=["5  ", ("failed  ", "red")])
    facts.add("", "stable", head=["6  ", "ready   "])
    assert _lines(facts, 36) == [
        "model      mnist of a long name",
        "versions   5  failed  the weights",
        "                      differ from",
        "                      the manifest",
        "           6  ready   stable",
    ]


def test_a_long_fact_does_not_make_the_others_long() -> None:
    """In a pipe every fact is one line that ends where it ends."""
    facts = Facts()
    facts.add("server", "here:1")
    facts.add("unchecked", "word " * 500)
    assert _lines(facts, 10_000) == ["server      here:1", "unchecked   " + "word " * 499 + "word"]


@given(told=st.text(), columns=st.integers(30, 200))
def test_nothing_is_lost_or_too_wide(told: str, columns: int) -> None:
    """Every visible character is shown in its order, on lines that fit and do not end in blanks."""
    facts = Facts()
    facts.add("versions", told, head=["failed  "])
    lines = _lines(facts, columns)
    assert all(cell_len(line) <= columns for line in lines)
    assert all(line == line.rstrip() for line in lines)
    assert all(line.isprintable() for line in lines)
    shown = "".join("".join(lines).split())
    assert shown == "versionsfailed" + "".join(plain(told).split())

"""The table of docs/operations.md has every event of the log, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import documented_events
import pytest

SOURCE = Path(__file__).parents[2] / "server" / "src"

LEVELS = {"exception": "error"}
"""Of methods that are not called like their level."""

CALLS = {
    (path.name, node.lineno): node
    for path in SOURCE.rglob("*.py")
    for node in ast.walk(ast.parse(path.read_text()))
    if isinstance(node, ast.Call)
    and isinstance(node.func, ast.Attribute)
    and ast.unparse(node.func.value) == "log"
    and node.args
}
"""Each place that logs."""

MADE_ASIDE = {"log lines were dropped": ("warning", {"lines"})}
"""By who writes the log, which cannot use it."""


def read_calls() -> Iterator[tuple[str, str, set[str]]]:
    """Event, level and particulars of each place."""
    for node in CALLS.values():
        assert isinstance(node.func, ast.Attribute)
        said = node.args[0]
        assert isinstance(said, ast.Constant), ast.unparse(node)
        extra = next((each.value for each in node.keywords if each.arg == "extra"), None)
        keys = extra.keys if isinstance(extra, ast.Dict) else []
        particulars = {str(key.value) for key in keys if isinstance(key, ast.Constant)}
        yield str(said.value), LEVELS.get(node.func.attr, node.func.attr), particulars
    for event, (level, particulars) in MADE_ASIDE.items():
        yield event, level, particulars


def test_each_event_is_in_the_table_and_no_other() -> None:
    """In the same words, with the same level; its particulars, as far as they are written there."""
    documented = documented_events.read_events()
    logged = list(read_calls())
    assert {event for event, _, _ in logged} == documented.keys()
    for event, level, particulars in logged:
        assert level == documented[event].level, event
        assert particulars <= documented[event].particulars, event


@pytest.mark.parametrize("place", CALLS, ids=lambda place: f"{place[0]}:{place[1]}")
def test_an_event_is_a_constant(place: tuple[str, int]) -> None:
    """Whoever searches finds it, and nothing that a caller chose is in it."""
    event = CALLS[place].args[0]
    assert isinstance(event, ast.Constant)
    assert "%" not in event.value


def test_particulars_are_named_alike() -> None:
    """Lower case words; those that are measured have their unit."""
    named = {name for each in documented_events.read_events().values() for name in each.particulars}
    assert all(re.fullmatch(r"[a-z][a-z_]*", name) for name in named)
    assert not {name for name in named if re.search(r"duration$|seconds|_ms$|time$", name)}


def test_the_access_log_has_what_the_page_says() -> None:
    """Each of its particulars is named in the paragraph about it."""
    chapter = documented_events.OPERATIONS.read_text().split("**The access log**")[1]
    paragraph = chapter.split("\n\n")[0]
    assert set(re.findall(r"`(\w+_?\w*)`", paragraph)) >= documented_events.ACCESS

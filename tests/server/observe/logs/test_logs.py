"""The log lines: one event a line, for people or for machines."""

import json
import logging
import re
import sys
from datetime import datetime

import pytest
from flatdense_server.observe.logs.logs import JsonFormatter, TextFormatter, quote
from hypothesis import given
from hypothesis import strategies as st

texts = st.text(st.characters(exclude_categories=["Cs"]))
keys = st.from_regex(r"[a-z]{3,8}_x", fullmatch=True)  # not one of logging's own names
TEXT_LINE = re.compile(r"(\d\d:\d\d:\d\d\.\d{3}) (\w+) +(.*)")


def record(event: str, particulars: dict[str, object] | None = None) -> logging.LogRecord:
    """What log.info(event, extra=particulars) hands to a formatter."""
    return logging.getLogger("test").makeRecord(
        "test", logging.INFO, __file__, 1, event, (), None, extra=particulars
    )


def failed(event: str) -> logging.LogRecord:
    """What log.exception(event) hands to a formatter."""
    try:
        {}["the cause"]
    except KeyError:
        return logging.getLogger("test").makeRecord(
            "test", logging.ERROR, __file__, 1, event, (), sys.exc_info()
        )


def read_pairs(text: str) -> dict[str, str]:
    """Reads `key=value key="quoted value"` back, as a person or a script would."""
    decoder = json.JSONDecoder()
    pairs, at = {}, 0
    while at < len(text):
        key, at = text[at : text.index("=", at)], text.index("=", at) + 1
        if text[at] == '"':
            pairs[key], at = decoder.raw_decode(text, at)
        else:
            end = text.find(" ", at) % (len(text) + 1)
            pairs[key], at = text[at:end], end
        at += 1
    return pairs


@given(event=texts, particulars=st.dictionaries(keys, texts | st.integers() | st.booleans()))
def test_a_json_line_reads_back(event: str, particulars: dict[str, object]) -> None:
    """Whatever the values: one line, whose object has time, level, event and all particulars."""
    line = JsonFormatter().format(record(event, particulars))
    assert "\n" not in line
    assert "\r" not in line
    read = json.loads(line)
    time = read.pop("time")
    assert datetime.fromisoformat(time).utcoffset().total_seconds() == 0
    assert read == {"level": "info", "event": event, **particulars}


@given(particulars=st.dictionaries(keys, texts, min_size=1, max_size=4))
def test_a_text_line_reads_back(particulars: dict[str, str]) -> None:
    """Whatever the values: one printable line, from which each value can be told."""
    line = TextFormatter().format(record("ready", particulars))
    assert line.splitlines() == [line]
    _, level, rest = TEXT_LINE.fullmatch(line).groups()
    event, pairs = rest.split("  ", 1)
    assert (level, event) == ("INFO", "ready")
    assert read_pairs(pairs) == particulars


@given(event=texts)
def test_a_text_line_is_one_line_whatever_the_event_says(event: str) -> None:
    """A message with line ends or terminal codes in it cannot make a second line."""
    line = TextFormatter().format(record(event.replace("%", "%%")))
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line


def test_text_without_particulars_is_just_the_event() -> None:
    """Nothing trails the event."""
    line = TextFormatter().format(record("stopped"))
    assert TEXT_LINE.fullmatch(line).group(3) == "stopped"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("mnist", "mnist"),
        (1, "1"),
        ("http://127.0.0.1:8501/", "http://127.0.0.1:8501/"),
        ("", '""'),
        ("two words", '"two words"'),
        ("drüben über", '"drüben über"'),
        ("a=b", '"a=b"'),
        ('say "no"', r'"say \"no\""'),
        ("a\nb", r'"a\nb"'),
        ("\x1b[31m", r'"\u001b[31m"'),
    ],
)
def test_a_value_is_quoted_where_it_would_not_read_as_one_word(value: object, text: str) -> None:
    """Plain words stand as they are; the others as JSON strings."""
    assert quote(value) == text


def test_a_traceback_follows_a_text_line() -> None:
    """The first line is the event, the traceback is below it, indented."""
    first, *rest = TextFormatter().format(failed("request failed")).splitlines()
    assert first.endswith("ERROR   request failed")
    assert rest[0] == "    Traceback (most recent call last):"
    assert rest[-1] == "    KeyError: 'the cause'"


@given(said=texts)
def test_no_line_of_a_traceback_looks_like_an_event(said: str) -> None:
    """Whatever an exception says, which may come from a stranger, it forges no line."""
    stranger = ValueError(f"{said}\n12:34:56.789 INFO    ready")
    error = (ValueError, stranger, None)
    made = logging.getLogger("test").makeRecord("test", logging.ERROR, "", 1, "failed", (), error)
    _, *rest = TextFormatter().format(made).split("\n")
    assert all(line.startswith("    ") and line.strip().isprintable() for line in rest)


def test_a_traceback_is_a_field_of_a_json_line() -> None:
    """A machine gets one line even then."""
    line = JsonFormatter().format(failed("request failed"))
    assert len(line.splitlines()) == 1
    assert json.loads(line)["traceback"].endswith("KeyError: 'the cause'")


def test_a_value_that_json_does_not_know_is_written_as_text() -> None:
    """A path or an exception in `extra` is no reason to lose the event."""
    line = JsonFormatter().format(record("refused", {"reason_x": ValueError("why")}))
    assert json.loads(line)["reason_x"] == "why"

"""Reading files in protobuf's text format."""

import re
from pathlib import Path
from typing import Final, TypeVar

from google.protobuf import text_format
from google.protobuf.message import Message

M = TypeVar("M", bound=Message)

LIST: Final = re.compile(r"([A-Za-z_]\w*)(\s*)\[")
"""A list without a colon before it: the parser skips an unknown one only after a colon."""


class ConfigUnreadable(Exception):
    """A file of another server cannot be read. The message says what was expected."""


def read_textproto(path: Path, message: M, example: str, *, tolerant: bool = False) -> M:
    """Fills `message` from a file, and gives it.

    A tolerant reader leaves out what it does not know. Raises ConfigUnreadable, with the number of
    the line at fault.
    """
    kind = message.DESCRIPTOR.name
    expected = f"expected a {kind} in protobuf's text format, such as {example}"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigUnreadable(f"{path} cannot be read: {error.strerror}; {expected}") from error
    except UnicodeDecodeError as error:
        raise ConfigUnreadable(f"{path} is not text; {expected}") from error
    if tolerant:
        text = LIST.sub(r"\1:\2[", text)
    try:
        return text_format.Parse(text, message, allow_unknown_field=tolerant)
    except text_format.ParseError as error:
        raise ConfigUnreadable(f"{path}, {describe_fault(error)}; {expected}") from error


def describe_fault(error: text_format.ParseError) -> str:
    """The line and the fault, on one line, and without the twins' own names."""
    line = error.GetLine()
    reason = " ".join(str(error).split()).removeprefix(f"{line}:{error.GetColumn()} : ")
    reason = re.sub(r"flatdense\.twin\.[a-z.]+\.", "", reason).rstrip(".")
    return f"line {line}: {reason}" if line else reason

"""JSON documents that strangers sent."""

import re
from types import MappingProxyType
from typing import Final, TypeVar

import msgspec

from flatdense_server.http.errors import RequestRefused, refuse
from flatdense_server.http.limits import MAX_TEXT

T = TypeVar("T")

PLACE: Final = re.compile(r" - at `\$(.*)`$")
"""How msgspec says where in a document something is."""

MALFORMED: Final = "JSON is malformed: "

CLEARER: Final = MappingProxyType(
    {
        "Number out of range": "expected a number that 64 bits hold, got a bigger one",
        "Integer value out of range": "expected a number that 64 bits hold, got a bigger one",
        "Invalid base64 encoded string": "expected base64, got something else",
        "Input data was truncated": "it ends in the middle",
    }
)
"""What of msgspec's messages does not say what was expected."""


def check_parts(document: bytes, most: int) -> None:
    """Raises RequestRefused where a document has more values than any request needs.

    Each value that is decoded has a comma, a bracket or a brace: they bound the memory that is
    taken, which is many times that of the text where the values are small.
    """
    parts = sum(map(document.count, (b",", b"[", b"{")))
    if parts > most:
        raise RequestRefused(
            413, f"the body: expected at most {most} values, lists and objects, got {parts}."
        )


def read_document(
    document: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T], field: str = ""
) -> T:
    """What a document, or the part of it in `field`, says.

    Raises RequestRefused, naming what was expected where.
    """
    try:
        return decoder.decode(document)
    except msgspec.ValidationError as error:
        found = PLACE.search(str(error))
        path = f"{field}{found[1] if found else ''}".removeprefix(".")
        message = PLACE.sub("", str(error))
        message = CLEARER.get(message, message)
        raise refuse(path or "the body", f"{message[0].lower()}{message[1:]}.") from error
    except msgspec.DecodeError as error:
        message = str(error).removeprefix(MALFORMED)
        message = CLEARER.get(message, message)
        raise refuse(field or "the body", f"expected JSON, got none: {message}.") from error
    except RecursionError as error:
        raise refuse(field or "the body", "expected JSON, got lists in lists too deep.") from error
    except UnicodeError as error:
        raise refuse(field or "the body", f"expected text in UTF-8, got none: {error}.") from error


def check_text(field: str, text: str) -> str:
    """The text. Raises RequestRefused where it is too long, or none that UTF-8 can have."""
    if len(text) > MAX_TEXT:
        raise refuse(field, f"expected at most {MAX_TEXT} characters, got {len(text)}.")
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise refuse(field, "expected Unicode text, got half of a character.")
    return text

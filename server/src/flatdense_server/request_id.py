"""The id of a request: the same in its error, its log lines, its trailer or header."""

import random
import re
from collections.abc import Iterable
from typing import Final

HEADER: Final = "x-request-id"
"""Which callers may send, and which errors have. HTTP has it too."""

USABLE: Final = re.compile(r"[!-~]([ -~]{0,126}[!-~])?")
"""What goes through logs and headers as it is: at most 128 characters."""


def make_request_id() -> str:
    """A new one: 80 random bits."""
    return f"{random.getrandbits(80):020x}"


def accept_request_id(given: object) -> str:
    """What a caller sent, where it is usable; else a new one."""
    return given if isinstance(given, str) and USABLE.fullmatch(given) else make_request_id()


def find_request_id(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """The id of a call with this metadata: the first that its caller sent, or a new one."""
    for key, value in metadata:
        if key == HEADER:
            return accept_request_id(value)
    return make_request_id()

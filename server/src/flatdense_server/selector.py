"""Which model and version a request means, and which answers it."""

from dataclasses import dataclass
from typing import Final, TypeAlias


@dataclass(frozen=True, slots=True)
class Selector:
    """What a request names, as far as it names anything."""

    model: str = ""
    version: int | None = None
    label: str = ""


Answerer: TypeAlias = tuple[str, str]
"""Model and version that answer a call, as metrics have them."""

NOBODY: Final[Answerer] = ("", "")
"""Of a call that ended before they were known."""

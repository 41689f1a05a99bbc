"""Which model and version a request means."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Selector:
    """What a request names, as far as it names anything."""

    model: str = ""
    version: int | None = None
    label: str = ""

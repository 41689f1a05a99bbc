"""The colours of pictures. People who are blind to some colours tell them apart."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """Colours that go together, as #rrggbb."""

    ground: str
    ink: str
    """Of what is said."""
    muted: str
    """Of axes and second thoughts."""
    grid: str
    first: str
    second: str


# The blues and oranges are of Okabe and Ito's set, or near it.
LIGHT = Palette(
    ground="#ffffff",
    ink="#1c2530",
    muted="#5d6875",
    grid="#e3e7eb",
    first="#0072b2",
    second="#d55e00",
)
DARK = Palette(
    ground="#171c22",
    ink="#e8ebee",
    muted="#9ba6b2",
    grid="#303841",
    first="#56b4e9",
    second="#f19a4b",
)

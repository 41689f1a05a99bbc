"""One digit, drawn with the characters of a terminal: two pixels in each."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.style import Style
from rich.text import Text

from flatdense_client._images.pixels import SIDE_PIXELS, Rows
from flatdense_client.cli.screen import plain

COLUMNS = SIDE_PIXELS
"""How wide a drawn digit is; it is half as many lines high."""

Colour = tuple[int, int, int]
Float32 = npt.NDArray[np.float32]

_GROUND: Colour = (28, 28, 28)
"""Not quite black, so that the frame shows on a black screen too."""
_INK: Colour = (255, 255, 255)
_PALE_INK: Colour = (110, 110, 110)
"""Ink beside which the colours of what speaks for and against stand out."""
_FOR: Colour = (80, 170, 255)
_AGAINST: Colour = (255, 140, 40)
"""Blue and orange, which nearly everybody can tell apart."""

FOR_STYLE = "rgb(40,130,230)"
AGAINST_STYLE = "rgb(225,110,20)"
"""The same for words, which are read on light screens too."""

_VISIBLE_INK = 0.35
"""From which share of the strongest ink on a pixel is drawn where there is no colour."""

_TINY = float(np.finfo(np.float32).tiny)
"""Keeps an empty image and one without contributions from dividing by 0."""

_STRONG = 0.25
"""From which share of the strongest contribution on a pixel is marked."""

_BLOCKS = " ▀▄█"
_ASCII_BLOCKS = " '.:"
"""Neither pixel, the upper, the lower, both."""

_DOT = "·"
_ASCII_DOT = "."
"""Ink that contributes little: fainter than the marks of what contributes much."""


class Digit:
    """An image of 28 columns and 14 lines; rich prints it.

    - In colour each pixel is drawn in its own grey on a dark ground, whatever the terminal's theme.
    - Without colour the ink is drawn with half blocks, or in ASCII where nothing else can be
      written.
    - With contributions the pixels that speak for a class and against it stand out: blue and
      orange, or `+` and `-` where there is no colour.
    """

    def __init__(self, image: Float32, contributions: Float32 | None = None) -> None:
        """Takes an image, 0 (ground) to 1 (ink), and what each pixel adds to a class.

        Both are [28, 28] or [784].
        """
        self._ink = _square(image)
        self._is_explained = contributions is not None
        strength = np.zeros_like(self._ink) if contributions is None else _square(contributions)
        self._strength = strength / max(float(np.abs(strength).max()), _TINY)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if _is_shaded(console, options):
            return self._shades()
        if options.ascii_only:
            return self._marks(_ASCII_BLOCKS, _ASCII_DOT)
        return self._marks(_BLOCKS, _DOT)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(COLUMNS, COLUMNS)

    def _shades(self) -> Iterator[Text]:
        for upper, lower in self._colours().reshape(-1, 2, SIDE_PIXELS, 3):
            line = Text()
            for above, below in zip(upper, lower, strict=True):
                line.append("▀", Style(color=_color(above), bgcolor=_color(below)))
            yield line

    def _colours(self) -> Float32:
        ink, strength = self._ink[..., None], self._strength[..., None]
        ground, blue, orange = (
            np.array(colour, np.float32) for colour in (_GROUND, _FOR, _AGAINST)
        )
        drawn = np.array(_PALE_INK if self._is_explained else _INK, np.float32)
        grey = ground + (drawn - ground) * ink
        told = np.where(strength > 0, blue, orange)
        # The root lets the weaker contributions be seen beside the strongest.
        colours: Float32 = grey + (told - grey) * np.sqrt(np.abs(strength))
        return colours

    def _marks(self, blocks: str, dot: str) -> Iterator[Text]:
        is_ink = self._ink >= max(_VISIBLE_INK * float(self._ink.max()), _TINY)
        which = is_ink[::2] + 2 * is_ink[1::2]
        if not self._is_explained:
            yield from (Text("".join(blocks[index] for index in row)) for row in which)
            return
        pairs = self._strength.reshape(-1, 2, SIDE_PIXELS)
        stronger = np.where(np.abs(pairs[:, 0]) >= np.abs(pairs[:, 1]), pairs[:, 0], pairs[:, 1])
        faint = np.where(which > 0, dot, " ")
        marks = np.where(stronger >= _STRONG, "+", np.where(stronger <= -_STRONG, "-", faint))
        yield from (Text("".join(row)) for row in marks.tolist())


class Legend:
    """A line that says what the colours or marks of a digit's contributions mean."""

    def __init__(self, label: str) -> None:
        """Takes the name of the class that the pixels speak for or against."""
        self._label = plain(label)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        marks = "■■" if _is_shaded(console, options) else "+-"
        told = (f" for {self._label}   ", f" against {self._label}")
        yield Text.assemble((marks[0], FOR_STYLE), told[0], (marks[1], AGAINST_STYLE), told[1])

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(COLUMNS, COLUMNS)


def ink_of(rows: Rows, row: int) -> Float32:
    """[784] the pixels of one image as a Digit takes them: a copy."""
    whole = 255 if rows.dtype.kind == "u" else 1
    ink: Float32 = np.divide(rows.pixels[row], whole, dtype=np.float32)
    return ink


def _is_shaded(console: Console, options: ConsoleOptions) -> bool:
    return console.color_system is not None and not console.no_color and not options.ascii_only


def _square(values: Float32) -> Float32:
    return values.reshape(SIDE_PIXELS, SIDE_PIXELS).astype(np.float32, copy=False)


def _color(channels: Float32) -> Color:
    red, green, blue = channels.round().clip(0, 255)
    return Color.from_rgb(red, green, blue)

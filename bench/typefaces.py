"""The digits of the typefaces that this machine has, as they are printed.

Those of PACKAGES are free, and Debian has them all: `apt-get install` brings them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

PACKAGES = (
    *("fonts-b612", "fonts-cantarell", "fonts-comfortaa", "fonts-crosextra-caladea"),
    *("fonts-crosextra-carlito", "fonts-croscore", "fonts-dejavu", "fonts-ebgaramond"),
    *("fonts-firacode", "fonts-freefont-ttf", "fonts-hack", "fonts-inconsolata", "fonts-junicode"),
    *("fonts-lato", "fonts-liberation", "fonts-linuxlibertine", "fonts-lmodern", "fonts-noto-core"),
    *("fonts-noto-mono", "fonts-open-sans", "fonts-roboto-unhinted", "fonts-texgyre"),
    "fonts-urw-base35",
)

FOLDERS = (Path("/usr/share/fonts"), Path("/usr/share/texmf/fonts"))

NO_TEXT = {
    "D050000L": "dingbats",
    "Linux Biolinum Keyboard O": "keys of a keyboard",
    "Linux Libertine Initials O": "ornamented initials",
    "Noto Sans Symbols": "symbols",
    "Noto Sans Symbols2": "symbols",
    "Standard Symbols PS": "symbols",
    "TeX Gyre Chorus": "a chancery hand",
    "Z003": "a chancery hand",
}
"""Families that are no ordinary printed text, and what they are."""

_CHOSEN_ON = """
Arimo, B612 Mono, Caladea, Carlito, Cousine, DejaVu Sans, DejaVu Serif, Fira Code, FreeSans,
Hack, Junicode Two Beta, Latin Modern Mono, Latin Modern Mono Light, Latin Modern Mono Prop,
Latin Modern Mono Slanted, Latin Modern Roman Caps, Latin Modern Roman Dunhill,
Latin Modern Roman Unslanted, Latin Modern Sans Demi Cond, Lato, Liberation Sans,
Liberation Serif, Linux Libertine Display O, Linux Libertine O, Nimbus Roman,
Nimbus Sans Narrow, Noto Mono, Noto Nastaliq Urdu, Noto Sans Bengali, Noto Sans Display,
Noto Sans Gurmukhi, Noto Sans Malayalam, Noto Sans Mono, Noto Sans Sinhala, Noto Serif,
Noto Serif Devanagari, Noto Serif Gujarati, Noto Serif Kannada, Noto Serif Malayalam,
Noto Serif Tamil, Noto Serif Telugu, Open Sans, P052, Roboto Condensed, TeX Gyre Adventor,
TeX Gyre Cursor, TeX Gyre Heros Cn, TeX Gyre Schola, Tinos, URW Gothic
"""

CHOSEN_ON = frozenset(name.strip() for name in _CHOSEN_ON.split(","))
"""Families on which the numbers in `prepare_image` were chosen: every other one of a day's list."""

_SUFFIXES = (".otf", ".ttf")

_DIGITS = "0123456789"

_EM_PIXELS = 200

_CANVAS_PIXELS = 400

_SAMPLE_EM_PIXELS = 24

_UNKNOWN = "\U0010ffff"
"""A character that no face has: what is drawn for it is drawn for all that are missing."""

Ink = npt.NDArray[np.float32]
"""[400, 400] how much of each pixel is ink: 0 to 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Typeface:
    """One weight and slope of a family."""

    family: str
    style: str
    path: Path

    @property
    def is_text(self) -> bool:
        """Whether ordinary text is printed with it."""
        return self.family not in NO_TEXT

    def print_digit(self, digit: int) -> Ink:
        """One of 0 to 9 in the middle of a canvas."""
        return _print(self._load(_EM_PIXELS), str(digit), _CANVAS_PIXELS)

    def sample(self) -> bytes | None:
        """All ten in small, to tell faces apart; None where it lacks any of them."""
        font = self._load(_SAMPLE_EM_PIXELS)
        printed = [_print(font, each, _SAMPLE_EM_PIXELS * 2).tobytes() for each in _DIGITS]
        missing = _print(font, _UNKNOWN, _SAMPLE_EM_PIXELS * 2).tobytes()
        return None if missing in printed else b"".join(printed)

    def _load(self, em_pixels: int) -> ImageFont.FreeTypeFont:
        return ImageFont.truetype(str(self.path), em_pixels)


def find_typefaces(folders: Iterable[Path] = FOLDERS) -> list[Typeface]:
    """Those with roman digits, in order of their names; of those that print the same, the first."""
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in _SUFFIXES]
    faces = sorted(map(_read, files), key=lambda face: (face.family, face.style, face.path.name))
    different = {sample: face for face in reversed(faces) if (sample := face.sample())}
    return sorted(different.values(), key=faces.index)


def _read(path: Path) -> Typeface:
    family, style = ImageFont.truetype(str(path), 1).getname()
    return Typeface(family=family or path.stem, style=style or "", path=path)


def _print(font: ImageFont.FreeTypeFont, character: str, side: int) -> Ink:
    image = Image.new("L", (side, side))
    ImageDraw.Draw(image).text((side / 2, side / 2), character, 255, font, anchor="mm")
    return np.asarray(image, np.float32) / 255

"""Paper that a digit is drawn on, and a camera that looks at it."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Ink = npt.NDArray[np.float32]
"""[H, W] how much of each pixel is ink: 0 to 1."""

Picture = npt.NDArray[np.uint8]
"""[H, W] brightness."""


def dark_on_white(ink: Ink) -> Picture:
    """As a drawing program has it."""
    return _round(255 * (1 - ink))


def light_on_dark(ink: Ink) -> Picture:
    """As a page with a dark theme has it."""
    return _round(255 * ink)


def on_grey_paper(ink: Ink, random: np.random.Generator) -> bytes:
    """A JPEG of it on uneven grey paper: light from one side, blotches, blur, grain, faint ink."""
    height, width = ink.shape
    paper = random.uniform(130, 240) * (1 - random.uniform(0, 0.4) * _slope(height, width, random))
    paper = paper * (1 + random.uniform(0, 0.06) * _blotches(height, width, random))
    strength = random.uniform(0.35, 0.85)
    return _photograph(ink, paper, strength, random)


def in_sharp_shadow(ink: Ink, random: np.random.Generator) -> bytes:
    """A JPEG of it on white paper with the shadow of something straight across it."""
    height, width = ink.shape
    edge = random.uniform(0.3, 0.7)
    is_shaded = _slope(height, width, random) > edge
    paper = np.where(is_shaded, random.uniform(0.5, 0.8), 1) * random.uniform(200, 240)
    return _photograph(ink, paper, 0.7, random)


def _photograph(ink: Ink, paper: Ink, strength: float, random: np.random.Generator) -> bytes:
    blurred = Image.fromarray(_round(255 * ink)).filter(
        ImageFilter.GaussianBlur(random.uniform(0.3, 1.5))
    )
    light = paper * (1 - strength * np.asarray(blurred, np.float32) / 255)
    grain = random.normal(0, random.uniform(2, 10), ink.shape)
    file = io.BytesIO()
    quality = int(random.integers(50, 95))
    Image.fromarray(_round(light + grain)).save(file, "JPEG", quality=quality)
    return file.getvalue()


def _slope(height: int, width: int, random: np.random.Generator) -> Ink:
    """From 0 at one side to 1 at the opposite, in any direction."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = random.uniform(0, 2 * np.pi)
    slope = np.cos(angle) * x + np.sin(angle) * y
    return (slope - slope.min()) / np.ptp(slope)


def _blotches(height: int, width: int, random: np.random.Generator) -> Ink:
    coarse = random.normal(0, 1, (5, 5)).astype(np.float32)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _round(grey: npt.NDArray[np.floating]) -> Picture:
    return np.asarray(grey.round().clip(0, 255), np.uint8)

"""The ink in a picture: what stands out from its ground, light or dark, evenly lit or not."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from flatdense_client._errors import InvalidInput
from flatdense_client._images.pictures import Grey, resize, shrink

FAINTEST_INK = 24.0
"""The least difference from the ground, of 255, that is ink and not grain."""

_GRAIN_REACH = 5.0
"""How many times the median grain the strongest grain may be."""

_FAINTEST_PART = 0.3
"""Below which part of its strength nothing is ink: where a stroke ends."""

_GROUND_PART = 0.5
"""Below which part of the strength of the ink the ground may differ from place to place."""

_CONTRAST = 1.5
"""How many times as strong as the strongest grain ink is, at least."""

_FULL_PART = 0.7
"""From which part of its strength ink is full."""

_BLOTCHES = 8
"""Into how many cells the longest side is cut to tell the blotches of the paper."""

_LEAST_GROUND = np.float32(0.1)
"""A cell with less ground in it than this does not say what the ground is there."""

_SHADE = 64
"""How far the light on the ground may differ, of 255, from its middle."""

_STROKE_PART = 4
"""The widest stroke that is found in a sharp shadow: the longest side, divided by this."""

_BORDER_PART = 0.05
"""How much of the border may be ink before a sharp shadow is suspected."""

_SHADOW_RUN = 0.9
"""How much of a shadow's share of the border is in one piece, at least."""

_FULL_INK = 255


def find_ink(grey: Grey, *, is_dark: bool | None = None) -> tuple[Grey, bool]:
    """How far each pixel stands out from the ground, and whether the ink is darker than it.

    Full ink is 255, and what is no ink is 0. `is_dark` says which ink to look for, where it is
    known.

    Raises InvalidInput: nothing stands out.
    """
    difference = grey - _smooth_ground(grey)
    rough, found = (_stand_out(each, is_dark=is_dark) for each in (difference, _level(difference)))
    part = 1.0 if rough is None else _border_part(rough[0])
    if part > _BORDER_PART:
        in_shadow = None if is_dark is False else _find_in_shadow(grey, part / 2)
        # Where as much is on the border as before, it is a digit that fills the picture.
        found = in_shadow or (found if rough and not _is_shadow(rough[0]) else None)
    if found is None:
        raise blank()
    return found


def border(grey: Grey) -> Grey:
    """The outermost pixels, on round the picture."""
    return np.concatenate([grey[0], grey[1:, -1], grey[-1, -2::-1], grey[-2:0:-1, 0]])


def blank() -> InvalidInput:
    """The error for a picture without ink."""
    return InvalidInput("the picture is blank: no ink stands out from its ground")


def _stand_out(
    difference: Grey, *, is_dark: bool | None = None, contrast: float = _CONTRAST
) -> tuple[Grey, bool] | None:
    """The ink and whether it is dark; None where none is `contrast` times what grain may be."""
    light, dark = difference.clip(min=0), (-difference).clip(min=0)
    if is_dark is None:  # blotches are wider than strokes, and weaker
        is_dark = bool(np.power(light, 3).sum() <= np.power(dark, 3).sum())
    ink = dark if is_dark else light
    grain = _grain(difference)
    strength = _strength(ink, grain)
    if strength < max(FAINTEST_INK, contrast * grain):
        return None
    floor = max(grain, _FAINTEST_PART * strength)
    full = _FULL_PART * strength
    return ((ink - floor) / (full - floor)).clip(0, 1) * np.float32(_FULL_INK), is_dark


def _grain(difference: Grey) -> float:
    """What the strongest grain of paper and sensor may be."""
    # The median, for ink that touches the border is not grain.
    return _GRAIN_REACH * float(np.median(np.abs(border(difference))))


def _strength(ink: Grey, grain: float) -> float:
    """How strong the ink is: the mean, for which each pixel counts as much as it is strong."""
    strong = ink[ink > grain]
    return float(np.square(strong).sum() / strong.sum()) if strong.size else 0.0


def _level(difference: Grey) -> Grey:
    """Without what the ground is near each pixel, between the strokes: blotches of the paper."""
    strength, grain = np.abs(difference), _grain(difference)
    ground = strength <= max(grain, _GROUND_PART * _strength(strength, grain))
    # The edge of a stroke is blurred.
    ground[1:-1] &= ground[:-2] & ground[2:]
    ground[:, 1:-1] &= ground[:, :-2] & ground[:, 2:]
    weight = ground.astype(np.float32)
    coarse = shrink(difference * weight, _BLOTCHES) / (shrink(weight, _BLOTCHES) + _LEAST_GROUND)
    height, width = difference.shape
    return difference - resize(coarse, width, height, "BICUBIC")


def _smooth_ground(grey: Grey) -> Grey:
    """A smooth surface through the picture's border: a soft shadow across the paper is ground."""
    height, width = grey.shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1)
    edge, brightness = border(terms), border(grey)
    # A stroke that runs off the picture is on the border too: the surface is drawn again without
    # what stands out.
    near = np.abs(brightness - np.median(brightness)) <= _SHADE
    surface = np.linalg.lstsq(edge[near], brightness[near], rcond=None)[0]
    return np.asarray(terms @ surface, np.float32)


def _find_in_shadow(grey: Grey, most_on_border: float) -> tuple[Grey, bool] | None:
    """Dark ink on paper where the edge of a shadow is sharp: what is too narrow to be ground.

    None where more of the border is ink than that, or nothing stands free of it.
    """
    reach = max(grey.shape) // _STROKE_PART | 1  # odd: as far to both sides
    paper = _spread(_spread(grey, reach, np.maximum), reach, np.minimum)
    # Ink takes the same part of much light as of little.
    difference = (grey / paper.clip(min=1) - 1) * np.float32(_FULL_INK)
    # Grain alone parts the paper from the middle of it, and more so in the dark.
    found = _stand_out(difference - np.median(difference), contrast=3.0)
    if found is None or _border_part(found[0]) > most_on_border:
        return None
    ink, is_dark = found
    free = ink * ~_reach_border(ink > 0)  # where a shadow leaves the picture, its edge is left over
    return (free, is_dark) if is_dark and free.max() > _FULL_INK / 4 else None


def _is_shadow(ink: Grey) -> bool:
    """Whether it is wider than strokes are, and enters the picture at one place alone.

    A digit that fills the picture touches its border at several.
    """
    reach = max(ink.shape) // _STROKE_PART | 1
    within = np.pad((ink > 0).astype(np.float32), reach // 2)
    if not _spread(within, reach, np.minimum).any():
        return False
    inked = border(ink) > 0
    ground = np.flatnonzero(~inked)
    runs = np.diff(ground, append=ground[:1] + inked.size) - 1
    return bool(runs.max(initial=0) >= _SHADOW_RUN * inked.sum())


def _border_part(ink: Grey) -> float:
    return float(np.mean(border(ink) > 0))


def _reach_border(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """What hangs together with the border."""
    reached = mask.copy()
    reached[1:-1, 1:-1] = False
    while True:
        grown = np.pad(reached, 1)
        grown = grown[:-2] | grown[1:-1] | grown[2:]
        grown = (grown[:, :-2] | grown[:, 1:-1] | grown[:, 2:]) & mask
        if np.array_equal(grown, reached):
            return reached
        reached = grown


def _spread(grey: Grey, reach: int, choose: Callable[[Grey, Grey], Grey]) -> Grey:
    """The most or the least, as `choose` says, of the `reach` pixels square around each."""
    for axis in (0, 1):
        lines = np.moveaxis(grey, axis, 0)
        lines = np.pad(lines, [(reach // 2, reach // 2), (0, 0)], mode="edge")
        seen = 1
        while seen < reach:
            step = min(seen, reach - seen)
            lines = choose(lines[:-step], lines[step:])
            seen += step
        grey = np.moveaxis(lines, 0, axis)
    return grey

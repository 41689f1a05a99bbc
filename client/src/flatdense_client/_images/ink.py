"""The ink in a picture: what stands out from its ground, light or dark, evenly lit or not."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from flatdense_client._errors import InvalidInput
from flatdense_client._images.pictures import Grey

FAINTEST_INK = 24.0
"""The least difference from the ground, of 255, that is ink and not grain."""

_GRAIN_REACH = 5.0
"""How many times the median grain the strongest grain may be."""

_SHADE = 64
"""How far the light on the ground may differ, of 255, from its middle."""

_STROKE_PART = 4
"""The widest stroke that is found in a sharp shadow: the longest side, divided by this."""

_BORDER_PART = 0.05
"""How much of the border may be ink before a sharp shadow is suspected."""

_FULL_INK = 255


def find_ink(grey: Grey) -> tuple[Grey, bool]:
    """How far each pixel stands out from the ground, and whether the ink is darker than it.

    Full ink is 255, and what is no ink is 0.

    Raises InvalidInput: nothing stands out.
    """
    found = _stand_out(grey - _smooth_ground(grey))
    part = 1.0 if found is None else _border_part(found[0])
    if part > _BORDER_PART:
        # Where as much is on the border as before, it is a digit that fills the picture.
        found = _find_in_shadow(grey, part / 2) or found
    if found is None:
        raise blank()
    return found


def border(grey: Grey) -> Grey:
    """The outermost pixels."""
    return np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])


def blank() -> InvalidInput:
    """The error for a picture without ink."""
    return InvalidInput("the picture is blank: no ink stands out from its ground")


def _stand_out(difference: Grey, contrast: float = 2.0) -> tuple[Grey, bool] | None:
    """The ink and whether it is dark; None where none is `contrast` times what grain may be."""
    light, dark = difference.clip(min=0), (-difference).clip(min=0)
    is_dark = bool(np.square(light).sum() <= np.square(dark).sum())
    ink = dark if is_dark else light
    # The median, for ink that touches the border is not grain.
    grain = float(np.median(np.abs(border(difference))))
    strongest = float(ink.max())
    floor = max(_GRAIN_REACH * grain, strongest / 8)
    if strongest < max(FAINTEST_INK, contrast * floor):
        return None
    return ((ink - floor) / (strongest - floor)).clip(0, 1) * np.float32(_FULL_INK), is_dark


def _smooth_ground(grey: Grey) -> Grey:
    """A smooth surface through the picture's border: a soft shadow across the paper is ground."""
    height, width = grey.shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1)
    edge = np.concatenate([terms[0], terms[-1], terms[1:-1, 0], terms[1:-1, -1]])
    brightness = border(grey)
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
    found = _stand_out(difference - np.median(difference), contrast=4.0)
    if found is None or _border_part(found[0]) > most_on_border:
        return None
    ink, is_dark = found
    free = ink * ~_reach_border(ink > 0)  # where a shadow leaves the picture, its edge is left over
    return (free, is_dark) if is_dark and free.max() > _FULL_INK / 4 else None


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

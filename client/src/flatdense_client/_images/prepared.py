"""An image in MNIST's form, and how a picture became it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PreparedImage:
    """An image in MNIST's form, and what was done to bring a picture to it.

    Immutable; equal only to itself. `Client.classify` takes it, and so does `numpy.asarray`.
    Pictures are measured upright and in their own pixels, x to the right and y down.
    """

    pixels: npt.NDArray[np.uint8]
    """[28, 28], read-only: 0 is ground, 255 is full ink."""
    source_size: tuple[int, int]
    """The width and the height of the picture."""
    source_mode: str
    """How its pixels were stored, in Pillow's words, such as `RGB`, `L` or `RGBA`. What was
    transparent was laid over white, or white ink over black."""
    is_turned: bool
    """Whether it was turned upright, as its EXIF orientation asks."""
    as_is: bool
    """Whether it was in MNIST's form already: then nothing more was done."""
    is_inverted: bool
    """Whether its ink was darker than its ground."""
    crop_box: tuple[int, int, int, int]
    """What was kept of it: left, top, right and bottom, the latter two exclusive."""
    thickened: float
    """By how many of the picture's pixels its strokes were made thicker: 0 where the pen was thick
    enough."""
    scale: float
    """By how much the kept and thickened part was scaled: below 1 it was made smaller."""
    shift: tuple[float, float]
    """How far right and down of the middle its middle was put, in pixels of the 28, so that the
    centre of its mass is on the pixel (14, 14)."""

    def __array__(
        self,
        dtype: npt.DTypeLike | None = None,
        copy: bool | None = None,  # noqa: FBT001  # NumPy's protocol
    ) -> npt.NDArray[Any]:
        wanted = np.dtype(np.uint8 if dtype is None else dtype)
        if copy is False and wanted != self.pixels.dtype:
            msg = f"uint8 does not become {wanted} without a copy"
            raise ValueError(msg)
        return self.pixels.astype(wanted, copy=bool(copy))

    def __repr__(self) -> str:
        return f"PreparedImage({', '.join(self.steps)})"

    @property
    def steps(self) -> tuple[str, ...]:
        """What the picture was, and what was done to it in turn: a few words for each."""
        width, height = self.source_size
        steps = [f"{width}x{height} {self.source_mode}"]
        if self.is_turned:
            steps.append("turned upright")
        if self.as_is:
            return (*steps, "as it is")
        if self.is_inverted:
            steps.append("inverted")
        left, top, right, bottom = self.crop_box
        right_by, down_by = self.shift
        steps.append(f"cropped to x {left}..{right} and y {top}..{bottom}")
        if self.thickened:
            steps.append(f"thickened by {self.thickened:.3g}")
        return (
            *steps,
            f"scaled by {self.scale:.3g}",
            f"shifted by ({right_by:+g}, {down_by:+g})",
        )

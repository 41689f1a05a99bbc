"""The test images that the network finds hardest, drawn."""

import math

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from flatdense_training.data.pixels import FULL, SIDE
from flatdense_training.judge.hardest import HardImage
from flatdense_training.report.notation import percent
from flatdense_training.report.pictures.palette import Palette
from flatdense_training.report.pictures.picture import WIDTH_IN, Picture
from flatdense_training.report.report import Report

COLUMNS = 5
GAP = 3
"""Pixels between two images."""
CAPTION = 18
"""Pixels below an image, for three lines of words."""
LINE = 5
"""Pixels from one line of words to the next."""
LONGEST_NAME = 12
"""Letters of a class's name below an image."""


def hardest_images(report: Report) -> Picture:
    """The images of `report.hardest`, with what they are and what was answered."""
    hardest = report.hardest
    names = [each.name for each in report.classes]
    rows = math.ceil(len(hardest) / COLUMNS)
    wide, high = SIDE + GAP, SIDE + CAPTION

    def draw(figure: Figure, palette: Palette) -> None:
        axes = figure.subplots()
        sheet = np.zeros((rows * high, COLUMNS * wide - GAP), np.uint8)
        for place, image in enumerate(hardest):
            top, left = place // COLUMNS * high, place % COLUMNS * wide
            sheet[top : top + SIDE, left : left + SIDE] = np.frombuffer(
                image.pixels, np.uint8
            ).reshape(SIDE, SIDE)
            axes.plot(
                np.array([0, SIDE, SIDE, 0, 0]) + left - 0.5,
                np.array([0, 0, SIDE, SIDE, 0]) + top - 0.5,
                color=palette.grid,
                linewidth=0.8,
            )
            for line, (words, colour) in enumerate(captions(image, names, palette)):
                axes.text(
                    left + SIDE / 2,
                    top + SIDE + 1 + line * LINE,
                    words,
                    ha="center",
                    va="top",
                    size=7,
                    color=colour,
                )
        colours = LinearSegmentedColormap.from_list("ink", [palette.ground, palette.ink])
        axes.imshow(sheet, cmap=colours, vmin=0, vmax=FULL, interpolation="nearest")
        axes.set_axis_off()

    return Picture(
        name="hardest_images",
        title="The hardest test images",
        reading=(
            "Below each image stands what it is, and then what the network answered and how sure "
            "it was; the one whose right class got least comes first."
        ),
        alt=f"{len(hardest)} images of {SIDE} by {SIDE} pixels. "
        + " ".join(f"{names[image.label]} answered as {names[image.answer]}." for image in hardest),
        draw=draw,
        height_in=WIDTH_IN * rows * high / (COLUMNS * wide - GAP),
    )


def captions(image: HardImage, names: list[str], palette: Palette) -> list[tuple[str, str]]:
    """The lines below an image, with their colours."""
    colour = palette.first if image.label == image.answer else palette.second
    return [
        (f"is {shorten(names[image.label])}", palette.ink),
        (f"says {shorten(names[image.answer])}", colour),
        (f"{percent(image.confidence, 0)} sure", palette.muted),
    ]


def shorten(name: str) -> str:
    """The name, or its beginning."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"

"""Which classes are taken for which."""

from functools import partial

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, PowerNorm, to_hex, to_rgb
from matplotlib.figure import Figure

from flatdense_training.report.pictures.palette import Palette
from flatdense_training.report.pictures.picture import Picture
from flatdense_training.report.report import Report

SHORT_NAME = 2
"""Letters; longer names of columns are written aslant."""
GAMMA = 2.2
"""From a colour's numbers to light."""
EYE = (0.2126, 0.7152, 0.0722)
"""How much of what is seen as light is red, green and blue."""


def confusion_matrix_picture(report: Report) -> Picture:
    """The counts of the confusion matrix; the colour is of mistakes alone."""
    counts = np.asarray(report.confusion)
    names = [each.name for each in report.classes]
    mistakes = counts.copy()
    np.fill_diagonal(mistakes, 0)
    most = int(mistakes.max())

    def draw(figure: Figure, palette: Palette) -> None:
        axes = figure.subplots()
        colours = LinearSegmentedColormap.from_list("mistakes", [palette.ground, palette.second])
        scale = PowerNorm(0.8, vmin=0, vmax=max(most, 1))
        axes.imshow(mistakes, cmap=colours, norm=scale)
        for (label, answer), count in np.ndenumerate(counts):
            if label == answer:
                axes.fill_between(
                    [answer - 0.5, answer + 0.5], label - 0.5, label + 0.5, color=palette.grid
                )
            if count:
                cell = palette.grid if label == answer else to_hex(colours(scale(count)))
                axes.text(
                    answer,
                    label,
                    str(count),
                    ha="center",
                    va="center",
                    size=8,
                    weight="bold" if label == answer else "normal",
                    color=max(palette.ink, palette.ground, key=partial(contrast, cell)),
                )
        places = range(len(names))
        axes.set_yticks(places, names)
        axes.set_xticks(places, names)
        if max(map(len, names)) > SHORT_NAME:
            axes.tick_params("x", rotation=40)
            for text in axes.get_xticklabels():
                text.set(ha="right", rotation_mode="anchor")
        axes.set_ylabel("what it is")
        axes.set_xlabel("what the network answers")
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)

    label, answer = np.unravel_index(mistakes.argmax(), mistakes.shape)
    worst = (
        f"The commonest mistake: {names[label]} taken for {names[answer]}, {most} times."
        if most
        else "There is no mistake."
    )
    return Picture(
        name="confusion_matrix",
        title="What it takes for what",
        reading=(
            "A row is what images are, a column what the network answers: grey cells on the "
            f"diagonal count right answers, orange ones mistakes. {worst}"
        ),
        alt=(
            f"A table of {len(names)} by {len(names)} counts: {int(counts.trace()):,} answers on "
            f"the diagonal are right, {int(mistakes.sum()):,} beside it are wrong. {worst}"
        ),
        draw=draw,
        height_in=4.5,
    )


def contrast(one: str, other: str) -> float:
    """How well two colours are told apart: from 1, the same, to 21, black and white (WCAG 2)."""
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """How light a colour is to the eye: from 0 to 1."""
    return float(np.dot(np.power(to_rgb(colour), GAMMA), EYE))

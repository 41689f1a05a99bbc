"""How much of a mishap the network bears."""

from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flatdense_training.judge.robustness import Disturbed
from flatdense_training.report.notation import percent
from flatdense_training.report.pictures.palette import Palette
from flatdense_training.report.pictures.picture import Picture, show_percent
from flatdense_training.report.report import Report

AXIS_LABELS = {
    "shift": "moved by, pixels",
    "rotation": "turned by, degrees",
    "noise": "noise, % of full ink",
    "contrast": "contrast left, %",
}

MOST_NUMBERS = 8
"""Along one axis of half a picture's width."""


def robustness_curves(report: Report) -> Picture:
    """A curve for each disturbance that has amounts, and two bars for inversion."""
    kinds = {
        name: list(steps)
        for name, steps in groupby(report.robustness, key=lambda step: step.disturbance)
    }
    guessing = 1 / len(report.classes)

    def draw(figure: Figure, palette: Palette) -> None:
        panels = figure.subplot_mosaic(
            [["shift", "rotation"], ["noise", "contrast"], ["inversion", "inversion"]],
            height_ratios=[1, 1, 0.4],
        )
        for name, label in AXIS_LABELS.items():
            draw_curve(panels[name], kinds[name], palette)
            panels[name].axhline(guessing, color=palette.muted, linewidth=1, linestyle=":")
            panels[name].set(title=name.capitalize(), xlabel=label)
        draw_bars(panels["inversion"], kinds["inversion"], palette)

    worst = {name: steps[-1] for name, steps in kinds.items()}
    return Picture(
        name="robustness",
        title="What it bears",
        reading=(
            "Each dot is the share of test images still recognised after all of them were "
            "disturbed by so much; further right is worse, and the dotted line is guessing."
        ),
        alt="Accuracy on disturbed test images. "
        + " ".join(
            f"{name.capitalize()} {step.amount:g} {step.unit}: {percent(step.accuracy, 1)}."
            for name, step in worst.items()
        ),
        draw=draw,
        height_in=5.6,
    )


def draw_curve(axes: Axes, steps: list[Disturbed], palette: Palette) -> None:
    """Accuracy by amount; the untouched images are at the left."""
    amounts = [step.amount for step in steps]
    axes.plot(
        amounts,
        [step.accuracy for step in steps],
        color=palette.first,
        marker="o",
        markersize=4,
        clip_on=False,
    )
    margin = abs(amounts[-1] - amounts[0]) * 0.06
    if amounts[0] > amounts[-1]:
        margin = -margin
    axes.set(ylim=(0, 1), xlim=(amounts[0] - margin, amounts[-1] + margin))
    axes.set_xticks(spread(amounts))
    show_percent(axes.yaxis)


def spread(amounts: list[float]) -> list[float]:
    """Those of the amounts that have room for their number."""
    room = abs(amounts[-1] - amounts[0]) / MOST_NUMBERS
    chosen = amounts[:1]
    for amount in amounts[1:]:
        if abs(amount - chosen[-1]) >= room:
            chosen.append(amount)
    return chosen


def draw_bars(axes: Axes, steps: list[Disturbed], palette: Palette) -> None:
    """Accuracy as it is, and inverted."""
    untouched, inverted = (step.accuracy for step in steps)
    bars = axes.barh(
        ["as they are", "inverted"],
        [untouched, inverted],
        color=[palette.first, palette.second],
        height=0.6,
    )
    axes.bar_label(
        bars,
        [percent(value, 1) for value in (untouched, inverted)],
        padding=3,
        color=palette.ink,
    )
    axes.set(xlim=(0, 1.12), title="Ink and ground swapped")
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    show_percent(axes.xaxis)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.tick_params("y", length=0, labelcolor=palette.ink)

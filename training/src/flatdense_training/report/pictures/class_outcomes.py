"""How good the network is at each class."""

from matplotlib.figure import Figure

from flatdense_training.report.notation import percent
from flatdense_training.report.pictures.palette import Palette
from flatdense_training.report.pictures.picture import Picture, legend_above, show_percent
from flatdense_training.report.report import Report

APART = 0.17
"""Between the two dots of a class, of the room it has."""


def class_outcomes(report: Report) -> Picture:
    """Precision and recall of each class with their intervals."""
    classes = report.classes
    places = range(len(classes))

    def draw(figure: Figure, palette: Palette) -> None:
        axes = figure.subplots()
        for name, label, colour, marker, above in (
            ("recall", "found (recall)", palette.first, "o", APART),
            ("precision", "trusted (precision)", palette.second, "D", -APART),
        ):
            values = [getattr(each, name) for each in classes]
            lows = [getattr(each, f"{name}_low") for each in classes]
            highs = [getattr(each, f"{name}_high") for each in classes]
            heights = [place - above for place in places]
            axes.hlines(heights, lows, highs, color=colour, linewidth=1.6)
            axes.plot(values, heights, marker, label=label, color=colour, markersize=4.5)
        axes.set_yticks(places, [each.name for each in classes])
        axes.set_ylim(len(classes) - 0.5, -0.5)
        show_percent(axes.xaxis)
        axes.set_xlabel("of the images, or of the answers")
        axes.tick_params("y", length=0, labelcolor=palette.ink)
        axes.grid(visible=False, axis="y")
        legend_above(axes)

    weakest = min(classes, key=lambda each: each.recall)
    return Picture(
        name="class_outcomes",
        title="Class by class",
        reading=(
            "A round dot says how many images of a class are found, a diamond how many answers "
            "naming it are right; the true value lies on the line with 95 % confidence, so classes "
            "whose lines overlap hardly differ."
        ),
        alt=(
            f"A dot chart of recall and precision of {len(classes)} classes. The lowest recall "
            f"has {weakest.name}: {percent(weakest.recall)}."
        ),
        draw=draw,
        height_in=4.6,
    )

"""How the network got better from pass to pass."""

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from flatdense_training.report.notation import percent
from flatdense_training.report.pictures.palette import Palette
from flatdense_training.report.pictures.picture import (
    Picture,
    legend_above,
    show_percent,
    show_plain,
)
from flatdense_training.report.report import Report

FEW_EPOCHS = 20
"""Up to so many, each has a dot."""


def learning_curves(report: Report) -> Picture:
    """Loss and accuracy of each epoch, on the images learnt from and on held-out ones."""
    epochs = report.epochs
    numbers = [epoch.number for epoch in epochs]
    marker = "o" if len(epochs) <= FEW_EPOCHS else None

    def draw(figure: Figure, palette: Palette) -> None:
        above, below = figure.subplots(2, 1, sharex=True)
        panels = (
            (above, "Loss", "loss", "validation_loss"),
            (below, "Accuracy", "accuracy", "validation_accuracy"),
        )
        for axes, title, training, validation in panels:
            for name, label, colour in (
                (training, "training", palette.second),
                (validation, "validation", palette.first),
            ):
                values = [getattr(epoch, name) for epoch in epochs]
                axes.plot(numbers, values, label=label, color=colour, marker=marker, markersize=3.5)
            axes.set_title(title)
        above.set_yscale("log")
        above.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        above.yaxis.set_minor_locator(NullLocator())
        show_plain(above.yaxis)
        above.set_ylabel("nats an image")
        below.set_ylabel("right answers")
        show_percent(below.yaxis)
        below.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        below.set_xlabel("pass over the training images")
        legend_above(above)

    last = epochs[-1]
    return Picture(
        name="learning_curves",
        title="How it learnt",
        reading=(
            "Loss should fall and accuracy rise from left to right; where the two lines part and "
            "validation gets worse, the network has begun to learn the training images by heart."
        ),
        alt=(
            f"Two line charts over {len(epochs)} passes. After the last one the training loss is "
            f"{last.loss:.4f} and its accuracy {percent(last.accuracy)}, the validation loss "
            f"{last.validation_loss:.4f} and its accuracy {percent(last.validation_accuracy)}."
        ),
        draw=draw,
        height_in=4.6,
    )

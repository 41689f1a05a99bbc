"""What is gained by not answering where confidence is low."""

from matplotlib.figure import Figure

from flatdense_training.judge.rejection import Rejection
from flatdense_training.report.notation import percent
from flatdense_training.report.pictures.palette import Palette
from flatdense_training.report.pictures.picture import Picture, show_percent
from flatdense_training.report.report import Report

SURE = 0.9


def rejection_curve(report: Report) -> Picture:
    """Accuracy above, and the share of images that is answered below, by threshold."""
    steps = report.rejection
    thresholds = [step.threshold for step in steps]

    def draw(figure: Figure, palette: Palette) -> None:
        above, below = figure.subplots(2, 1, sharex=True)
        above.plot(thresholds, [step.accuracy for step in steps], color=palette.first)
        above.set(title="Right, of what is answered", ylabel="right")
        below.plot(thresholds, [step.answered for step in steps], color=palette.second)
        below.set(title="Answered, of all images", ylabel="answered", xlim=(0, 1))
        below.set_xlabel("answers less sure than this are withheld")
        for axis in (above.yaxis, below.yaxis, below.xaxis):
            show_percent(axis)

    near = nearest(steps, SURE)
    gain = (
        f"Withholding what is less than {percent(near.threshold, 0)} sure leaves "
        f"{percent(near.answered, 1)} of the images answered, and {percent(near.accuracy)} of "
        "those right."
    )
    return Picture(
        name="rejection",
        title="What caution buys",
        reading=(
            "Further right, only surer answers are given: more of them are right, and more images "
            f"are left without one. {gain}"
        ),
        alt=f"Two line charts over the threshold of confidence. {gain}",
        draw=draw,
        height_in=4.6,
    )


def nearest(steps: tuple[Rejection, ...], threshold: float) -> Rejection:
    """The step whose threshold is nearest."""
    return min(steps, key=lambda step: abs(step.threshold - threshold))

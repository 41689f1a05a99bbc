"""Whether the network is right as often as it claims."""

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from flatdense_training.judge.interval import wilson
from flatdense_training.report.notation import percent
from flatdense_training.report.pictures.palette import Palette
from flatdense_training.report.pictures.picture import Picture, show_percent, show_plain
from flatdense_training.report.report import Report

FEWEST = 0.5
"""Where the bars begin: one answer is to be seen, and a logarithmic axis has no 0."""


def reliability(report: Report) -> Picture:
    """The reliability diagram above, how many answers each bin has below."""
    bins = report.calibration.bins
    claimed = [each.confidence for each in bins]
    true = [each.accuracy for each in bins]

    def draw(figure: Figure, palette: Palette) -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        above.plot([0, 1], [0, 1], color=palette.muted, linewidth=1, linestyle=(0, (4, 3)))
        for each, at in zip(bins, claimed, strict=True):
            interval = wilson(round(each.accuracy * each.rows), each.rows)
            above.vlines(at, interval.low, interval.high, color=palette.first, linewidth=1.6)
        above.plot(claimed, true, "o", color=palette.first, markersize=5, clip_on=False)
        above.set(xlim=(0, 1.02), ylim=(0, 1.02), ylabel="is right", title="Claimed and true")
        show_percent(above.yaxis)
        below.bar(
            [each.low for each in bins],
            [each.rows for each in bins],
            width=[each.high - each.low for each in bins],
            align="edge",
            color=palette.first,
            edgecolor=palette.ground,
        )
        below.set_yscale("log")
        below.yaxis.set_major_locator(LogLocator(base=100))
        below.yaxis.set_minor_locator(NullLocator())
        show_plain(below.yaxis)
        below.set(xlabel="is this sure", ylabel="answers", ylim=(FEWEST, None))
        show_percent(below.xaxis)

    return Picture(
        name="reliability",
        title="Whether its confidence can be believed",
        reading=(
            "Dots on the dashed line are right as often as they claim, dots below it claim too "
            "much; a long line through a dot means that few answers were that sure, and the bars "
            "below count them."
        ),
        alt=(
            f"A reliability diagram of {len(bins)} bins. The expected calibration error is "
            f"{percent(report.calibration.ece)}."
        ),
        draw=draw,
        height_in=4.6,
    )

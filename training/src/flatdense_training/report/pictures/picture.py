"""A picture: what is drawn, and the words around it."""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from flatdense_training.report.pictures.palette import Palette

WIDTH_IN = 4.8
DOTS_PER_IN = 200
"""A picture is 960 dots wide: sharp on a phone, and as wide as half a page."""

COLOURS = 128
"""Of one file, which makes it a third as large. Edges stay smooth to the eye."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One figure of the report."""

    name: str
    """Of its file, without `.png`."""
    title: str
    reading: str
    """How to read it, for somebody who never saw one."""
    alt: str
    """What it shows, for somebody who does not see it."""
    draw: Callable[[Figure, Palette], None]
    height_in: float

    def render(self, palette: Palette) -> bytes:
        """The PNG. Equal pictures give equal bytes: there is no date in it.

        Not for two threads at once: matplotlib has one style for the whole process, and it is
        changed until this returns.
        """
        with mpl.rc_context(), warnings.catch_warnings():
            # A class may have a name in any script; the tables have it too.
            warnings.filterwarnings("ignore", message="Glyph .* missing")
            mpl.rcdefaults()  # whatever the user's own settings of matplotlib are
            mpl.rcParams.update(style(palette))
            figure = Figure((WIDTH_IN, self.height_in), DOTS_PER_IN, layout="constrained")
            self.draw(figure, palette)
            canvas: Any = FigureCanvasAgg(figure)  # its methods are not typed
            canvas.draw()
        image = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
        file = io.BytesIO()
        image.quantize(COLOURS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
        return file.getvalue()


def style(palette: Palette) -> dict[Any, Any]:
    """What all pictures have in common, in matplotlib's words."""
    return {
        "axes.axisbelow": True,
        "axes.edgecolor": palette.grid,
        "axes.facecolor": palette.ground,
        "axes.grid": True,
        "axes.labelcolor": palette.muted,
        "axes.labelsize": 9,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlecolor": palette.ink,
        "axes.titlelocation": "left",
        "axes.titlesize": 9.5,
        "figure.facecolor": palette.ground,
        "font.size": 9,
        "grid.color": palette.grid,
        "grid.linewidth": 0.8,
        "legend.frameon": False,
        "legend.labelcolor": palette.ink,
        "lines.linewidth": 1.8,
        "text.color": palette.ink,
        "text.parse_math": False,  # a class may be called $a$
        "xtick.color": palette.grid,
        "xtick.labelcolor": palette.muted,
        "ytick.color": palette.grid,
        "ytick.labelcolor": palette.muted,
    }


def show_percent(axis: Axis) -> None:
    """Fractions on this axis are written in percent."""
    axis.set_major_formatter(lambda value, _: f"{round(100 * value, 6):g} %")


def show_plain(axis: Axis) -> None:
    """Numbers on this logarithmic axis are written out, not as powers of ten."""
    for formatter in (axis.set_major_formatter, axis.set_minor_formatter):
        formatter(lambda value, _: f"{value:,.10g}")


def legend_above(axes: Axes, *, columns: int = 2) -> None:
    """The legend, where it hides nothing: between the title and the plot, at the right."""
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=columns, borderaxespad=0.1)

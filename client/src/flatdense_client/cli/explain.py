"""`flatdense explain FILE`: why the model says what it says of one image."""

from dataclasses import dataclass

import click
import numpy as np
import numpy.typing as npt
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from flatdense_client._errors import InvalidInput
from flatdense_client._images.pixels import Rows, check_array
from flatdense_client._images.prepared import PreparedImage
from flatdense_client._results.explanations import Explanation
from flatdense_client.cli.bars import Bar
from flatdense_client.cli.digit import AGAINST_STYLE, COLUMNS, FOR_STYLE, Digit, Legend, ink_of
from flatdense_client.cli.files import read_images
from flatdense_client.cli.options import Connection, connection_options
from flatdense_client.cli.programs import exact, exact_list, prepared_facts, write_json
from flatdense_client.cli.screen import plain, quiet_table, stdout_console

_TOP_PIXELS = 5
"""How many pixels are listed that speak for the class, and as many that speak against it."""

_TOP_UNITS = 10
"""How many of the hidden units are listed."""

_GAP_COLUMNS = 4

_ROOMY_COLUMNS = 72
"""From how many columns on two things stand side by side."""


@dataclass(frozen=True, kw_only=True)
class _Explained:
    """What is shown."""

    file: str
    index: int
    rows: Rows
    prepared: PreparedImage | None
    explanation: Explanation


@click.command()
@click.argument("file", type=click.Path(allow_dash=True), metavar="FILE")
@click.option(
    "--index",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    show_default=True,
    help="Which image of the file.",
)
@click.option(
    "--class-index",
    type=click.IntRange(min=0),
    metavar="N",
    show_default="the most probable one",
    help="The class that is taken apart.",
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object with all numbers.")
@connection_options
def explain(
    *,
    file: str,
    index: int,
    class_index: int | None,
    as_json: bool,
    connection: Connection,
) -> None:
    """Show why the model says what it says of one image.

    The probability of each class; what each pixel adds to the score of one class, or takes from it,
    drawn over the digit; and the strongest hidden units. FILE is as in `flatdense classify`.

    \b
    Examples:
      flatdense explain seven.png
      flatdense explain seven.png --class-index 1
      flatdense explain t10k-images-idx3-ubyte.gz --index 247
    """  # noqa: D301  # click's mark: these lines stay as they are
    shown = click.format_filename(file)
    rows, prepared = _read_rows(file, shown, index)
    with connection.open() as client:
        explanation = client.explain(rows.pixels[index], class_index=class_index)[0]
    explained = _Explained(
        file=shown, index=index, rows=rows, prepared=prepared, explanation=explanation
    )
    if as_json:
        _write(explained)
    else:
        _show(explained, stdout_console())


def _read_rows(file: str, shown: str, index: int) -> tuple[Rows, PreparedImage | None]:
    try:
        images = read_images(file)
        rows = check_array(np.asarray(images))
    except (InvalidInput, ImportError) as error:
        raise InvalidInput(f"{shown}: {error}") from None
    if index >= len(rows):
        raise InvalidInput(f"{shown}: there is no image {index}: it holds 0 to {len(rows) - 1}")
    return rows, images if isinstance(images, PreparedImage) else None


def _write(explained: _Explained) -> None:
    e = explained.explanation
    write_json(
        {
            "file": explained.file,
            "index": explained.index,
            "label": e.label,
            "class_index": e.class_index,
            "confidence": exact(e.confidence),
            "probabilities": exact_list(e.probabilities),
            "model_version": e.model_version,
            "prepared": prepared_facts(explained.prepared),
            "explained_label": e.explained_label,
            "explained_class": e.explained_class,
            "logits": exact_list(e.logits),
            "contributions": [exact_list(row) for row in e.contributions],
            "bias_contribution": exact(e.bias_contribution),
            "hidden": exact_list(e.hidden),
        }
    )


def _show(explained: _Explained, console: Console) -> None:
    e = explained.explanation
    is_one = len(explained.rows) == 1
    head = f"{plain(explained.file)}" + ("" if is_one else f", image {explained.index:,}")
    ink = ink_of(explained.rows, explained.index)
    picture = Group(Digit(ink, e.contributions), Legend(e.explained_label))
    console.print(Text(head, style="bold"))
    if explained.prepared is not None:
        console.print(", ".join(explained.prepared.steps), style="dim")
    console.print(_beside(picture, _probabilities(e, console), console))
    console.print()
    console.print(_sum(e))
    console.print()
    console.print(_beside(_pixels(e, console), _units(e.hidden, console), console))


def _beside(left: RenderableType, right: RenderableType, console: Console) -> RenderableType:
    """Both in one row, or one beneath the other where the screen is narrow."""
    if console.width < _ROOMY_COLUMNS:
        return Group(left, Text(), right)
    grid = Table.grid(padding=(0, _GAP_COLUMNS, 0, 0))
    grid.add_column(min_width=COLUMNS)
    grid.add_row(left, right)
    return grid


def _probabilities(e: Explanation, console: Console) -> Table:
    table = quiet_table(console)
    table.add_column("label", style="bold", overflow="fold")
    table.add_column("probability", justify="right", no_wrap=True)
    table.add_column("")
    for name, probability in zip(e.class_names, e.probabilities.tolist(), strict=True):
        table.add_row(Text(plain(name)), f"{probability:.2%}", Bar(probability))
    return table


def _sum(e: Explanation) -> Text:
    """The score of the class, and the terms that it is exactly made of."""
    gains, losses = e.contributions.clip(min=0).sum(), e.contributions.clip(max=0).sum()
    return Text.assemble(
        f"score of {plain(e.explained_label)}: ",
        (f"{e.logits[e.explained_class]:.2f}", "bold"),
        " = ",
        (f"{gains:+.2f}", FOR_STYLE),
        " and ",
        (f"{losses:+.2f}", AGAINST_STYLE),
        f" by pixels, {e.bias_contribution:+.2f} by biases",
    )


def _pixels(e: Explanation, console: Console) -> Table:
    table = quiet_table(console)
    for name in ("row", "column", "adds"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    pixels = e.top_pixels(e.contributions.size)
    most = max((abs(pixel.contribution) for pixel in pixels), default=1.0)
    gains = [pixel for pixel in pixels if pixel.contribution > 0][:_TOP_PIXELS]
    losses = [pixel for pixel in pixels if pixel.contribution < 0][:_TOP_PIXELS]
    for style, listed in ((FOR_STYLE, gains), (AGAINST_STYLE, losses)):
        for y, x, contribution in listed:
            bar = Bar(abs(contribution) / most, style=style, is_seen=True)
            table.add_row(str(y), str(x), Text(f"{contribution:+.2f}", style=style), bar)
    return table


def _units(hidden: npt.NDArray[np.float32], console: Console) -> Table:
    table = quiet_table(console)
    for name in ("hidden unit", "activation"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    strongest = np.argsort(-hidden, kind="stable")[:_TOP_UNITS].tolist()
    for unit in strongest:
        if hidden[unit] > 0:
            bar = Bar(float(hidden[unit] / hidden[strongest[0]]), style="cyan", is_seen=True)
            table.add_row(str(unit), f"{hidden[unit]:.2f}", bar)
    return table

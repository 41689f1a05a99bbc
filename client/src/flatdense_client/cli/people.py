"""How predictions are shown to people: small pictures, a table, and counts of what is left."""

import os
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from rich.columns import Columns
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from flatdense_client._images.prepared import PreparedImage
from flatdense_client._results.predictions import Prediction
from flatdense_client.cli.bars import Bar
from flatdense_client.cli.digit import COLUMNS, Digit, ink_of
from flatdense_client.cli.reports import Part
from flatdense_client.cli.screen import plain, quiet_table

SHOWN_IMAGES = 20
"""How many images of one file the table shows; the summary counts them all."""

PICTURED_IMAGES = 3
"""Up to how many images are drawn for people who did not ask for it."""

_DOUBTFUL = 0.9
"""Below this confidence the table shows the runner-up too."""


@dataclass(frozen=True, kw_only=True)
class _Shown:
    prediction: Prediction
    ink: npt.NDArray[np.float32]
    prepared: PreparedImage | None


@dataclass(kw_only=True)
class _File:
    name: str
    shown: list[_Shown] = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)

    @property
    def images(self) -> int:
        return self.labels.total()


class PeopleTable:
    """A table at the end: the first images of each file, and a count of what the rest are.

    Above it stand pictures of the same images where `is_pictured` says so, or where it is None and
    there are few images and a terminal.
    """

    def __init__(self, console: Console, *, is_pictured: bool | None = None) -> None:
        self._console = console
        self._is_pictured = is_pictured
        self._files: list[_File] = []

    def add(self, part: Part) -> None:
        """Keeps what the table shows and counts the labels."""
        if part.first == 0:
            self._files.append(_File(name=part.file))
        for row in range(min(len(part.predictions), SHOWN_IMAGES - part.first)):
            prediction, ink = part.predictions[row], ink_of(part.rows, row)
            shown = _Shown(prediction=prediction, ink=ink, prepared=part.prepared)
            self._files[-1].shown.append(shown)
        self._files[-1].labels.update(part.predictions.labels)

    def finish(self) -> None:
        """Writes all of it."""
        if not self._files:
            return
        has_pictures = self._has_pictures()
        if has_pictures:
            self._draw()
        self._console.print(self._table())
        if has_pictures:
            self._tell_how_prepared()
        for file in self._files:
            if file.images > SHOWN_IMAGES:
                self._console.print(f"\n{plain(file.name)}: {file.images:,} images")
                self._console.print(_summary(file, self._console))
                note = f"The first {SHOWN_IMAGES} are shown above; --json or --csv write them all."
                self._console.print(note, style="dim")

    def _has_pictures(self) -> bool:
        if self._is_pictured is not None:
            return self._is_pictured
        images = sum(file.images for file in self._files)
        return self._console.is_terminal and images <= PICTURED_IMAGES

    def _draw(self) -> None:
        pictures = [
            Group(Digit(shown.ink), _caption(file, index, shown.prediction))
            for file in self._files
            for index, shown in enumerate(file.shown)
        ]
        if self._console.is_terminal:
            self._console.print(Columns(pictures, padding=(0, 3), width=COLUMNS))
        else:  # a pipe has no width to fill
            for picture in pictures:
                self._console.print(picture, width=COLUMNS)

    def _tell_how_prepared(self) -> None:
        lines = [
            f"{plain(file.name)}: {', '.join(shown.prepared.steps)}"
            for file in self._files
            for shown in file.shown
            if shown.prepared is not None
        ]
        if lines:
            self._console.print("", *lines, sep="\n", style="dim")

    def _table(self) -> Table:
        is_numbered = any(file.images > 1 for file in self._files)
        is_doubtful = any(
            shown.prediction.confidence < _DOUBTFUL for file in self._files for shown in file.shown
        )
        table = quiet_table(self._console)
        table.add_column("file", overflow="fold")
        if is_numbered:
            table.add_column("image", justify="right", style="dim")
        table.add_column("label", style="bold")
        table.add_column("confidence", justify="right")
        if is_doubtful:
            table.add_column("or else", style="dim")
        for file in self._files:
            for index, shown in enumerate(file.shown):
                # People see where a file begins; a program wants every line whole.
                is_named = index == 0 or not self._console.is_terminal
                cells = [Text(plain(file.name) if is_named else "")]
                if is_numbered:
                    cells.append(Text(str(index) if file.images > 1 else ""))
                cells += [Text(plain(shown.prediction.label)), _confidence(shown.prediction)]
                if is_doubtful:
                    cells.append(_runner_up(shown.prediction))
                table.add_row(*cells)
        return table


def _summary(file: _File, console: Console) -> Table:
    most = max(file.labels.values())
    table = quiet_table(console)
    table.add_column("label", style="bold")
    table.add_column("images", justify="right")
    table.add_column("")
    for label, count in sorted(file.labels.items()):
        table.add_row(Text(plain(label)), f"{count:,}", Bar(count / most, is_seen=True))
    return table


def _caption(file: _File, index: int, prediction: Prediction) -> Text:
    number = f" {index}" if file.images > 1 else ""
    name = plain(os.path.basename(file.name))  # noqa: PTH119  # a name may be `-`
    label = Text(f"{plain(prediction.label)}  ", style="bold")
    told = Text.assemble(label, _confidence(prediction), (f"  {name}{number}\n", "dim"))
    told.truncate(COLUMNS, overflow="ellipsis")
    return told


def _confidence(prediction: Prediction) -> Text:
    style = "" if prediction.confidence >= _DOUBTFUL else "yellow"
    return Text(f"{prediction.confidence:.2%}", style=style)


def _runner_up(prediction: Prediction) -> Text:
    if prediction.confidence >= _DOUBTFUL:
        return Text("")
    second = int(prediction.probabilities.argsort()[-2])
    return Text(f"{plain(prediction.class_names[second])}  {prediction.probabilities[second]:.2%}")

"""How predictions are written: a table for people, JSON lines or CSV for programs."""

import csv
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flatdense_client._predictions import Prediction, Predictions
from flatdense_client.cli.screen import plain

SHOWN_IMAGES = 20
"""How many images of one file the table shows; the summary counts them all."""

_DOUBTFUL = 0.9
"""Below this confidence the table shows the runner-up too."""

_BAR_COLUMNS = 30


class Report(Protocol):
    """Takes the predictions of each file as they come, and writes them at once or at the end."""

    def add(self, file: str, first: int, predictions: Predictions) -> None:
        """Predictions for the images of a file from number `first` on."""

    def finish(self) -> None:
        """No more will come."""


class JsonLines:
    """One JSON object a line, at once."""

    def add(self, file: str, first: int, predictions: Predictions) -> None:
        """Writes a line for each prediction."""
        for index, prediction in enumerate(predictions, first):
            line = {
                "file": file,
                "index": index,
                "label": prediction.label,
                "class_index": prediction.class_index,
                "confidence": round(prediction.confidence, 6),
                "probabilities": [round(float(p), 6) for p in prediction.probabilities],
                "model_version": prediction.model_version,
            }
            sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")

    def finish(self) -> None:
        """Everything is written already."""


class CommaSeparated:
    """CSV with one header line, at once."""

    def __init__(self) -> None:
        self._writer = csv.writer(sys.stdout, lineterminator="\n")
        header = ("file", "index", "label", "class_index", "confidence", "model_version")
        self._writer.writerow(header)

    def add(self, file: str, first: int, predictions: Predictions) -> None:
        """Writes a line for each prediction."""
        self._writer.writerows(
            (file, index, p.label, p.class_index, f"{p.confidence:.6f}", p.model_version)
            for index, p in enumerate(predictions, first)
        )

    def finish(self) -> None:
        """Everything is written already."""


@dataclass(kw_only=True)
class _File:
    name: str
    shown: list[Prediction] = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)


class PeopleTable:
    """A table at the end: the first images of each file, and a count of what the rest are."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._files: list[_File] = []

    def add(self, file: str, first: int, predictions: Predictions) -> None:
        """Keeps what the table shows and counts the labels."""
        if first == 0:
            self._files.append(_File(name=file))
        self._files[-1].shown += predictions[: max(SHOWN_IMAGES - first, 0)]
        self._files[-1].labels.update(predictions.labels)

    def finish(self) -> None:
        """Writes the table, then a summary of each file that it could not show whole."""
        if not self._files:
            return
        self._console.print(self._table())
        for file in self._files:
            if file.labels.total() > SHOWN_IMAGES:
                self._console.print(f"\n{plain(file.name)}: {file.labels.total():,} images")
                self._console.print(_summary(file))
                note = f"The first {SHOWN_IMAGES} are shown above; --json or --csv write them all."
                self._console.print(note, style="dim")

    def _table(self) -> Table:
        is_numbered = any(file.labels.total() > 1 for file in self._files)
        is_doubtful = any(p.confidence < _DOUBTFUL for file in self._files for p in file.shown)
        table = _quiet_table()
        table.add_column("file", overflow="fold")
        if is_numbered:
            table.add_column("image", justify="right", style="dim")
        table.add_column("label", style="bold")
        table.add_column("confidence", justify="right")
        if is_doubtful:
            table.add_column("or else", style="dim")
        for file in self._files:
            for index, prediction in enumerate(file.shown):
                # People see where a file begins; a program wants every line whole.
                is_named = index == 0 or not self._console.is_terminal
                cells = [Text(plain(file.name) if is_named else "")]
                if is_numbered:
                    cells.append(Text(str(index) if file.labels.total() > 1 else ""))
                cells += [Text(plain(prediction.label)), _confidence(prediction.confidence)]
                if is_doubtful:
                    cells.append(_runner_up(prediction))
                table.add_row(*cells)
        return table


def _summary(file: _File) -> Table:
    most = max(file.labels.values())
    table = _quiet_table()
    table.add_column("label", style="bold")
    table.add_column("images", justify="right")
    table.add_column("")
    for label, count in sorted(file.labels.items()):
        bar = "━" * max(1, round(_BAR_COLUMNS * count / most))
        table.add_row(Text(plain(label)), f"{count:,}", Text(bar, style="cyan"))
    return table


def _quiet_table() -> Table:
    return Table(box=None, header_style="dim", pad_edge=False, padding=(0, 3, 0, 0))


def _confidence(confidence: float) -> Text:
    return Text(f"{confidence:.2%}", style="" if confidence >= _DOUBTFUL else "yellow")


def _runner_up(prediction: Prediction) -> Text:
    if prediction.confidence >= _DOUBTFUL:
        return Text("")
    second = int(prediction.probabilities.argsort()[-2])
    return Text(f"{plain(prediction.class_names[second])}  {prediction.probabilities[second]:.2%}")

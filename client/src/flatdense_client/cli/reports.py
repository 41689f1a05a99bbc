"""How predictions are written for programs: JSON lines, or CSV."""

import csv
import sys
from dataclasses import dataclass
from typing import Protocol

from flatdense_client._images.pixels import Rows
from flatdense_client._images.prepared import PreparedImage
from flatdense_client._results.predictions import Predictions
from flatdense_client.cli.programs import exact, exact_list, prepared_facts, write_json


@dataclass(frozen=True, kw_only=True)
class Part:
    """Images that stand one after the other in a file, and what the model says of them."""

    file: str
    """The file's name, as it is shown."""
    first: int
    """Which image of the file is the first of these, from 0."""
    rows: Rows
    """[N] as they were sent."""
    predictions: Predictions
    """[N] in the same order."""
    prepared: PreparedImage | None = None
    """How the picture became the one image; None where there was no picture but an array."""


class Report(Protocol):
    """Takes the parts of each file as they come, and writes them at once or at the end."""

    def add(self, part: Part) -> None:
        """The next images; a file's parts come one after the other."""

    def finish(self) -> None:
        """No more will come."""


class JsonLines:
    """One JSON object a line, at once."""

    def add(self, part: Part) -> None:
        """Writes a line for each prediction."""
        for index, prediction in enumerate(part.predictions, part.first):
            written = {
                "file": part.file,
                "index": index,
                "label": prediction.label,
                "class_index": prediction.class_index,
                "confidence": exact(prediction.confidence),
                "probabilities": exact_list(prediction.probabilities),
                "model_version": prediction.model_version,
                "prepared": prepared_facts(part.prepared),
            }
            write_json(written)

    def finish(self) -> None:
        """Everything is written already."""


class _Lines:
    """Where csv writes: it quotes a lone CR only where its own lines end in CR and LF."""

    def write(self, line: str) -> None:
        sys.stdout.write(line.removesuffix("\r\n") + "\n")


class CommaSeparated:
    """CSV with one header line, at once: quoted as RFC 4180 says, with lines that end in LF."""

    def __init__(self) -> None:
        self._writer = csv.writer(_Lines())
        header = ("file", "index", "label", "class_index", "confidence", "model_version")
        self._writer.writerow(header)

    def add(self, part: Part) -> None:
        """Writes a line for each prediction."""
        self._writer.writerows(
            (part.file, index, p.label, p.class_index, exact(p.confidence), p.model_version)
            for index, p in enumerate(part.predictions, part.first)
        )

    def finish(self) -> None:
        """Everything is written already."""

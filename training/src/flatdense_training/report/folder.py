"""The folder `report/` of a version."""

from pathlib import Path

import msgspec
import numpy as np

from flatdense_training.report.card import make_card
from flatdense_training.report.findings import Findings
from flatdense_training.report.neurons import draw_neurons
from flatdense_training.report.page import Drawn, Mosaics, make_page
from flatdense_training.report.pictures.gallery import gallery
from flatdense_training.report.pictures.palette import DARK, LIGHT
from flatdense_training.report.report import make_report

REPORT_NAME = "report.json"
PAGE_NAME = "report.html"
CARD_NAME = "MODEL_CARD.md"


def write_report(folder: Path, findings: Findings) -> None:
    """Makes `folder` and writes the report into it; it must not be there yet.

    report.html      everything, as one file that needs nothing else
    report.json      the figures, for programs: see report.py
    MODEL_CARD.md    what the model is for, in Markdown
    <picture>.png    each picture of report.html, for a light page
    neurons.png, neurons_initial.png    the hidden layer after and before training

    Equal findings give equal bytes. It takes seconds. For one thread at a time. Raises OSError.
    """
    folder.mkdir()
    report = make_report(findings)
    drawn = [
        Drawn(picture=picture, light=picture.render(LIGHT), dark=picture.render(DARK))
        for picture in gallery(report)
    ]
    mosaics = Mosaics(
        before=draw_neurons(findings.initial.hidden.kernel),
        after=draw_neurons(findings.trained.hidden.kernel),
    )
    figures = msgspec.json.format(msgspec.json.encode(report, enc_hook=plain), indent=1)
    files = {
        REPORT_NAME: figures + b"\n",
        PAGE_NAME: make_page(findings, report, drawn, mosaics).encode(),
        CARD_NAME: make_card(findings, report).encode(),
        "neurons.png": mosaics.after,
        "neurons_initial.png": mosaics.before,
        **{f"{each.picture.name}.png": each.light for each in drawn},
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)


def plain(value: object) -> object:
    """A number of numpy's as one of Python's, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(type(value).__name__)

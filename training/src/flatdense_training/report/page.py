"""report.html: the report as one file that needs nothing else, for a screen of any width."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from string import Template

from flatdense_training.report.findings import Findings
from flatdense_training.report.notation import count, duration, percent
from flatdense_training.report.pictures.palette import DARK, LIGHT, Palette
from flatdense_training.report.pictures.picture import Picture
from flatdense_training.report.report import Report
from flatdense_training.report.resource import resource
from flatdense_training.report.summary import headline, sentences
from flatdense_training.report.tables import (
    Table,
    class_table,
    layer_table,
    library_table,
    method_table,
    robustness_table,
    source_table,
)

BEHIND_LIGHT, BEHIND_DARK = "#f3f5f7", "#0e1216"
"""The page behind its cards."""

WHY_LEFT_OUT = (
    "They are not drawn here, so that this file can be given to anybody: it holds no image of "
    "the dataset."
)

NEURONS = (
    "Each square is one neuron: where it is red, ink excites the neuron, and where it is blue, ink "
    "holds it back. Noise has become strokes and gaps; a pale square is a neuron that hardly takes "
    "part."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A picture with its PNGs."""

    picture: Picture
    light: bytes
    dark: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Mosaics:
    """The PNGs of the hidden layer."""

    before: bytes
    after: bytes


def make_page(findings: Findings, report: Report, drawn: Sequence[Drawn], mosaics: Mosaics) -> str:
    """The whole file.

    It has no script and takes nothing from elsewhere: the policy in it forbids both.
    """
    css = style_sheet()
    return Template(resource("page.html")).substitute(
        policy=policy(css),
        css=css,
        name=escape(f"flatdense on {findings.data_title}"),
        headline=escape(headline(report)),
        sentences=lines([f"<li>{escape(sentence)}</li>" for sentence in sentences(report)]),
        tiles=lines(tiles(findings, report)),
        sections=lines(sections(findings, report, drawn, mosaics)),
        date=f"{findings.manifest.created_at:%Y-%m-%d}",
    )


def policy(css: str) -> str:
    """The Content-Security-Policy: this style sheet, images in the file itself, nothing else."""
    fingerprint = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{fingerprint}'; "
        "base-uri 'none'; form-action 'none'"
    )


def style_sheet() -> str:
    """The page's, with the colours of the pictures in it."""
    light, dark = variables(LIGHT, BEHIND_LIGHT), variables(DARK, BEHIND_DARK)
    return (
        f":root {{ {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n{resource('page.css')}"
    )


def variables(palette: Palette, behind: str) -> str:
    """The colours, as CSS calls them."""
    colours = {**asdict(palette), "page": behind}
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


def tiles(findings: Findings, report: Report) -> list[str]:
    """The figures that experts look for first."""
    test, validation = report.test, report.validation
    figures = {
        "accuracy on the test images": percent(test.accuracy),
        "accuracy on the validation images": percent(validation.accuracy),
        "loss on the test images, in nats": f"{test.loss:.4f}",
        "expected calibration error": percent(report.calibration.ece),
        "parameters": f"{findings.manifest.architecture.parameters:,}",
        "to train": duration(findings.manifest.training.duration_s),
    }
    return [
        f"<div><dt>{escape(what)}</dt><dd>{escape(value)}</dd></div>"
        for what, value in figures.items()
    ]


def sections(
    findings: Findings, report: Report, drawn: Sequence[Drawn], mosaics: Mosaics
) -> list[str]:
    """The cards of the page, in the order of reading."""
    hidden = section("The hardest test images", note(WHY_LEFT_OUT), wide=True)
    return [
        *(section(each.picture.title, figure(each)) for each in drawn),
        *([] if report.hardest else [hidden]),
        section("What it bears, in numbers", as_html(robustness_table(report))),
        section("What its neurons look for", mosaic_figure(mosaics), wide=True),
        section("Class by class, in numbers", as_html(class_table(report)), wide=True),
        section("How it was trained", as_html(method_table(findings))),
        section("What it learnt from", data_content(findings)),
        section("The network", as_html(layer_table(findings))),
        section("What made it", as_html(library_table(findings))),
        section(
            "To have the same again",
            f"<pre><code>{escape(findings.command)}</code></pre>",
            wide=True,
        ),
    ]


def section(title: str, content: str, *, wide: bool = False) -> str:
    """One card; a wide one has a row of its own."""
    kind = ' class="wide"' if wide else ""
    return f"<section{kind}>\n<h2>{escape(title)}</h2>\n{content}\n</section>"


def figure(drawn: Drawn) -> str:
    """A picture in both colours, and how to read it."""
    alt = escape(drawn.picture.alt)
    return (
        "<figure>\n<picture>"
        f'<source media="(prefers-color-scheme: dark)" srcset="{as_address(drawn.dark)}">'
        f'<img src="{as_address(drawn.light)}" alt="{alt}">'
        f"</picture>\n<figcaption>{escape(drawn.picture.reading)}</figcaption>\n</figure>"
    )


def mosaic_figure(mosaics: Mosaics) -> str:
    """The hidden layer before and after, side by side."""
    before, after = (
        f"<div><h3>{title}</h3>"
        f'<img src="{as_address(png)}" alt="The weights of the hidden layer {alt} training, '
        'a tile for each neuron."></div>'
        for title, alt, png in (
            ("Before training", "before", mosaics.before),
            ("After training", "after", mosaics.after),
        )
    )
    return (
        f'<figure>\n<div class="mosaics">{before}\n{after}</div>\n'
        f"<figcaption>{escape(NEURONS)}</figcaption>\n</figure>"
    )


def data_content(findings: Findings) -> str:
    """What was learnt from: how much of it, and the checksums."""
    training = findings.manifest.training
    told = (
        f"{findings.data_title}: {count(training.train_rows)} images to train on, "
        f"{count(training.validation_rows)} to validate, {count(training.test_rows)} to test."
    )
    return note(told) + as_html(source_table(findings))


def as_html(table: Table) -> str:
    """A table in a box that scrolls where the screen is narrow."""
    kinds = [' class="number"' if place >= table.words else "" for place in range(len(table.head))]
    heads = "".join(
        f'<th scope="col"{kind}>{escape(cell)}</th>'
        for cell, kind in zip(table.head, kinds, strict=True)
    )
    rows = lines([row_html(row, kinds, code=table.code) for row in table.rows])
    return (
        f'<div class="scroll"><table>\n<thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody>\n</table></div>"
    )


def row_html(row: Sequence[str], kinds: Sequence[str], *, code: bool) -> str:
    """One row; the first cell says what it is about."""
    cells = [escape(cell) for cell in row]
    if code:
        cells[-1] = f"<code>{cells[-1]}</code>"
    values = "".join(
        f"<td{kind}>{cell}</td>" for cell, kind in zip(cells[1:], kinds[1:], strict=True)
    )
    return f'<tr><th scope="row">{cells[0]}</th>{values}</tr>'


def note(text: str) -> str:
    """A paragraph."""
    return f"<p>{escape(text)}</p>"


def as_address(png: bytes) -> str:
    """The PNG inside its own address."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def lines(parts: Sequence[str]) -> str:
    """One after the other."""
    return "\n".join(parts)

"""report.html."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flatdense_training.report.findings import Findings
from flatdense_training.report.page import Mosaics, make_page
from flatdense_training.report.report import Report

pytestmark = pytest.mark.xdist_group("report")  # the files are written once

VOID = {"meta", "source", "img"}


class Page(HTMLParser):
    """The elements of a page, which must be closed in the order of opening."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """An element ends."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """What is said."""
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of each element of this kind."""
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module", params=["folder", "public_folder"])
def text(request: pytest.FixtureRequest) -> str:
    """The file: with drawn test images, and without."""
    chosen: Path = request.getfixturevalue(request.param)
    return (chosen / "report.html").read_text()


def test_is_whole(text: str) -> None:
    """Every element is closed, there is one headline, and a phone is told its width."""
    page = Page(text)
    assert page.open == []
    assert len(page.all("h1")) == 1
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all(
        "meta"
    )


def test_needs_nothing_else(text: str) -> None:
    """No script, no link, no address but pictures in the file itself; and a policy that says so."""
    page = Page(text)
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "link", "iframe", "object", "a"})
    assert "http:" not in text
    assert "https:" not in text
    assert "url(" not in text
    assert "@import" not in text
    for _, attributes in page.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        for name in ("src", "srcset", "href"):
            assert attributes.get(name, "data:image/png;base64,").startswith(
                "data:image/png;base64,"
            )
    (policy,) = [
        meta["content"]
        for meta in page.all("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    ]
    css = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert css is not None
    digest = base64.b64encode(hashlib.sha256(css[1].encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'",
        "img-src data:",
        f"style-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_every_picture_has_words(text: str) -> None:
    """Each picture has an alternative text, each figure words below it, each plot two looks."""
    page = Page(text)
    assert all(len(image["alt"]) > 20 for image in page.all("img"))
    assert len(page.all("figcaption")) == len(page.all("figure"))
    plots = len(page.all("picture"))
    assert [source["media"] for source in page.all("source")] == [
        "(prefers-color-scheme: dark)"
    ] * plots
    assert len(page.all("img")) == plots + 2


def test_says_the_figures(text: str, report: Report) -> None:
    """Headline, tiles and tables say the figures of the report, and what the run was."""
    said = " ".join(" ".join(Page(text).texts).split())
    accuracy = f"{100 * report.test.accuracy:.2f} %"
    assert f"It is right about {accuracy} of 270 test images." in said
    for each in report.classes:
        assert f"{100 * each.recall:.2f} %" in said
    assert "359cd13f0f514122884198b78a131df597421cbf5e93a76678fa96fc548f0d96" in said
    assert "1 h 2 min" in said
    assert "numpy 9.8.7" in said
    assert "Seed 7" in said
    assert "flatdense-train --dataset digits --seed 7" in said


def test_says_that_images_were_left_out(folder: Path, public_folder: Path) -> None:
    """Where test images may not be shown, the page says so; else it shows them."""
    told = "They are not drawn here"
    assert told in (public_folder / "report.html").read_text()
    assert told not in (folder / "report.html").read_text()


def test_names_are_no_markup(findings: Findings, report: Report) -> None:
    """What came from the user's data or command line cannot become an element."""
    evil = '<img src="x" onerror="y">&'
    manifest = findings.manifest
    page = make_page(
        replace(findings, data_title=evil, command=evil, recipe=[(evil, evil)], manifest=manifest),
        replace(report, classes=tuple(replace(each, name=evil) for each in report.classes)),
        [],
        Mosaics(before=b"", after=b""),
    )
    assert "<img src=" not in page.replace('<img src="data:', "")
    assert len(Page(page).all("img")) == 2

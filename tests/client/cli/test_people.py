"""The table that people see."""

import io
import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import Predictions
from flatdense_client._images.inputs import check_images
from flatdense_client.cli.people import PICTURED_IMAGES, SHOWN_IMAGES, PeopleTable
from flatdense_client.cli.reports import Part
from rich.cells import cell_len
from rich.console import Console

NAMES = {1: ("cat", "dog", "owl")}

Report = Callable[..., list[str]]

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def _predictions(confidences: list[float]) -> Predictions:
    probabilities = np.array([[c, (1 - c) * 0.25, (1 - c) * 0.75] for c in confidences], np.float32)
    classes: npt.NDArray[np.int64] = np.zeros(len(confidences), np.int64)
    return Predictions(
        classes=classes,
        probabilities=probabilities,
        versions=np.ones_like(classes),
        timings=(None,) * len(classes),
        class_names=NAMES,
    )


@pytest.fixture(params=[True, False], ids=["terminal", "pipe"])
def is_terminal(request: pytest.FixtureRequest) -> bool:
    """Both places where a table is written."""
    return bool(request.param)


def _written(
    *files: tuple[str, list[Predictions]],
    is_terminal: bool = True,
    is_pictured: bool | None = False,
    columns: int = 100,
) -> str:
    text = io.StringIO()
    console = Console(file=text, force_terminal=is_terminal, no_color=True, width=columns)
    table = PeopleTable(console, is_pictured=is_pictured)
    for name, parts in files:
        first = 0
        for predictions in parts:
            rows = check_images(np.eye(28, dtype=np.uint8)[None].repeat(len(predictions), 0))
            table.add(Part(file=name, first=first, rows=rows, predictions=predictions))
            first += len(predictions)
    table.finish()
    return COLOURS.sub("", text.getvalue())


@pytest.fixture
def report(is_terminal: bool) -> Report:
    """Writes a table of files without pictures and gives its lines without colour."""

    def write(*files: tuple[str, list[Predictions]]) -> list[str]:
        written = _written(*files, is_terminal=is_terminal)
        return [line.rstrip() for line in written.rstrip().splitlines()]

    return write


def test_nothing_is_nothing(report: Report) -> None:
    """Without predictions there is no table, not an empty one."""
    assert report() == []


def test_single_images_have_no_number(report: Report) -> None:
    """Files of one image each are one line each, without a column of numbers."""
    lines = report(("a.png", [_predictions([0.95])]), ("b.png", [_predictions([0.99])]))
    assert [line.split() for line in lines] == [
        ["file", "label", "confidence"],
        ["a.png", "cat", "95.00%"],
        ["b.png", "cat", "99.00%"],
    ]


def test_doubt_shows_the_runner_up(report: Report) -> None:
    """A prediction below 90 % names the second most probable class."""
    lines = report(("a.png", [_predictions([0.6])]), ("b.png", [_predictions([0.99])]))
    assert lines[1].split() == ["a.png", "cat", "60.00%", "owl", "30.00%"]
    assert lines[2].split() == ["b.png", "cat", "99.00%"]


def test_people_see_where_a_file_begins(report: Report, is_terminal: bool) -> None:
    """On a terminal a file is named once; in a pipe each line is whole."""
    lines = report(("a.npy", [_predictions([0.95, 0.96]), _predictions([0.97])]))
    named = [line.startswith("a.npy") for line in lines[1:]]
    assert named == ([True, False, False] if is_terminal else [True, True, True])


def test_names_steer_nothing(report: Report) -> None:
    """Control characters in a file's name are spelled out."""
    lines = report(("\x1b]0;owned\x07.png", [_predictions([0.95])]))
    assert lines[1].split()[0] == r"\x1b]0;owned\x07.png"


def test_long_files_are_summed_up(report: Report) -> None:
    """A file's images beyond the first few are counted, across the parts that they came in."""
    parts = [_predictions([0.95] * 15), _predictions([0.95] * 15)]
    lines = report(("a.npy", parts), ("b.png", [_predictions([0.99])]))
    end = lines.index("")
    assert len(lines[1:end]) == SHOWN_IMAGES + 1
    assert lines[end + 1] == "a.npy: 30 images"
    assert lines[end + 3].split()[:2] == ["cat", "30"]
    assert not any("b.png" in line for line in lines[end:])


@pytest.mark.parametrize("images", [1, PICTURED_IMAGES, PICTURED_IMAGES + 1])
@pytest.mark.parametrize("is_pictured", [None, True, False])
def test_few_images_are_drawn(is_terminal: bool, images: int, is_pictured: bool | None) -> None:
    """Nobody asked: a few images are drawn, and on a terminal alone. Who asks is obeyed."""
    told = ("a.npy", [_predictions([0.95] * images)])
    written = _written(told, is_terminal=is_terminal, is_pictured=is_pictured)
    by_itself = is_terminal and images <= PICTURED_IMAGES
    assert ("▀▄" in written) == (by_itself if is_pictured is None else is_pictured)


@pytest.mark.parametrize("columns", [40, 80, 100])
def test_pictures_fit_the_screen(columns: int) -> None:
    """Pictures stand beside each other as far as there is room, and no line is cut or folded."""
    written = _written(
        ("a.npy", [_predictions([0.95, 0.96, 0.97])]), is_pictured=None, columns=columns
    )
    lines = written.splitlines()
    assert all(cell_len(line) <= columns for line in lines)
    captions = [line for line in lines if re.search(r"a\.npy \d", line)]
    assert [int(n) for n in re.findall(r"a\.npy (\d)", "".join(captions))] == [0, 1, 2]
    assert len(captions) == {40: 3, 80: 2, 100: 1}[columns]

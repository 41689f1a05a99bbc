"""The progress bar."""

import io

import pytest
from flatdense_client.cli.meter import Meter
from rich.console import Console


def _work(files: int, images: int, *, is_wanted: bool = True) -> str:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=100)
    with Meter(console, files=files, is_wanted=is_wanted) as meter:
        for _ in range(files):
            meter.start_file(images)
            meter.reach(0, images, images)
            meter.end_file()
    return text.getvalue()


def test_short_work_shows_nothing() -> None:
    """A few small files leave the terminal untouched."""
    assert _work(3, 100) == ""


@pytest.mark.parametrize(("files", "images", "told"), [(1, 60_000, "images"), (40, 1, "files")])
def test_long_work_shows_a_bar(files: int, images: int, told: str) -> None:
    """A big file or many files show how far they are."""
    assert told in _work(files, images)


def test_an_unwanted_bar_is_not_shown() -> None:
    """Where no person watches, even long work writes nothing."""
    assert _work(40, 60_000, is_wanted=False) == ""


def test_a_file_goes_on_where_its_last_call_ended() -> None:
    """The images of one call are counted on top of those before them in the file."""
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=100)
    with Meter(console, files=1, is_wanted=True) as meter:
        meter.start_file(60_000)
        meter.reach(50_000, 2_345, 10_000)
    assert "52345/60000" in text.getvalue()

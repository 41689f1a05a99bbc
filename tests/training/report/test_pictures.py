"""The pictures, where the figures are unusual."""

import io
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from flatdense_training.data.split import Examples
from flatdense_training.judge.evaluate import Evaluation
from flatdense_training.report.findings import Findings
from flatdense_training.report.pictures.confusion_matrix import contrast
from flatdense_training.report.pictures.gallery import gallery
from flatdense_training.report.pictures.palette import DARK, LIGHT
from flatdense_training.report.pictures.robustness_curves import spread
from flatdense_training.report.report import Report, make_report
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex, to_rgb
from msgspec.structs import replace as replace_struct
from PIL import Image


def perfect(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A classifier of two classes that is always right, and sure: the first pixel tells."""
    classes = (rows[:, 0] > 0).astype(np.int64)
    return np.eye(2, dtype=np.float32)[classes], classes


@pytest.fixture
def flawless(findings: Findings) -> Report:
    """Two classes with odd names, one epoch, no mistake: nothing that a scale could be made of."""
    images = np.zeros((6, 28, 28), np.uint8)
    images[::2, 0, 0] = 255
    labels = np.array([1, 0] * 3, np.uint8)
    evaluation = Evaluation(
        labels=labels,
        probabilities=np.eye(2, dtype=np.float32)[labels],
        classes=labels.astype(np.int64),
    )
    names = ["an ankle boot for $x_", "鞋"]
    return make_report(
        replace(
            findings,
            manifest=replace_struct(findings.manifest, classes=names),
            epochs=findings.epochs[:1],
            validation=evaluation,
            test=evaluation,
            test_examples=Examples(images=images, labels=labels),
            classify=perfect,
        )
    )


def test_nothing_to_complain_about(flawless: Report) -> None:
    """Every picture can be drawn where nothing is wrong and there is only one of everything."""
    pictures = {picture.name: picture for picture in gallery(flawless)}
    assert "There is no mistake." in pictures["confusion_matrix"].reading
    for picture in pictures.values():
        with Image.open(io.BytesIO(picture.render(LIGHT))) as image:
            assert image.width == 960


def test_light_and_dark(report: Report) -> None:
    """The same picture has the ground of its palette in every corner, and is as large."""
    picture = gallery(report)[0]
    light, dark = (Image.open(io.BytesIO(picture.render(palette))) for palette in (LIGHT, DARK))
    assert light.size == dark.size
    for image, palette in ((light, LIGHT), (dark, DARK)):
        red, green, blue = image.convert("RGB").getpixel((0, 0))
        assert f"#{red:02x}{green:02x}{blue:02x}" == palette.ground


def test_contrast() -> None:
    """Black on white is 21, a colour on itself 1, and mistakes can be read on every strength."""
    assert contrast("#000000", "#ffffff") == contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#d55e00", "#d55e00") == 1
    for palette in (LIGHT, DARK):
        ground, strongest = np.array(to_rgb(palette.ground)), np.array(to_rgb(palette.second))
        for share in np.linspace(0, 1, 21):
            cell = to_hex(ground + share * (strongest - ground))
            assert max(contrast(cell, palette.ink), contrast(cell, palette.ground)) > 3.5


def test_words(report: Report) -> None:
    """Each picture has a title, one sentence or two on how to read it, and what it shows."""
    for picture in gallery(report):
        assert picture.title
        assert picture.reading.endswith(".")
        assert len(picture.alt) > 20


@given(st.lists(st.integers(0, 1000), min_size=2, unique=True))
def test_numbers_have_room(amounts: list[float]) -> None:
    """Along an axis the first amount is always named, and no two that are too near each other."""
    ordered = sorted(amounts)
    chosen = spread(ordered)
    assert chosen[0] == ordered[0]
    room = (ordered[-1] - ordered[0]) / 8
    assert all(later - earlier >= room for earlier, later in pairwise(chosen))

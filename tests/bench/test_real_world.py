"""Digits as they come in life, through prepare_image and the version in the repository."""

import shutil
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import ImageLike, InvalidInput, prepare_image
from paper import dark_on_white, in_sharp_shadow, light_on_dark, on_grey_paper
from pens import Digit, Trace, draw_outline, place, thin
from real_world import Network, judge, prepare, prepare_all, print_digits
from strokes import SHAPES, draw_shape
from typefaces import find_typefaces

Ink = npt.NDArray[np.float32]

Lay = Callable[[Ink, np.random.Generator], ImageLike]

FONTS = Path(mpl.get_data_path()) / "fonts" / "ttf"
"""DejaVu and others, which Matplotlib brings along."""

TEXT = "DejaVu"


@pytest.fixture(scope="module")
def network(repository: Path) -> Network:
    """The version in the repository."""
    return Network(repository / "exported_model" / "1" / "weights.safetensors")


def _white(ink: Ink, _random: np.random.Generator) -> ImageLike:
    return dark_on_white(ink)


def _dark(ink: Ink, _random: np.random.Generator) -> ImageLike:
    return light_on_dark(ink)


@pytest.mark.parametrize(
    ("lay", "least"), [(_white, 0.98), (_dark, 0.98), (on_grey_paper, 0.95), (in_sharp_shadow, 0.8)]
)
def test_strokes_are_read(network: Network, lay: Lay, least: float) -> None:
    """Digits of any shape, size, place and pen are read, on white, in the dark and on paper."""
    random = np.random.default_rng(0)
    shapes = [shape for shape in SHAPES for _ in range(8)]
    images = [prepare(lay(draw_shape(shape, random), random)) for shape in shapes]
    labels = [SHAPES[shape][0] for shape in shapes]
    assert np.mean(network.classify(np.stack(images)) == labels) >= least


def test_print_is_read(network: Network) -> None:
    """The digits of ordinary typefaces are read, and the figures of each family told."""
    faces = [face for face in find_typefaces([FONTS]) if face.family.startswith(TEXT)]
    assert len(faces) > 8
    counted = judge(network, list(prepare_all(print_digits, faces)))["typefaces"]
    rows = sum(part["rows"] for part in counted.values())
    assert rows == 10 * len(faces)
    assert sum(part["correct"] for part in counted.values()) >= 0.95 * rows
    for part in counted.values():
        assert part["correct"] + part["blank"] + sum(part["missed"].values()) == part["rows"]


@pytest.mark.parametrize("lay", [on_grey_paper, in_sharp_shadow])
def test_empty_paper_is_blank(lay: Lay) -> None:
    """Paper without ink is refused: neither its unevenness nor a sharp shadow is a digit."""
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(40):
        try:
            prepare_image(lay(np.zeros((280, 280), np.float32), random))
        except InvalidInput:
            refused += 1
    assert refused >= 36


def test_faces_that_print_the_same_count_once(tmp_path: Path) -> None:
    """Copies of a face are one face, and what has no roman digits is none."""
    for name in ("a.ttf", "b.ttf"):
        shutil.copy(FONTS / "DejaVuSans.ttf", tmp_path / name)
    shutil.copy(FONTS / "STIXSizOneSymReg.ttf", tmp_path)
    assert [face.path.name for face in find_typefaces([tmp_path])] == ["a.ttf"]


def _write_digit() -> Digit:
    """A nine in MNIST's form, with a speck beside it."""
    digit = prepare_image(dark_on_white(draw_shape("9 with a straight tail", _seeded()))).pixels
    digit = digit.copy()
    digit[1, 1] = 255
    return digit


def _seeded() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_shape_thins_to_a_line() -> None:
    """What is left of a bar is one pixel wide, within it and nearly as long."""
    shape = np.zeros((40, 40), np.bool_)
    shape[5:35, 15:24] = True
    line = thin(shape)
    assert (line <= shape).all()
    assert line.sum(axis=1).max() == 1
    assert line.any(axis=1).sum() >= 20


@pytest.mark.parametrize("width", [1, 4, 16, 32])
def test_a_pen_draws_as_wide_as_it_is(width: int) -> None:
    """Each pixel more on either side makes strokes two wider; specks are not drawn."""
    trace = Trace.of(_write_digit())
    length = trace.draw(8).sum() - trace.draw(7).sum()
    grown = trace.draw(width + 2).sum() - trace.draw(width).sum()
    assert grown == pytest.approx(2 * length, rel=0.3)
    assert trace.draw(width)[:20, :20].max() == 0


def test_a_digit_by_its_own_pen_is_the_digit() -> None:
    """Prepared again, the outline and the trace of a digit are nearly itself, wherever placed."""
    digit = prepare_image(dark_on_white(draw_shape("3, round", _seeded()))).pixels
    trace = Trace.of(digit)
    assert 0 < trace.differs(digit) < 0.01
    assert trace.differs(np.fliplr(digit)) > 5 * trace.differs(digit)
    own = trace.draw()
    for ink in (draw_outline(digit), own, place(own, _seeded())):
        again = prepare_image(dark_on_white(ink)).pixels
        assert np.abs(again.astype(int) - digit).mean() < 9

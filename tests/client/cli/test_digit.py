"""The small picture of a digit."""

import io

import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client._images.pixels import check_array
from flatdense_client.cli.digit import COLUMNS, Digit, Legend, ink_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rich.console import Console
from rich.segment import Segment

Float32 = npt.NDArray[np.float32]

IMAGES = arrays.arrays(np.float32, 784, elements=st.floats(0, 1, width=32))
# None lies so near a threshold that rounding decides; one is enough to be the strongest.
CONTRIBUTIONS = arrays.arrays(np.float32, 784, elements=st.sampled_from([-7, -2, -1, 0, 1, 2, 7]))

GROUND = 28
LINES = 14


def _lines(
    digit: Digit | Legend,
    *,
    colour: str | None = None,
    no_color: bool = False,
    encoding: str = "utf-8",
) -> list[list[Segment]]:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(
        file=file,
        force_terminal=colour is not None,
        color_system=colour,  # type: ignore[arg-type]  # a name that rich knows
        no_color=no_color,
        width=80,
    )
    return console.render_lines(digit, pad=False)


def _text(lines: list[list[Segment]]) -> list[str]:
    return ["".join(segment.text for segment in line) for line in lines]


@pytest.mark.parametrize("colour", [None, "standard", "256", "truecolor"])
@given(image=IMAGES, contributions=st.none() | CONTRIBUTIONS)
@settings(max_examples=20)
def test_a_digit_is_28_by_14(
    colour: str | None, image: Float32, contributions: Float32 | None
) -> None:
    """Whatever the image and the terminal, the picture has 14 lines of 28 characters."""
    lines = _text(_lines(Digit(image, contributions), colour=colour))
    assert [len(line) for line in lines] == [COLUMNS] * LINES


@given(image=arrays.arrays(np.bool_, (28, 28)))
def test_half_blocks_are_the_pixels(image: npt.NDArray[np.bool_]) -> None:
    """Without colour each character is its two pixels: above, below, both or neither."""
    lines = _text(_lines(Digit(image.astype(np.float32))))
    expected = [
        ["█" if a and b else "▀" if a else "▄" if b else " " for a, b in zip(*pair, strict=True)]
        for pair in image.reshape(LINES, 2, 28)
    ]
    assert lines == ["".join(row) for row in expected]


def test_faint_ink_is_ink() -> None:
    """What is drawn is judged by the image's own strongest ink: a faint digit is no blank."""
    image = np.zeros((28, 28), np.float32)
    image[4:8, 10] = 0.05
    image[8:10, 10] = 0.001
    column = [line[10] for line in _text(_lines(Digit(image)))]
    assert column[:6] == [" ", " ", "█", "█", " ", " "]


@pytest.mark.parametrize(("colour", "no_color"), [("truecolor", True), (None, False)])
def test_no_colour_is_none(colour: str | None, no_color: bool) -> None:
    """NO_COLOR and a pipe get characters alone."""
    image = np.eye(28, dtype=np.float32)
    segments = [s for line in _lines(Digit(image), colour=colour, no_color=no_color) for s in line]
    assert all(not s.style or (s.style.color is None and s.style.bgcolor is None) for s in segments)


@given(image=IMAGES)
def test_each_pixel_has_its_grey(image: Float32) -> None:
    """In colour the upper half of a character is one pixel's grey and the lower half another's."""
    shown = []
    for line in _lines(Digit(image), colour="truecolor"):
        cells = [segment.style for segment in line for _ in segment.text]
        for side in ("color", "bgcolor"):
            triplets = [getattr(style, side).get_truecolor() for style in cells]
            assert all(len(set(triplet)) == 1 for triplet in triplets)
            shown.append([triplet.red for triplet in triplets])
    expected = GROUND + (255 - GROUND) * image.reshape(28, 28)
    assert np.abs(np.array(shown) - expected).max() <= 0.51


def test_an_ascii_screen_gets_ascii() -> None:
    """Where no block can be written, dots stand for the pixels."""
    image = np.zeros((28, 28), np.float32)
    image[0, 0] = image[1, 1] = image[0, 2] = image[1, 2] = 1
    for colour in (None, "truecolor"):
        lines = _text(_lines(Digit(image), colour=colour, encoding="ascii"))
        assert lines[0] == "'.:".ljust(28)
        assert all(line.isascii() for line in lines)


@given(contributions=CONTRIBUTIONS, image=IMAGES)
def test_marks_are_the_strong_contributions(image: Float32, contributions: Float32) -> None:
    """Without colour a `+` or `-` stands exactly where a pixel contributes a quarter of the most.

    Of the two pixels of a character the stronger one counts.
    """
    lines = _text(_lines(Digit(image, contributions)))
    most = max(float(np.abs(contributions).max()), 1)
    for y, pair in enumerate(contributions.reshape(LINES, 2, 28)):
        for x, values in enumerate(pair.T.tolist()):
            stronger = max(values, key=abs)
            mark = lines[y][x]
            if abs(stronger) < 0.249 * most:
                assert mark in " ·"
            elif abs(stronger) > 0.251 * most and abs(values[0]) != abs(values[1]):
                assert mark == ("+" if stronger > 0 else "-")


@given(contributions=CONTRIBUTIONS)
def test_colours_tell_for_from_against(contributions: Float32) -> None:
    """In colour what speaks for the class is bluer than it is red, and what is against, redder."""
    lines = _lines(Digit(np.zeros(784, np.float32), contributions), colour="truecolor")
    strengths = contributions / max(float(np.abs(contributions).max()), 1)
    for pair, line in zip(strengths.reshape(LINES, 2, 28), lines, strict=True):
        cells = [segment.style for segment in line for _ in segment.text]
        for side, row in zip(("color", "bgcolor"), pair, strict=True):
            for style, strength in zip(cells, row.tolist(), strict=True):
                red, _, blue = getattr(style, side).get_truecolor()
                if abs(strength) > 0.01:
                    assert (blue > red) == (strength > 0)
                elif strength == 0:
                    assert red == blue


@pytest.mark.parametrize(
    ("colour", "told"),
    [("truecolor", "■ for 7   ■ against 7"), (None, "+ for 7   - against 7")],
)
def test_the_legend_explains_what_is_drawn(colour: str | None, told: str) -> None:
    """The legend has the picture's own colours or marks."""
    assert _text(_lines(Legend("7"), colour=colour)) == [told]


@pytest.mark.parametrize(
    ("pixels", "ink"),
    [
        (np.full(784, 51, np.uint8), 0.2),
        (np.full(784, 51, np.int64), 0.2),
        (np.ones(784, np.bool_), 1.0),
        (np.full(784, 0.2, np.float16), 0.2),
        (np.full(784, 0.2, np.float64), 0.2),
    ],
)
def test_ink_is_0_to_1(pixels: npt.NDArray[np.generic], ink: float) -> None:
    """Pixels of every type are drawn on the same scale."""
    drawn = ink_of(check_array(pixels), 0)
    assert drawn.dtype == np.float32
    assert np.allclose(drawn, ink, atol=1e-3)

"""What the page shows of the network is what the weights say, computed here from their file."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from flatdense_artifact import Weights
from page.handwriting import write_digits
from page.sheet import MINUS, TIMES, OpenPage, Sheet

pytestmark = pytest.mark.xdist_group("page")

FIVE = next(digit for digit in write_digits() if digit.label == 5)

EXACT = 1e-4

Floats = npt.NDArray[np.float32]


class Drawn:
    """A drawn five on the page, and the network's arithmetic done here on the same pixels."""

    def __init__(self, sheet: Sheet, weights: Weights) -> None:
        self.sheet = sheet
        with sheet.page.expect_request(lambda request: request.url.endswith(":explain")) as asked:
            sheet.write(FIVE)
            self.told = sheet.look_inside()
        sent: dict[str, Any] = asked.value.post_data_json
        self.pixels = np.array(sent["instances"][0], np.float32) / 255
        self.weights = weights
        hidden, output = weights.hidden, weights.output
        self.sums: Floats = self.pixels @ hidden.kernel + hidden.bias
        self.lit: Floats = self.sums.clip(min=0)
        self.logits: Floats = self.lit @ output.kernel + output.bias

    def contributions(self, output: int) -> tuple[Floats, float]:
        """What each pixel adds to a logit, and what the biases do."""
        gates = np.where(self.lit > 0, self.weights.output.kernel[:, output], 0)
        share = gates @ self.weights.hidden.bias + self.weights.output.bias[output]
        return self.pixels * (self.weights.hidden.kernel @ gates), float(share)


@pytest.fixture
def drawn(open_page: OpenPage, weights: Weights) -> Drawn:
    """In the light theme, in which white is 0."""
    return Drawn(open_page(color_scheme="light", reduced_motion="reduce"), weights)


def read_number(text: str) -> float:
    """A number as the page writes it."""
    return float(text.replace(MINUS, "-").removesuffix(" %").replace(",", ""))


def read_signed(colours: npt.NDArray[np.int64]) -> Floats:
    """The numbers from -1 to 1 behind red and blue on white."""
    red, _, blue, _ = colours.reshape(-1, 4).T
    negative = (255 - red) / (255 - 0x2B)
    positive = (255 - blue) / (255 - 0x2B)
    return np.where(blue > red, -negative, positive).astype(np.float32)


def test_the_board_is_lit_by_the_activations(drawn: Drawn) -> None:
    """Each of the 256 as bright as its activation, over that of the brightest."""
    brightness = drawn.sheet.page.eval_on_selector_all(
        "#board button",
        "cells => cells.map((cell) => Number(cell.style.getPropertyValue('--lit')))",
    )
    assert len(brightness) == 256
    np.testing.assert_allclose(brightness, drawn.lit / drawn.lit.max(), atol=1e-3)
    np.testing.assert_allclose(drawn.told["hidden"], drawn.lit, atol=EXACT)


def test_the_outputs_show_the_logits(drawn: Drawn) -> None:
    """And the probabilities that softmax makes of them."""
    shown = drawn.sheet.page.locator("#outputs .logit").all_inner_texts()
    np.testing.assert_allclose([*map(read_number, shown)], drawn.logits, atol=0.051)
    np.testing.assert_allclose(drawn.told["logits"], drawn.logits, atol=EXACT)
    powers = np.exp(drawn.logits - drawn.logits.max())
    shares = drawn.sheet.page.locator("#outputs .share").all_inner_texts()
    wanted = 100 * powers / powers.sum()
    np.testing.assert_allclose([*map(read_number, shares)], wanted, atol=0.51)
    assert drawn.sheet.text("#outputs .best b") == str(drawn.logits.argmax())


@pytest.mark.parametrize("how", ["hover", "focus"])
def test_a_neuron_shows_its_weights(drawn: Drawn, how: str) -> None:
    """Under the mouse or focused: 784 weights in red and blue, bias, sum, activation, pulls."""
    page = drawn.sheet.page
    for index in (0, 77, int(drawn.lit.argmax()), int(drawn.sums.argmin())):
        cell = page.locator("#board button").nth(index)
        if how == "hover":
            cell.hover()
        else:
            cell.focus()
        assert drawn.sheet.text("#neuron-title") == f"Neuron {index + 1}"
        own = drawn.weights.hidden.kernel[:, index]
        shown = read_signed(drawn.sheet.colours("#neuron-weights"))
        np.testing.assert_allclose(shown, own / np.abs(own).max(), atol=0.01)
        facts = {
            name: read_number(text) for name, text in drawn.sheet.values("#neuron-facts").items()
        }
        bias = drawn.weights.hidden.bias[index]
        wanted = {
            f"signals {TIMES} weights": drawn.sums[index] - bias,
            "bias": bias,
            "sum": drawn.sums[index],
            "activation": drawn.lit[index],
        }
        assert facts == pytest.approx(wanted, abs=6e-4)
        pulls = page.locator("#neuron-pulls .share").all_inner_texts()
        np.testing.assert_allclose(
            [*map(read_number, pulls)], drawn.weights.output.kernel[index], atol=6e-4
        )


@pytest.mark.parametrize("how", ["hover", "focus", "click"])
def test_an_output_shows_what_spoke_for_it_and_against(drawn: Drawn, how: str) -> None:
    """Pixels and biases, which sum to the logit within 1e-4."""
    page = drawn.sheet.page
    for index in (5, 3, 8):
        getattr(page.locator("#outputs button").nth(index), how)()
        drawn.sheet.wait_for_text("#output-title", f"Output {index}")
        told = drawn.sheet.last("explained")
        pixels, biases = drawn.contributions(index)
        np.testing.assert_allclose(told["contributions"], pixels, atol=EXACT)
        assert told["bias_contribution"] == pytest.approx(biases, abs=EXACT)
        together = sum(told["contributions"]) + told["bias_contribution"]
        assert together == pytest.approx(told["logits"][index], abs=EXACT)
        assert together == pytest.approx(drawn.logits[index], abs=EXACT)
        shown = read_signed(drawn.sheet.colours("#attribution"))
        np.testing.assert_allclose(shown, pixels / np.abs(pixels).max(), atol=0.01)
        facts = {
            name: read_number(text) for name, text in drawn.sheet.values("#output-facts").items()
        }
        assert facts["for"] == pytest.approx(pixels.clip(min=0).sum(), abs=6e-3)
        assert facts["against"] == pytest.approx(pixels.clip(max=0).sum(), abs=6e-3)
        assert facts["biases"] == pytest.approx(biases, abs=6e-3)
        assert facts["sum, the logit"] == pytest.approx(drawn.logits[index], abs=6e-3)


def test_arrows_walk_over_the_board(drawn: Drawn) -> None:
    """From neuron to neuron, row by row; one of them at a time is in the order of the tab key."""
    page = drawn.sheet.page
    page.locator("#board button").nth(0).focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
    assert drawn.sheet.text("#neuron-title") == "Neuron 17"
    assert page.locator("#board [tabindex='0']").count() == 1


def test_the_rows_unroll_into_one_line(drawn: Drawn) -> None:
    """Each of 784 signals is told by its row, its column and its ink, and lies where it belongs."""
    page = drawn.sheet.page
    page.locator("#unroll").scroll_into_view_if_needed()
    for signal in (1, 28, 29, 400, 784):
        page.locator("#signal").fill(str(signal))
        row, column = divmod(signal - 1, 28)
        ink = drawn.pixels[signal - 1]
        drawn.sheet.wait_for_text(
            "#signal-note",
            f"Row {row + 1}, column {column + 1} is signal {signal} of 784. Its ink is {ink:.2f}.",
        )
    page.locator("#signal").fill("1")
    drawn.sheet.wait_for_text("#signal-note", "signal 1 of")
    colours = drawn.sheet.colours("#unroll")
    line = colours[-16, :, 0]
    middle = ((np.arange(784) + 0.5) * len(line) / 784).astype(int)
    inked = drawn.pixels > 0.9
    assert (line[middle[inked]] < 120).mean() > 0.9
    bare = (drawn.pixels == 0) & (np.roll(drawn.pixels, 1) == 0) & (np.roll(drawn.pixels, -1) == 0)
    alpha = colours[-16, middle, 3]
    assert not alpha[bare][4:-4].any()

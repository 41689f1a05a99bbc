"""The model's part of the page: layers, report, versions, weights before and after."""

import json
from pathlib import Path

import numpy as np
import pytest
from flatdense_artifact import Weights, read_manifest
from page.handwriting import write_digits
from page.reported import Reported
from page.sheet import OpenPage, Sheet

pytestmark = pytest.mark.xdist_group("page")

THREE = next(digit for digit in write_digits() if digit.label == 3)


def read_table(sheet: Sheet, selector: str) -> list[list[str]]:
    """The cells of each row of a table's body."""
    rows = sheet.page.locator(f"{selector} tbody tr").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]


def test_the_layers_and_their_parameters(open_page: OpenPage) -> None:
    """Flatten has none; the dense layers have a weight for each input, and a bias, a neuron."""
    table = read_table(open_page(), "#layers")
    assert [row[1:] for row in table] == [
        ["784", "0"],
        ["256", "200,960"],
        ["10", "2,570"],
        ["", "203,530"],
    ]
    assert [row[0].split()[0] for row in table] == ["Flatten", "Dense", "Dense", "Together"]


def test_a_version_without_a_report_says_so(open_page: OpenPage, reported: Reported) -> None:
    """A sentence in place of the curves; the accuracy is the manifest's."""
    metrics = read_manifest(reported.model_dir / "1").metrics
    assert metrics
    sheet = open_page(reported.page)
    sheet.page.locator("#version").select_option("1")
    sheet.wait_for_text("#report-note", "This version came without a report")
    assert not sheet.page.locator("#report").is_visible()
    assert (
        sheet.values("#quality")["right on test digits"] == f"{100 * metrics.test_accuracy:.2f} %"
    )


def test_the_report_of_a_version(open_page: OpenPage, reported: Reported) -> None:
    """Accuracy, curves, confusion matrix, hardest digits, as report.json has them."""
    sheet, report = open_page(reported.page), reported.report
    sheet.page.locator("#report").wait_for()
    test = report["test"]
    quality = sheet.values("#quality")
    assert quality["right on test digits"] == f"{test['accuracy']:.2%}".replace("%", " %")
    assert quality["mistakes"] == f"{test['rows'] - test['correct']} of {test['rows']}"
    told = [[cell.replace("·", "0") for cell in row[1:]] for row in read_table(sheet, "#confusion")]
    assert np.array(told, int).tolist() == report["confusion"]
    for name in ("loss", "accuracy"):
        chart = sheet.page.locator(f"#{name}-chart svg")
        lines = chart.locator("polyline").all()
        assert len(lines) == 2
        for line in lines:
            assert len((line.get_attribute("points") or "").split()) == len(report["epochs"])
        label = chart.get_attribute("aria-label") or ""
        assert f"after {len(report['epochs'])} epochs" in label
    digits = sheet.page.locator("#hardest canvas").all()
    assert len(digits) == len(report["hardest"])
    names = [digit.get_attribute("aria-label") or "" for digit in digits]
    for name, hard in zip(names, report["hardest"], strict=True):
        assert name.startswith(f"A {hard['label']}, taken for {hard['answer']}")


def test_the_report_of_the_committed_model(open_page: OpenPage, exported_model: Path) -> None:
    """What training measured of it; no test digit is shown, for none is in the repository."""
    report = json.loads((exported_model / "1" / "report" / "report.json").read_text())
    sheet = open_page()
    sheet.page.locator("#report").wait_for()
    test = report["test"]
    quality = sheet.values("#quality")
    assert quality["right on test digits"] == f"{100 * test['accuracy']:.2f} %"
    assert quality["mistakes"] == f"{test['rows'] - test['correct']} of {test['rows']:,}"
    told = [[cell.replace("·", "0") for cell in row[1:]] for row in read_table(sheet, "#confusion")]
    assert np.array(told, int).tolist() == report["confusion"]
    sheet.page.locator("#mosaic-initial").wait_for()
    assert not sheet.page.locator("#hardest-card").is_visible()


def test_weights_before_training_beside_those_after(
    open_page: OpenPage, reported: Reported, weights: Weights
) -> None:
    """All of them, by sign and size: the picture of the report, and what the file holds."""
    sheet = open_page(reported.page, color_scheme="light")
    sheet.page.locator("#mosaics").wait_for()
    kernel = weights.hidden.kernel
    reach = np.quantile(np.abs(kernel), 0.999)
    for selector, wanted in (("#mosaic", kernel / reach), ("#mosaic-initial", reported.initial)):
        colours = sheet.colours(selector)
        assert colours.shape[:2] == (448, 448)
        signs = np.sign(colours[..., 0] - colours[..., 2])
        tiles = wanted.T.reshape(16, 16, 28, 28).transpose(0, 2, 1, 3).reshape(448, 448)
        strong = np.abs(tiles) > 0.05
        assert (signs == np.sign(tiles))[strong].all()


def test_a_neuron_before_training_is_shown_beside_it(
    open_page: OpenPage, reported: Reported
) -> None:
    """The tile of the same neuron."""
    sheet = open_page(reported.page, color_scheme="light", reduced_motion="reduce")
    sheet.write(THREE)
    sheet.look_inside()
    sheet.page.locator("#board button").nth(37).hover()
    colours = sheet.colours("#neuron-initial")
    signs = np.sign(colours[..., 0] - colours[..., 2])
    tile = reported.initial[:, 37].reshape(28, 28)
    strong = np.abs(tile) > 0.05
    assert (signs == np.sign(tile))[strong].all()


def test_versions_are_switched(open_page: OpenPage, reported: Reported) -> None:
    """The one that is chosen answers, and another one's report goes away."""
    sheet = open_page(reported.page)
    sheet.write(THREE)
    assert sheet.text("#timing").startswith("Version 2.")
    options = sheet.page.locator("#version option").all_inner_texts()
    assert options == ["default (2)", "1", "2"]
    sheet.page.locator("#version").select_option("1")
    sheet.wait_for_text("#timing", "Version 1.")
    sheet.wait_for_text("#model-lead", "version 1")
    sheet.page.locator("#report").wait_for(state="hidden")
    sheet.page.locator("#version").select_option("")
    sheet.wait_for_text("#timing", "Version 2.")
    sheet.page.locator("#report").wait_for()

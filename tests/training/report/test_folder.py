"""The folder `report/`."""

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from flatdense_training.report.findings import Findings
from flatdense_training.report.folder import write_report
from flatdense_training.report.pictures.picture import DOTS_PER_IN, WIDTH_IN
from PIL import Image

pytestmark = pytest.mark.xdist_group("report")  # the files are written once

PICTURES = {
    "class_outcomes.png",
    "confusion_matrix.png",
    "learning_curves.png",
    "rejection.png",
    "reliability.png",
    "robustness.png",
}
FILES = {"MODEL_CARD.md", "report.html", "report.json", "neurons.png", "neurons_initial.png"}


def test_files(folder: Path, public_folder: Path) -> None:
    """It has these files; the drawn test images are the only one that the public report lacks."""
    names = {path.name for path in folder.iterdir()}
    assert names == FILES | PICTURES | {"hardest_images.png"}
    assert {path.name for path in public_folder.iterdir()} == FILES | PICTURES


def test_pictures_are_pngs_without_a_date(folder: Path) -> None:
    """Each picture is a PNG of the same width that says nothing of when and how it was made."""
    for name in PICTURES:
        with Image.open(folder / name) as image:
            assert image.format == "PNG"
            assert image.width == WIDTH_IN * DOTS_PER_IN
            assert image.info.keys() <= {"transparency"}
            assert len(image.getcolors(maxcolors=256) or []) > 4


def test_equal_findings_equal_bytes(
    findings: Findings, folder: Path, write: Callable[[Findings], Path]
) -> None:
    """The same run gives the same bytes, whatever the user set in matplotlib; that stays set."""
    with mpl.rc_context({"font.size": 23, "axes.linewidth": 9, "xtick.major.size": 20}):
        again = write(findings)
        assert mpl.rcParams["font.size"] == 23
    assert sorted(path.name for path in again.iterdir()) == sorted(
        path.name for path in folder.iterdir()
    )
    for path in folder.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def shown_bytes(folder: Path) -> bytes:
    """All that the files of a report hold: as they are, unpacked from base64, and as pixels."""
    found = [path.read_bytes() for path in folder.iterdir()]
    texts = [(folder / name).read_text() for name in ("report.html", "report.json")]
    words = [word for text in texts for word in re.findall(r"[A-Za-z0-9+/]{100,}={0,2}", text)]
    found += [base64.b64decode(word) for word in words if len(word) % 4 == 0]
    found += [np.asarray(Image.open(path).convert("L")).tobytes() for path in folder.glob("*.png")]
    return b"\0".join(found)


def test_no_test_image_in_the_public_report(
    findings: Findings, folder: Path, public_folder: Path
) -> None:
    """Without drawn digits, no test image's bytes are in any file, nor a row of its ink.

    In the other report they are found, so it is known that they would be.
    """
    drawn, public = shown_bytes(folder), shown_bytes(public_folder)
    images = findings.test_examples.images
    assert sum(image.tobytes() in drawn for image in images) == 30
    assert not any(image.tobytes() in public for image in images)
    assert json.loads((public_folder / "report.json").read_text())["hardest"] == []
    hardest = [image for image in images if image.tobytes() in drawn]
    inked = {row.tobytes() for image in hardest for row in image if np.count_nonzero(row) > 4}
    assert not any(row in public for row in inked)


def test_never_over_another(findings: Findings, tmp_path: Path) -> None:
    """A folder that is there already is left as it is, and nothing is computed for it."""
    (tmp_path / "report").mkdir()
    with pytest.raises(FileExistsError):
        write_report(tmp_path / "report", findings)
    assert not list((tmp_path / "report").iterdir())

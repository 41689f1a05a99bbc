"""A model folder in which one version has a report of its training, and one has none."""

import base64
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from flatdense_artifact import digest_files, read_manifest, write_manifest
from msgspec.structs import replace
from PIL import Image

EPOCHS = 4

SIDE = 28


@dataclass(frozen=True)
class Reported:
    """A server of such a folder."""

    page: str
    """Where its page is."""
    model_dir: Path
    report: dict[str, Any]
    """What report.json of version 2 says; version 1 has none."""
    initial: npt.NDArray[np.float64]
    """[784, 256] the weights that its picture has, -1 to 1."""


def make_report() -> dict[str, Any]:
    """A small one: its numbers fit each other, and its digits are seeded patterns."""
    hand = np.random.default_rng(0)
    confusion = hand.integers(0, 3, (10, 10)) + np.diag(hand.integers(80, 100, 10))
    rows, correct = int(confusion.sum()), int(np.trace(confusion))
    measured = {
        "rows": rows,
        "correct": correct,
        "accuracy": correct / rows,
        "accuracy_low": correct / rows - 0.01,
        "accuracy_high": correct / rows + 0.01,
        "loss": 0.1,
    }
    epochs = [
        {
            "number": number,
            "loss": 1 / number,
            "accuracy": 1 - 0.2 / number,
            "validation_loss": 1.1 / number,
            "validation_accuracy": 1 - 0.25 / number,
            "learning_rate": 1e-3,
            "duration_s": 1.0,
        }
        for number in range(1, EPOCHS + 1)
    ]
    hardest = [
        {
            "row": row,
            "label": row,
            "answer": (row + 1) % 10,
            "confidence": 0.9,
            "label_probability": 0.05,
            "pixels": base64.b64encode(hand.bytes(SIDE * SIDE)).decode(),
        }
        for row in range(3)
    ]
    return {
        "format_version": 1,
        "epochs": epochs,
        "validation": measured,
        "test": measured,
        "confusion": confusion.tolist(),
        "classes": [],
        "calibration": {"temperature": 1.0, "ece": 0.01, "bins": []},
        "rejection": [],
        "robustness": [],
        "hardest": hardest,
    }


def draw_weights(kernel: npt.NDArray[np.float64]) -> Image.Image:
    """Weights from -1 to 1 as a report draws them: from blue over white to red, a tile a neuron."""
    tiles = kernel.T.reshape(16, 16, SIDE, SIDE).transpose(0, 2, 1, 3).reshape(16 * SIDE, -1)
    ends = np.where(tiles[..., None] < 0, (33, 102, 172), (178, 24, 43))
    colours = 255 + (ends - 255) * np.abs(tiles)[..., None]
    return Image.fromarray(colours.round().astype(np.uint8))


def make_model_dir(
    exported: Path, model_dir: Path, report: dict[str, Any], initial: npt.NDArray[np.float64]
) -> None:
    """Versions 1 and 2 of the same weights, both served; version 2 has the report."""
    shutil.copytree(exported / "1", model_dir / "1")
    second = Path(shutil.copytree(exported / "1", model_dir / "2"))
    folder = second / "report"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(model_dir / "1" / "report", ignore_errors=True)
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps(report))
    draw_weights(initial).save(folder / "neurons_initial.png")
    for version in (1, 2):
        at = model_dir / str(version)
        write_manifest(at, replace(read_manifest(at), files=digest_files(at)))
    (model_dir / "versions.toml").write_text("versions = [1, 2]\n")

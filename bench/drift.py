"""What prediction health says of usual and strange images: `python bench/drift.py MNIST FASHION`.

The arguments are folders with IDX files. A real server answers the 10,000 test images of MNIST as
they are, changed in ways that happen, and those of Fashion-MNIST. Each 10,000 are compared with the
training reference as the server compares a window. Then windows of unchanged images are drawn again
and again, to see what chance alone makes of fewer. Nothing here depends on the machine. Writes
bench/results/drift.json, and the table of a decision record.
"""

import argparse
import gzip
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from flatdense_artifact import FEATURES, Histogram, Manifest, count_bins, measure, read_manifest
from flatdense_client import Client
from flatdense_server.observe.health.drift import MIN_ROWS
from flatdense_server.observe.health.stability import stability_index
from report import DRIFT, DRIFT_PAGE, Results, publish, render_drift

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "examples"))

from server_process import ServerProcess  # noqa: E402 -- after the path that it is on

MODEL_DIR = HERE.parent / "exported_model"
VERSION = 1

LOW_CONFIDENCE = 0.8
WINDOW_ROWS = (100, 200, MIN_ROWS, 1000, 2000)
DRAWS = 10_000

THREE = 3

Images = npt.NDArray[np.uint8]
Features = Mapping[str, npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Reference:
    """What images are compared with."""

    histograms: Mapping[str, Histogram]
    rows: int
    """Validation rows of the training run."""

    def bins(self, feature: str, values: npt.NDArray[np.float64]) -> list[int]:
        """The rows in each bin."""
        counts: list[int] = count_bins(values, self.histograms[feature].edges).tolist()
        return counts

    def index(self, feature: str, counts: list[int]) -> float:
        """As the server has it."""
        fractions = self.histograms[feature].fractions
        return stability_index(counts, [round(each * self.rows) for each in fractions])


def main(mnist: Path, fashion: Path) -> None:
    """Asks, compares, writes, prints."""
    digits = read_images(mnist)
    kinds = {
        "test images": digits,
        "inverted": 255 - digits,
        "shifted by 4 pixels": np.roll(digits, 4, axis=1),
        "turned by 90 degrees": np.rot90(digits, axes=(1, 2)),
        "half as bright": digits // 2,
        "threes alone": digits[read_labels(mnist) == THREE],
        "Fashion-MNIST": read_images(fashion),
    }
    reference = read_reference(read_manifest(MODEL_DIR / str(VERSION)))
    with ServerProcess("--model-dir", str(MODEL_DIR), "--workers", "1") as server:
        server.ready()
        with Client(server.address) as client:
            features = {kind: ask(client, images) for kind, images in kinds.items()}
    results = {
        "images": {kind: judge(reference, each) for kind, each in features.items()},
        "chance": {
            str(rows): draw(reference, features["test images"], rows) for rows in WINDOW_ROWS
        },
        "draws": DRAWS,
        "reference_rows": reference.rows,
        "low_confidence": LOW_CONFIDENCE,
    }
    section = render_drift(results)
    publish(results, DRIFT, DRIFT_PAGE, section)
    print(section)


def read_reference(manifest: Manifest) -> Reference:
    """That of a version."""
    return Reference(manifest.reference, manifest.training.validation_rows)


def read_images(folder: Path) -> Images:
    """The test images of a folder, [10000, 28, 28]."""
    data = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    return np.frombuffer(data, np.uint8, offset=16).reshape(-1, 28, 28)


def read_labels(folder: Path) -> Images:
    """Their labels, [10000]."""
    data = gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())
    return np.frombuffer(data, np.uint8, offset=8)


def ask(client: Client, images: Images) -> Features:
    """The features of images, by the server's answers."""
    probabilities = client.classify(np.ascontiguousarray(images)).probabilities
    rows = images.reshape(len(images), -1)
    return measure(rows, probabilities.max(axis=1), probabilities.argmax(axis=1))


def judge(reference: Reference, features: Features) -> dict[str, float]:
    """The index of each feature, and the share of low confidence."""
    indices = {
        name: reference.index(name, reference.bins(name, features[name])) for name in FEATURES
    }
    return {**indices, "low": float(np.mean(features["confidence"] < LOW_CONFIDENCE))}


def draw(reference: Reference, features: Features, rows: int) -> Results:
    """The index of windows of so many images, drawn at random: mean and greatest, over features."""
    random = np.random.default_rng(0)
    indices: dict[str, list[float]] = {}
    for name in FEATURES:
        counts = np.array(reference.bins(name, features[name]))
        windows = random.multinomial(rows, counts / counts.sum(), DRAWS)
        indices[name] = [reference.index(name, window.tolist()) for window in windows]
    bins = {name: len(reference.histograms[name].fractions) for name in FEATURES}
    return {
        "expected": max((bins[name] - 1) * (1 / rows + 1 / reference.rows) for name in FEATURES),
        "mean": max(float(np.mean(each)) for each in indices.values()),
        "most": max(max(each) for each in indices.values()),
    }


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("mnist", type=Path, help="the folder of MNIST's IDX files")
    arguments.add_argument("fashion", type=Path, help="the same of Fashion-MNIST")
    parsed = arguments.parse_args()
    main(parsed.mnist, parsed.fashion)

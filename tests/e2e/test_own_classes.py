"""Three classes of a user's own: from a folder of images to answers."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from flatdense_artifact import read_manifest, verify_files
from flatdense_client import Client
from PIL import Image, ImageDraw
from server_process import ServerProcess

pytestmark = pytest.mark.xdist_group("aot")

BIN = Path(sys.executable).parent

NAMES = ("circle", "square", "cross")
"""In another order than their folders are sorted in."""


def draw(name: str, *, left: int, top: int, side: int) -> Image.Image:
    """One shape, light on dark."""
    image = Image.new("L", (28, 28))
    pen = ImageDraw.Draw(image)
    box = (left, top, left + side, top + side)
    if name == "circle":
        pen.ellipse(box, outline=255, width=2)
    elif name == "square":
        pen.rectangle(box, outline=255, width=2)
    else:
        pen.line(box, fill=255, width=2)
        pen.line((left, top + side, left + side, top), fill=255, width=2)
    return image


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 80 images of each shape."""
    folder = tmp_path_factory.mktemp("data") / "shapes"
    random = np.random.default_rng(0)
    for name in NAMES:
        (folder / name).mkdir(parents=True)
        for number in range(80):
            side = int(random.integers(12, 19))
            left, top = (14 - side // 2 + int(off) for off in random.integers(-2, 3, 2))
            draw(name, left=left, top=top, side=side).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def model_dir(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version that was trained on the shapes."""
    folder = tmp_path_factory.mktemp("models")
    options = ["--preset", "quick", "--class-names", ",".join(NAMES)]
    options += ["--hidden", "24", "--compile", "no"]
    run("flatdense-train", "--dataset", shapes, *options, "--model-dir", folder)
    return folder


@pytest.fixture(scope="module")
def cache_dir(compiled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the library for three classes."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "aot-runtime").symlink_to(compiled.parents[1] / "aot-runtime")
    options = ["--hidden", "24", "--classes", "3", "--max-batch-rows", "2"]
    run("flatdense-compile", *options, "--cache-dir", folder)
    return folder


def run(command: str, *options: str | Path) -> None:
    """Runs one of our commands to its good end."""
    done = subprocess.run(
        [BIN / command, *options], check=False, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr


def test_the_version_says_what_it_learnt(model_dir: Path) -> None:
    """The manifest names the dataset, its classes in the user's order, and what was read."""
    manifest = read_manifest(model_dir / "1")
    verify_files(model_dir / "1", manifest.files)
    assert manifest.classes == list(NAMES)
    assert manifest.training.dataset == "shapes"
    assert [len(sha256) for sha256 in manifest.training.sources.values()] == [64, 64]
    training = manifest.training
    assert training.train_rows + training.validation_rows + training.test_rows == 240
    assert manifest.architecture.layers[-1].output_shape == [3]
    assert manifest.metrics.test_accuracy > 0.6


@pytest.mark.parametrize("engine", ["aot", "jit"])
def test_the_version_is_served(model_dir: Path, cache_dir: Path, shapes: Path, engine: str) -> None:
    """Either engine answers with the user's class names, as the trained model does."""
    golden = read_manifest(model_dir / "1").golden
    options = ("--model-dir", str(model_dir), "--cache-dir", str(cache_dir), "--workers", "1")
    with ServerProcess(*options, "--engine", engine, "--max-batch-rows", "2") as server:
        assert server.ready()["engine"] == engine
        with Client(server.address) as client:
            model = client.model()
            predictions = client.classify(golden.inputs())
            labels = [client.classify([*(shapes / name).iterdir()]).labels for name in NAMES]
            explanations = client.explain(shapes / "cross" / "0.png")
        assert server.stop() == 0
    assert model.class_names == NAMES
    np.testing.assert_allclose(predictions.probabilities, golden.outputs(), rtol=0, atol=1e-4)
    assert tuple(max(set(each), key=each.count) for each in labels) == NAMES
    assert explanations[0].label in NAMES

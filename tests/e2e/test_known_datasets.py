"""The datasets that are known by name, alone and together, from their files to a version."""

import subprocess
import sys
from pathlib import Path

from flatdense_artifact import Manifest, read_manifest, verify_files
from flatdense_training.data.datasets import DIGITS, FASHION_MNIST, MNIST

TRAIN = Path(sys.executable).with_name("flatdense-train")


def train(data_dir: Path, model_dir: Path, *options: str) -> tuple[Manifest, str]:
    """The version that a short run exports, verified, and what the run said."""
    command = [TRAIN, "--preset", "quick", "--compile", "no", "--data-dir", data_dir, *options]
    done = subprocess.run(
        [*command, "--model-dir", model_dir],
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    manifest = read_manifest(model_dir / "1")
    verify_files(model_dir / "1", manifest.files)
    return manifest, done.stdout


def test_fashion_is_learnt(fashion_folder: Path, tmp_path: Path) -> None:
    """Clothes are learnt as digits are, from the same kind of files, and named as clothes."""
    least = ["--min-accuracy", "0.85"]  # what three passes reach; more of them reach its own
    manifest, _ = train(fashion_folder, tmp_path, "--dataset", "fashion-mnist", *least)
    assert manifest.training.dataset == "fashion-mnist"
    assert manifest.classes == list(FASHION_MNIST.class_names)
    assert manifest.training.sources == dict(FASHION_MNIST.sha256)


def test_two_datasets_are_learnt_at_once(mnist_folder: Path, tmp_path: Path) -> None:
    """The version knows both, and the run tells how well it reads each."""
    manifest, said = train(mnist_folder, tmp_path, "--dataset", "mnist", "--dataset", "digits")
    assert manifest.training.dataset == "mnist+digits"
    assert manifest.training.sources == {
        f"{dataset.name}/{name}": sha256
        for dataset in (MNIST, DIGITS)
        for name, sha256 in dataset.sha256.items()
    }
    assert manifest.metrics.test_accuracy > 0.96
    told = [line.split()[0] for line in said.splitlines() if line.endswith("test images")]
    assert told == ["mnist:", "digits:"]

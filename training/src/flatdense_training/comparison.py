"""Two exported versions side by side. TensorFlow is not needed, so it starts at once."""

from pathlib import Path

from flatdense_artifact import (
    ArtifactError,
    Manifest,
    Weights,
    list_versions,
    read_manifest,
    read_weights,
    verify_files,
    version_folder,
)

from flatdense_training.data.datasets import DATASETS, Dataset
from flatdense_training.data.material import Material, assemble
from flatdense_training.errors import ComparisonFailed
from flatdense_training.judge.comparison import compare
from flatdense_training.judge.evaluate import evaluate
from flatdense_training.judge.forward import classifier
from flatdense_training.judge.robustness import disturb
from flatdense_training.request import Request
from flatdense_training.terminal.comparison_tables import show_comparison, show_robustness
from flatdense_training.terminal.screen import Screen
from flatdense_training.workflow import read


def compare_versions(request: Request, screen: Screen) -> None:
    """Compares two versions on the test images of their data, and shows it.

    The data is what the manifests name, read as for a training run. No version is written to.
    Raises ComparisonFailed, or what reading data raises.
    """
    versions = request.versions
    folders = [find_version(request.model_dir, version) for version in versions]
    manifests = [read_checked(folder) for folder in folders]
    check_comparable(versions, manifests)
    screen.chapter("Data")
    material = read_material(request, manifests[0], screen)
    screen.data(material)
    examples = material.splits.test
    asked = [classifier(read_layers(folder)) for folder in folders]
    answers = [evaluate(classify, examples) for classify in asked]
    show_comparison(screen, versions, compare(answers[0], answers[1], manifests[0].classes))
    with screen.waiting("Disturbing the test images"):
        first, second = (
            disturb(classify, examples, answered)
            for classify, answered in zip(asked, answers, strict=True)
        )
    show_robustness(screen, versions, first, second)


def find_version(model_dir: Path, version: int) -> Path:
    """Where a version lies. Raises ComparisonFailed where it is not there."""
    try:
        present = list_versions(model_dir)
    except ArtifactError as error:
        raise ComparisonFailed(f"There is nothing to compare: {error}") from error
    if version not in present:
        raise ComparisonFailed(
            f"{model_dir} has no version {version}. It has {', '.join(map(str, present))}. "
            "Name two of them, or another folder by --model-dir."
        )
    return version_folder(model_dir, version)


def read_checked(folder: Path) -> Manifest:
    """The manifest of a version that is whole. Raises ComparisonFailed."""
    try:
        manifest = read_manifest(folder)
        verify_files(folder, manifest.files)
    except ArtifactError as error:
        raise ComparisonFailed(f"{folder} cannot be compared: {error}") from error
    return manifest


def read_layers(folder: Path) -> Weights:
    """The weights of a version. Raises ComparisonFailed."""
    try:
        return read_weights(folder, ("hidden", "output"))
    except ArtifactError as error:
        raise ComparisonFailed(f"{folder} cannot be compared: {error}") from error


def check_comparable(versions: tuple[int, int], manifests: list[Manifest]) -> None:
    """Raises ComparisonFailed unless both have the same classes and were trained on the same."""
    first, second = manifests
    if first.classes != second.classes:
        raise ComparisonFailed(
            f"Version {versions[0]} has the classes {', '.join(first.classes)}, and version "
            f"{versions[1]} has {', '.join(second.classes)}. Only versions with the same classes "
            "can be compared."
        )
    if first.training.sources != second.training.sources:
        raise ComparisonFailed(
            f"Version {versions[0]} was trained on {first.training.dataset}, and version "
            f"{versions[1]} on {second.training.dataset}: their checksums differ. Only versions "
            "that were trained on the same data can be compared, for a test image of one might "
            "have been learnt by the other."
        )


def read_material(request: Request, manifest: Manifest, screen: Screen) -> Material:
    """The data that a manifest names. Raises ComparisonFailed where it is not that."""
    class_names = tuple(manifest.classes)
    sources = [
        read(
            choice,
            class_names=class_names,
            data_dir=request.data_dir,
            cache_dir=request.cache_dir,
            screen=screen,
        )
        for choice in choose_data(request, manifest)
    ]
    material = assemble(sources, class_names, seed=manifest.training.seed)
    if dict(material.dataset.sha256) != manifest.training.sources:
        raise ComparisonFailed(
            f"The versions were trained on {manifest.training.dataset}, and its checksums are not "
            f"those of {material.dataset.title}. Name the data that they were trained on by "
            "--dataset."
        )
    return material


def choose_data(request: Request, manifest: Manifest) -> tuple[Dataset | Path, ...]:
    """The known datasets that the manifest names; else what the request names."""
    names = manifest.training.dataset.split("+")
    known = tuple(DATASETS[name] for name in names if name in DATASETS)
    checksums = {sha256 for dataset in known for sha256 in dataset.sha256.values()}
    return known if checksums == set(manifest.training.sources.values()) else request.datasets

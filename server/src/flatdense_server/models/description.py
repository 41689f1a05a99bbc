"""What is known of a version before it is opened, and how its answers are checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flatdense_artifact import (
    MANIFEST_NAME,
    WEIGHTS_NAME,
    Golden,
    VersionDamaged,
    Weights,
    read_manifest,
    verify_files,
)

from flatdense_server.engine.engine import EngineError
from flatdense_server.engine.files import ModelFiles
from flatdense_server.engine.survey import survey
from flatdense_server.models.signatures import read_signatures
from flatdense_server.summary import ModelFacts
from flatdense_server.tensors import IMAGE_SHAPE

SAVED_MODEL_NAME: Final = "saved_model.pb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One version, not opened yet."""

    facts: ModelFacts
    files: ModelFiles
    golden: Golden
    """Of its trainer; where there is no manifest, of TensorFlow on this machine."""
    weights: Weights | None
    """Of the two dense layers, where they are known."""


def describe(folder: Path, cache_dir: Path) -> Description:
    """Reads the manifest and checks the files; or surveys a SavedModel that has none.

    A survey starts a process with TensorFlow, for seconds, and is kept in `cache_dir`. Raises
    ArtifactError or EngineError.
    """
    if not folder.is_dir():
        raise VersionDamaged(f"there is no folder {folder}. Export the version, or do not name it.")
    if is_foreign(folder):
        return describe_foreign(folder, cache_dir)
    return describe_export(folder)


def is_foreign(folder: Path) -> bool:
    """Whether another program than flatdense-train exported a version: it has no manifest.

    One of ours that is half-copied is not foreign: no other program writes our weights.
    """
    present = [(folder / name).exists() for name in (SAVED_MODEL_NAME, MANIFEST_NAME, WEIGHTS_NAME)]
    return present == [True, False, False]


def describe_export(folder: Path) -> Description:
    """A version with a manifest, whose files are those that it names."""
    manifest = read_manifest(folder)
    verify_files(folder, manifest.files)
    architecture = manifest.architecture
    if tuple(architecture.input_shape) != IMAGE_SHAPE:
        raise EngineError(
            f"{folder} takes images of {architecture.input_shape}; this server serves "
            f"{list(IMAGE_SHAPE)}."
        )
    facts = ModelFacts(
        class_names=manifest.classes,
        layers=architecture.layers,
        parameters=architecture.parameters,
        training=manifest.training,
        metrics=manifest.metrics,
        created_at=manifest.created_at,
        signatures=read_signatures(folder / SAVED_MODEL_NAME),
        reference=manifest.reference,
    )
    files = ModelFiles(saved_model=folder, layers=architecture.layers, weights=folder)
    return Description(
        facts=facts, files=files, golden=manifest.golden, weights=files.read_weights()
    )


def describe_foreign(folder: Path, cache_dir: Path) -> Description:
    """A SavedModel of another program, as far as a survey can tell."""
    found, surveyed = survey(folder, cache_dir)
    facts = ModelFacts(
        class_names=[str(number) for number in range(found.class_count)],
        layers=found.layers,
        parameters=found.parameters,
        training=None,
        metrics=None,
        created_at=None,
        unchecked=found.unchecked,
    )
    files = ModelFiles(saved_model=folder, layers=found.layers, weights=surveyed, survey=found)
    weights = files.read_weights() if found.layers else None
    return Description(facts=facts, files=files, golden=found.golden, weights=weights)

"""The version that scores: which one, and its engine, the same as in the server."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from flatdense_artifact import (
    MANIFEST_NAME,
    ArtifactError,
    digest_files,
    list_versions,
    version_folder,
)
from flatdense_server.engine.choice import EngineChoice, EngineName, EngineOptions
from flatdense_server.engine.engine import Engine, EngineError
from flatdense_server.models.gate import open_version
from flatdense_server.settings import quieten_tensorflow

from flatdense_cluster.errors import ClusterError

MAX_BATCH_ROWS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One version in a model folder."""

    folder: Path
    """Of the version."""
    version: int
    sha256: str
    """Of all its files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedModel:
    """A version that passed the server's gate."""

    engine: Engine
    class_names: tuple[str, ...]


def find_model(model_dir: Path, version: int | None) -> Model:
    """A version, or the newest one. Raises ClusterError where there is no such version."""
    try:
        versions = list_versions(model_dir)
    except ArtifactError as error:
        raise ClusterError(str(error)) from error
    number = versions[-1] if version is None else version
    if number not in versions:
        there = ", ".join(map(str, versions))
        raise ClusterError(f"there is no version {number} in {model_dir}, which has {there}.")
    folder = version_folder(model_dir, number).resolve()
    return Model(folder=folder, version=number, sha256=digest_version(folder))


def digest_version(folder: Path) -> str:
    """The sha256 over the names and digests of all its files. Raises ClusterError."""
    try:
        digests = digest_files(folder)
        if (manifest := folder / MANIFEST_NAME).exists():
            digests[MANIFEST_NAME] = hashlib.sha256(manifest.read_bytes()).hexdigest()
    except OSError as error:
        raise ClusterError(f"{error.filename} cannot be read: {error.strerror}.") from error
    return hashlib.sha256(repr(sorted(digests.items())).encode()).hexdigest()


def open_model(model: Model, engine: EngineName, cache_dir: Path) -> OpenedModel:
    """Opens the version on this machine, on one thread of its CPU.

    Raises ClusterError where it is another one here, or fails a check of the server's.
    """
    if digest_version(model.folder) != model.sha256:
        raise ClusterError(
            f"{model.folder} holds other files here than where the job was begun. Every node needs "
            "the same version."
        )
    quieten_tensorflow()
    options = EngineOptions(
        engine=engine,
        device="cpu",
        max_batch_rows=MAX_BATCH_ROWS,
        threads=1,
        cache_dir=cache_dir,
    )
    choice = EngineChoice(options, on_compile=lambda _phase: None)
    try:
        opened = open_version(model.folder, cache_dir, choice.open)
    except (ArtifactError, EngineError) as error:
        raise ClusterError(f"version {model.version} cannot score: {error}") from error
    return OpenedModel(engine=opened.engine, class_names=tuple(opened.facts.class_names))

"""The exported model on disk: what a trainer writes and a server reads.

One version is one folder, `<model-dir>/<version>/`:

    saved_model.pb, variables/   a SavedModel that any TensorFlow loads
    weights.safetensors          the same weights, for readers without TensorFlow
    manifest.json                what the version is, where it came from, each file's sha256

A version appears by one atomic rename and is never changed after. Beside the model folder, a cache
holds libraries that were compiled ahead of time: see library.py.
"""

from flatdense_artifact.digest import digest_files, verify_files
from flatdense_artifact.errors import (
    ArtifactError,
    LibraryUnusable,
    ManifestInvalid,
    NoVersions,
    VersionDamaged,
)
from flatdense_artifact.features import FEATURES, count_bins, measure
from flatdense_artifact.library import (
    CompiledLibrary,
    NetworkShape,
    Target,
    check_library,
    find_libraries,
    find_shape,
    libraries_folder,
    read_library,
    write_library,
)
from flatdense_artifact.manifest import (
    FORMAT_VERSION,
    MANIFEST_NAME,
    Architecture,
    Golden,
    Histogram,
    Layer,
    Manifest,
    Metrics,
    Training,
    read_manifest,
    write_manifest,
)
from flatdense_artifact.network import Library, Network, align_weights, allocate
from flatdense_artifact.versions import list_versions, next_version, version_folder
from flatdense_artifact.weights import (
    WEIGHTS_NAME,
    DenseLayer,
    Weights,
    read_weights,
    write_weights,
)

__all__ = [
    "FEATURES",
    "FORMAT_VERSION",
    "MANIFEST_NAME",
    "WEIGHTS_NAME",
    "Architecture",
    "ArtifactError",
    "CompiledLibrary",
    "DenseLayer",
    "Golden",
    "Histogram",
    "Layer",
    "Library",
    "LibraryUnusable",
    "Manifest",
    "ManifestInvalid",
    "Metrics",
    "Network",
    "NetworkShape",
    "NoVersions",
    "Target",
    "Training",
    "VersionDamaged",
    "Weights",
    "align_weights",
    "allocate",
    "check_library",
    "count_bins",
    "digest_files",
    "find_libraries",
    "find_shape",
    "libraries_folder",
    "list_versions",
    "measure",
    "next_version",
    "read_library",
    "read_manifest",
    "read_weights",
    "verify_files",
    "version_folder",
    "write_library",
    "write_manifest",
    "write_weights",
]

"""What can be wrong with an exported model.

ArtifactError
├── NoVersions        the model folder is missing or holds no version
├── VersionDamaged    a file is missing, altered, truncated or surplus
├── ManifestInvalid   manifest.json cannot be read, or says something impossible
└── LibraryUnusable   a compiled library is missing, damaged, or for something else

Each message names the file, what was expected, what was found, and what to do.
"""


class ArtifactError(Exception):
    """An exported model cannot be used as it lies on disk."""


class NoVersions(ArtifactError):
    """The model folder is missing or holds no version."""


class VersionDamaged(ArtifactError):
    """A file of a version is missing, altered, truncated or surplus."""


class ManifestInvalid(ArtifactError):
    """A version's manifest.json cannot be read, or says something impossible."""


class LibraryUnusable(ArtifactError):
    """A compiled library is missing, damaged, or for another processor or architecture."""

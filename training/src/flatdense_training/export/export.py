"""The exported version: everything about a trained model, in one folder."""

from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
from flatdense_artifact import (
    ArtifactError,
    Manifest,
    Weights,
    digest_files,
    version_folder,
    write_manifest,
    write_weights,
)
from msgspec.structs import replace

from flatdense_training.errors import ExportFailed
from flatdense_training.export.publish import publish
from flatdense_training.export.signatures import write_saved_model
from flatdense_training.export.verify import verify_answers
from flatdense_training.report.findings import Findings
from flatdense_training.report.folder import write_report
from flatdense_training.staging import staged

REPORT_FOLDER = "report"
"""Of a version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A model as it goes to the disk."""

    module: tf.Module
    """With the functions of `signatures`."""
    weights: Weights
    manifest: Manifest
    """Complete but for `files`."""
    findings: Findings
    """What the report says."""


def export(version: Version, model_dir: Path) -> Path:
    """Writes one more version, whole, flushed and verified, or not at all, and gives its folder.

    Raises ExportFailed where it cannot be written or does not answer as it should. Nothing is left
    behind then, nor after Ctrl-C.
    """
    try:
        with staged(model_dir) as folder:
            write_saved_model(folder, version.module)
            write_weights(folder, version.weights)
            verify_answers(folder, version.manifest.golden)
            write_report(folder / REPORT_FOLDER, version.findings)
            write_manifest(folder, replace(version.manifest, files=digest_files(folder)))
            return version_folder(model_dir, publish(folder, model_dir))
    except OSError as error:
        raise ExportFailed(cannot_write(model_dir, error.strerror or str(error))) from error
    except tf.errors.OpError as error:
        raise ExportFailed(cannot_write(model_dir, reason_of(error))) from error
    except ArtifactError as error:
        raise ExportFailed(
            f"The export was given up, for it cannot be read back. {error}"
        ) from error


def reason_of(error: tf.errors.OpError) -> str:
    """The system's reason, from the end of TensorFlow's message: `... FILE; REASON [Op:NAME]`."""
    reason: str = error.message.partition(" [Op:")[0].rpartition("; ")[2]
    return reason


def cannot_write(model_dir: Path, reason: str) -> str:
    """What to tell a user whose disk is full or whose folder was taken away."""
    return (
        f"The model could not be exported to {model_dir}: {reason}. Nothing was left there. "
        "Make room, or name another folder by --model-dir."
    )

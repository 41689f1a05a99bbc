"""Folders that are no model folder here, and what to point at instead."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from flatdense_artifact import version_folder

from flatdense_server.migration.answer import Answer, merge, one_each
from flatdense_server.migration.tensorflow_serving import carry_batching, carry_models, judge_path
from flatdense_server.migration.textproto import ConfigUnreadable
from flatdense_server.migration.triton import (
    LINKS,
    carry_model,
    find_models,
    find_versions,
    is_inside,
)

SAVED_MODEL_NAME: Final = "saved_model.pb"

CONFIGS: Final = {"model*.config": carry_models, "batching_param*": carry_batching}
"""TensorFlow Serving's files, by names that they usually have."""


def explain_model_dir(model_dir: Path) -> str | None:
    """One line on a folder of another server, or of one version; None for any other.

    For a folder from which nothing could be served.
    """
    try:
        kind, answer = next(recognise(model_dir), (None, Answer()))
    except ConfigUnreadable as error:
        return f"{error}."
    except OSError:
        return None
    return f"The model folder {model_dir} {kind}. {answer.text()}" if kind else None


def recognise(model_dir: Path) -> Iterator[tuple[str, Answer]]:
    """What the folder is and what to do about it, the surest first.

    Raises OSError, and ConfigUnreadable.
    """
    if remarks := judge_path(str(model_dir)):
        yield "is in no file system", Answer(remarks=remarks)
    if (model_dir / SAVED_MODEL_NAME).is_file():
        yield "is one version", surround(model_dir.absolute())
    versions = find_versions(model_dir)
    if any(is_inside(model_dir, version) for version in versions):
        yield "is a model of Triton's", carry_model(model_dir)
    for file in [file for version in versions for file in find_definitions(model_dir, version)]:
        yield f"has {file.name}", Answer(remarks=(f"Export a SavedModel into {file.parent}",))
    if versions:
        return
    if padded := [it.name for it in sorted(model_dir.iterdir()) if is_padded(it)]:
        yield "has versions with leading zeros", rename(model_dir, padded)
    if configs := [(f, c) for p, c in CONFIGS.items() for f in sorted(model_dir.glob(p))]:
        files = " and ".join(file.name for file, _ in configs)
        answer = merge([carry(str(file), {}) for file, carry in configs])
        yield f"has TensorFlow Serving's {files}", answer
    if models := find_models(model_dir):
        yield "has models in it", one_each(str(model_dir), [carry_model(it) for it in models])


def surround(version: Path) -> Answer:
    """For a folder that is a version itself: the folder around it, or one to be made for it."""
    if version.name in map(str, find_versions(version.parent)):
        return Answer(options=(("--model-dir", str(version.parent)),))
    links = Path(LINKS, version.name)
    folder, link = shlex.quote(str(links)), shlex.quote(str(links / "1"))
    return Answer(
        steps=(f"mkdir -p {folder} && ln -sfn {shlex.quote(str(version))} {link}",),
        options=(("--model-dir", str(links)),),
    )


def find_definitions(model_dir: Path, version: int) -> list[Path]:
    """The models of a version that are no SavedModel, by the names that Triton gives them."""
    folder = version_folder(model_dir, version)
    return [] if (folder / SAVED_MODEL_NAME).exists() else sorted(folder.glob("model.*"))


def is_padded(path: Path) -> bool:
    """Whether a folder is a version to TensorFlow Serving, and none here."""
    name = path.name
    return path.is_dir() and name.isascii() and name.isdigit() and name.startswith("0")


def rename(model_dir: Path, padded: list[str]) -> Answer:
    """Commands that give versions the numbers that their names mean."""
    remark = "Versions begin with 1: give version 0 another number"
    folder = shlex.quote(str(model_dir))
    numbers = {name: int(name) for name in padded}
    return Answer(
        steps=[
            f"mv {folder}/{name} {folder}/{number}" for name, number in numbers.items() if number
        ],
        remarks=(remark,) if 0 in numbers.values() else (),
    )

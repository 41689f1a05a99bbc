"""What a version must show before it takes a single call."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from flatdense_artifact import Golden, Weights

from flatdense_server.engine.engine import Engine, EngineError
from flatdense_server.engine.files import ModelFiles
from flatdense_server.models.description import describe
from flatdense_server.summary import ModelFacts
from flatdense_server.tensors import Rows

OpenEngine = Callable[[ModelFiles], Engine]


@dataclass(frozen=True, slots=True)
class OpenedVersion:
    """A version that passed."""

    facts: ModelFacts
    engine: Engine
    weights: Weights | None
    """Of the two dense layers, where they are known."""


def open_version(folder: Path, cache_dir: Path, open_engine: OpenEngine) -> OpenedVersion:
    """Opens a version: its files are whole, its engine is warm, and it gives the golden answers.

    `cache_dir` is where surveys are kept: see describe(). Raises ArtifactError or EngineError
    saying which of these is not so.
    """
    description = describe(folder, cache_dir)
    engine = open_engine(description.files)
    try:
        check_classes(len(description.facts.class_names), engine)
        check_golden(description.golden, engine)
    except EngineError:
        engine.close()
        raise
    return OpenedVersion(description.facts, engine, description.weights)


def check_classes(named: int, engine: Engine) -> None:
    """Raises EngineError where the manifest names another number of classes than come out."""
    if engine.spec.class_count != named:
        raise EngineError(
            f"the network gives {engine.spec.class_count} classes and the manifest names "
            f"{named}. Export the model again."
        )


def check_golden(golden: Golden, engine: Engine) -> None:
    """Raises EngineError where the engine's answers to the golden inputs are not the golden ones.

    Both dtypes are tried: the same images as uint8, and scaled as float32.
    """
    images, expected = golden.inputs(), golden.outputs()
    scaled: Rows = images.astype(np.float32) / np.float32(255)
    rows: Rows
    for rows in (images, scaled):
        try:
            probabilities = engine.run([rows]).probabilities
        except Exception as error:  # whatever an engine raises, this version is not for serving
            raise EngineError(f"the engine fails on the golden inputs: {error}") from error
        difference = np.abs(probabilities - expected)
        worst = float(difference.max())
        if not worst <= golden.tolerance:  # NaN must fail too
            row = int(np.argmax(difference.max(axis=1)))  # the first NaN, if any
            raise EngineError(
                f"golden input {row} as {rows.dtype} gives probabilities that differ by "
                f"{worst:.3g} from the golden ones; at most {golden.tolerance:.3g} is the same "
                "answer. The weights or the engine are not what was exported."
            )

"""The gate: what a version must show before it takes a call."""

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from flatdense_artifact import (
    Manifest,
    ManifestInvalid,
    VersionDamaged,
    digest_files,
    write_manifest,
)
from flatdense_server.engine.engine import Engine, EngineError
from flatdense_server.engine.files import ModelFiles
from flatdense_server.models.gate import OpenedVersion, OpenEngine, check_golden
from flatdense_server.models.gate import open_version as open_in
from flatdense_server.tensors import Rows

WriteVersion = Callable[..., Path]


def open_version(folder: Path, open_engine: OpenEngine) -> OpenedVersion:
    """With a cache that holds nothing."""
    return open_in(folder, folder.parent / "cache", open_engine)


def test_a_sound_version_passes(
    write_version: WriteVersion, open_engine: OpenEngine, batches: list[Rows]
) -> None:
    """The golden inputs run as both types, and its facts, engine and weights come out."""
    opened = open_version(write_version(1), open_engine)
    facts, engine = opened.facts, opened.engine
    assert facts.training
    assert facts.training.dataset == "seeded noise"
    assert engine.spec.class_count == 10
    assert opened.weights
    assert opened.weights.output.kernel.shape == (16, 10)
    assert [batch.dtype for batch in batches] == [np.uint8, np.float32]


def alter(folder: Path) -> str:
    """Changes one byte of the weights."""
    path = folder / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    return "weights.safetensors was altered or cut short"


def cut(folder: Path) -> str:
    """Cuts a file short."""
    (folder / "saved_model.pb").write_bytes(b"no")
    return "saved_model.pb was altered or cut short"


def lose(folder: Path) -> str:
    """Removes a file of a sub-folder."""
    (folder / "variables" / "variables.index").unlink()
    return "variables/variables.index is missing"


def add(folder: Path) -> str:
    """Adds a file."""
    (folder / "variables" / "stray").write_bytes(b"")
    return "variables/stray is not in the manifest"


@pytest.mark.parametrize("damage", [alter, cut, lose, add])
def test_a_folder_that_is_not_what_was_exported_never_reaches_the_engine(
    write_version: WriteVersion, damage: Callable[[Path], str]
) -> None:
    """An altered, short, missing or surplus file is named, and nothing is opened."""
    folder = write_version(1)
    message = damage(folder)

    def never(_files: ModelFiles) -> Engine:
        raise AssertionError("a damaged version was opened")

    with pytest.raises(VersionDamaged, match=message):
        open_version(folder, never)


def test_a_version_without_a_manifest_is_refused(
    write_version: WriteVersion, open_engine: OpenEngine
) -> None:
    """manifest.json is part of a version."""
    folder = write_version(1)
    (folder / "manifest.json").unlink()
    with pytest.raises(ManifestInvalid, match=r"manifest\.json is missing"):
        open_version(folder, open_engine)


def test_a_network_for_other_images_is_refused(
    write_version: WriteVersion, manifest: Manifest
) -> None:
    """An input shape that is not 28x28 is named beside the one that is served."""
    architecture = msgspec.structs.replace(manifest.architecture, input_shape=[784, 1])
    folder = write_version(1, architecture=architecture)
    with pytest.raises(EngineError, match=r"takes images of \[784, 1\].*serves \[28, 28\]"):
        open_version(folder, lambda _files: pytest.fail("it was opened"))


def nine_classes(manifest: Manifest) -> dict[str, object]:
    """The fields of a manifest that is at one with itself about nine classes."""
    layers = manifest.architecture.layers
    last = msgspec.structs.replace(layers[-1], output_shape=[9])
    golden = manifest.golden
    return {
        "classes": manifest.classes[:9],
        "architecture": msgspec.structs.replace(manifest.architecture, layers=[*layers[:-1], last]),
        "golden": msgspec.structs.replace(
            golden, probabilities=[row[:9] for row in golden.probabilities]
        ),
    }


def test_a_network_with_another_number_of_classes_is_refused(
    write_version: WriteVersion, open_engine: OpenEngine, manifest: Manifest
) -> None:
    """What comes out of the engine is counted against the manifest's classes."""
    folder = write_version(1, **nine_classes(manifest))
    with pytest.raises(EngineError, match="gives 10 classes and the manifest names 9"):
        open_version(folder, open_engine)


def test_other_weights_than_the_exported_ones_are_refused(
    write_version: WriteVersion, open_engine: OpenEngine
) -> None:
    """Whole files whose network gives other golden answers are refused, naming the difference."""
    folder = write_version(1, bias=0.5)
    with pytest.raises(
        EngineError, match=r"golden input \d as uint8 .* differ by .* at most 1e-05"
    ):
        open_version(folder, open_engine)


def test_a_difference_within_the_tolerance_passes(
    write_version: WriteVersion, open_engine: OpenEngine, manifest: Manifest
) -> None:
    """The manifest's own tolerance decides what is the same answer."""
    golden = msgspec.structs.replace(manifest.golden, tolerance=1.0)
    open_version(write_version(1, bias=0.5, golden=golden), open_engine)


class Broken:
    """An engine whose answers to some row are not numbers."""

    def __init__(self, engine: Engine, bad_rows: slice) -> None:
        self.spec = engine.spec
        self.closed = threading.Event()
        self._engine, self._bad_rows = engine, bad_rows

    def run(self, parts: list[Rows]) -> object:
        """See Engine.run."""
        outputs = self._engine.run(parts)
        outputs.probabilities[self._bad_rows] = np.nan
        return outputs

    def close(self) -> None:
        """See Engine.close."""
        self.closed.set()


@pytest.mark.parametrize(("bad_rows", "named"), [(slice(3, 4), 3), (slice(None), 0)])
def test_answers_that_are_not_numbers_are_refused(
    manifest: Manifest, make_engine: Callable[..., Engine], bad_rows: slice, named: int
) -> None:
    """NaN in one golden answer or in all is a mismatch, named by the first such row."""
    engine = Broken(make_engine(), bad_rows)
    with pytest.raises(EngineError, match=f"golden input {named} as uint8 .* differ by nan"):
        check_golden(manifest.golden, engine)


def test_an_engine_that_fails_the_gate_is_closed(
    write_version: WriteVersion, make_engine: Callable[..., Engine]
) -> None:
    """What was opened for a version that is refused lets go of its memory."""
    engine = Broken(make_engine(), slice(None))
    with pytest.raises(EngineError):
        open_version(write_version(1), lambda _files: engine)
    assert engine.closed.is_set()


def test_an_altered_manifest_does_not_hide_an_altered_file(
    write_version: WriteVersion, open_engine: OpenEngine, manifest: Manifest
) -> None:
    """Digests made to fit altered weights do not help: the golden answers still tell."""
    folder = write_version(1)
    other = write_version(2, bias=0.5)
    weights = (other / "weights.safetensors").read_bytes()
    (folder / "weights.safetensors").write_bytes(weights)
    write_manifest(folder, msgspec.structs.replace(manifest, files=digest_files(folder)))
    with pytest.raises(EngineError, match="golden input"):
        open_version(folder, open_engine)


def test_an_engine_that_cannot_run_the_golden_inputs_is_refused(
    write_version: WriteVersion, open_engine: OpenEngine, faults: list[Exception]
) -> None:
    """Whatever an engine raises on the golden inputs becomes a reason not to serve the version."""
    faults.append(ValueError("no such kernel"))
    with pytest.raises(EngineError, match="fails on the golden inputs: no such kernel"):
        open_version(write_version(1), open_engine)

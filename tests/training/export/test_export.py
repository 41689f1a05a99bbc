"""Exported versions: what is in them, and what happens where one cannot be written."""

import io
import json
import resource
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from flatdense_artifact import (
    Manifest,
    VersionDamaged,
    read_manifest,
    read_weights,
    verify_files,
)
from flatdense_training.data.datasets import DIGITS
from flatdense_training.data.digits import read_embedded
from flatdense_training.data.pixels import scale
from flatdense_training.data.split import split
from flatdense_training.errors import AccuracyTooLow, ExportFailed
from flatdense_training.order import Order
from flatdense_training.terminal.screen import Screen
from flatdense_training.workflow import follow
from made_run import make_findings
from rich.console import Console

Signatures = Mapping[str, Callable[..., Any]]


@pytest.fixture
def manifest(trained: Path) -> Manifest:
    """The manifest of the version that was trained."""
    return read_manifest(trained)


@pytest.fixture(scope="module")
def signatures(trained: Path) -> Iterator[Signatures]:
    """The SavedModel's signatures, loaded by TensorFlow alone."""
    import tensorflow as tf  # noqa: PLC0415 -- takes seconds

    loaded = tf.saved_model.load(str(trained))
    yield loaded.signatures
    del loaded  # which the signatures need, and do not hold


def test_files(trained: Path, manifest: Manifest) -> None:
    """The version is 1, alone in its folder, and has the files of the interface and no other."""
    assert [entry.name for entry in trained.parent.iterdir()] == ["1"]
    assert {"saved_model.pb", "weights.safetensors", "variables/variables.index"} <= set(
        manifest.files
    )
    verify_files(trained, manifest.files)


def test_signatures(signatures: Signatures) -> None:
    """The SavedModel has the interface's three signatures, with its names, types and shapes."""
    answers = {"probabilities": ("float32", [None, 10]), "classes": ("int64", [None])}
    expected = {
        "serving_default": ("float32", answers),
        "serving_uint8": ("uint8", answers),
        "explain": ("float32", answers | {"hidden": ("float32", [None, 32])}),
    }
    assert set(signatures) == set(expected)
    for name, (input_type, outputs) in expected.items():
        _, inputs = signatures[name].structured_input_signature
        assert list(inputs) == ["images"]
        assert inputs["images"].dtype.name == input_type
        assert inputs["images"].shape.as_list() == [None, 784]
        found = signatures[name].structured_outputs
        assert {
            key: (tensor.dtype.name, tensor.shape.as_list()) for key, tensor in found.items()
        } == outputs


def test_variables_have_the_names_of_the_weights(trained: Path, signatures: Signatures) -> None:
    """The SavedModel's variables are called as the tensors of weights.safetensors are."""
    variables = signatures["serving_default"].variables
    tensors = safetensors.numpy.load_file(trained / "weights.safetensors")
    assert {variable.name.removesuffix(":0") for variable in variables} == set(tensors)
    for variable in variables:
        assert np.array_equal(variable.numpy(), tensors[variable.name.removesuffix(":0")])


@pytest.mark.parametrize("rows", [0, 1, 3, 64])
def test_signatures_agree(signatures: Signatures, rows: int) -> None:
    """Bytes and scaled floats get the same answers, rows sum to 1, and the class is the largest."""
    import tensorflow as tf  # noqa: PLC0415 -- takes seconds

    images = np.random.default_rng(rows).integers(0, 256, (rows, 784), np.uint8)
    by_bytes = signatures["serving_uint8"](images=tf.constant(images))
    by_floats = signatures["serving_default"](images=tf.constant(scale(images)))
    explained = signatures["explain"](images=tf.constant(scale(images)))
    probabilities = by_bytes["probabilities"].numpy()
    assert probabilities.shape == (rows, 10)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert np.array_equal(by_bytes["classes"].numpy(), probabilities.argmax(axis=1))
    for other in (by_floats, explained):
        assert np.allclose(other["probabilities"].numpy(), probabilities, atol=1e-6)
    assert (explained["hidden"].numpy() >= 0).all()


def test_weights_give_the_golden_outputs(trained: Path, manifest: Manifest) -> None:
    """The network in plain NumPy, over weights.safetensors, answers as Keras did."""
    weights = read_weights(trained, ("hidden", "output"))
    images = scale(manifest.golden.inputs()).astype(np.float64)
    hidden = np.maximum(images @ weights.hidden.kernel + weights.hidden.bias, 0)
    powers = np.exp(hidden @ weights.output.kernel + weights.output.bias)
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    assert np.abs(probabilities - manifest.golden.outputs()).max() < 1e-5


def test_manifest_says_what_was_done(manifest: Manifest) -> None:
    """The manifest names the data, its parts, the recipe, the libraries and the features."""
    assert manifest.classes == list("0123456789")
    assert manifest.training.sources == dict(DIGITS.sha256)
    training = manifest.training
    assert (training.train_rows, training.validation_rows, training.test_rows) == (1257, 270, 270)
    assert (training.dataset, training.seed, training.epochs) == ("digits", 0, 12)
    assert set(manifest.libraries) == {
        "python",
        "tensorflow",
        "keras",
        "numpy",
        "flatdense-training",
    }
    assert set(manifest.reference) == {"input_mean", "ink_share", "confidence", "class"}
    assert manifest.architecture.parameters == 785 * 32 + 33 * 10


def test_accuracy_is_that_of_the_exported_function(
    signatures: Signatures, manifest: Manifest
) -> None:
    """About the test images, the SavedModel is right exactly as often as the manifest says."""
    import tensorflow as tf  # noqa: PLC0415 -- takes seconds

    test = split(DIGITS, read_embedded(), seed=0).test
    classes = signatures["serving_uint8"](images=tf.constant(test.rows()))["classes"]
    assert np.count_nonzero(classes.numpy() == test.labels) / len(test) == (
        manifest.metrics.test_accuracy
    )


def test_report(trained: Path, manifest: Manifest, output: io.StringIO) -> None:
    """The user reads where the data came from, how good the model is, and how to serve it."""
    assert (
        "scikit-learn's digits from the installed package, 2 checksums verified"
        in output.getvalue()
    )
    assert f"{manifest.metrics.test_accuracy:.4f}" in output.getvalue()
    assert f"flatdense-server --model-dir {trained.parent}" in output.getvalue()
    assert output.getvalue().count("  epoch ") == 12


def test_damage_is_found_before_publishing(trained: Path, tmp_path: Path) -> None:
    """A version whose weights are not the trained ones is not verified."""
    from flatdense_training.export.verify import verify_answers  # noqa: PLC0415 -- takes seconds

    manifest = read_manifest(trained)
    shutil.copytree(trained, tmp_path / "copy")
    outputs = np.roll(manifest.golden.outputs(), 1, axis=0)
    golden = type(manifest.golden)(
        images=manifest.golden.images, probabilities=outputs.tolist(), tolerance=1
    )
    verify_answers(tmp_path / "copy", manifest.golden)
    with pytest.raises(ExportFailed, match="by serving_default a probability differs"):
        verify_answers(tmp_path / "copy", golden)
    (tmp_path / "copy" / "weights.safetensors").write_bytes(b"short")
    with pytest.raises(VersionDamaged):
        verify_answers(tmp_path / "copy", manifest.golden)


def test_nan_is_found(trained: Path) -> None:
    """A NaN among the answers is a difference too."""
    from flatdense_training.export.verify import verify_answers  # noqa: PLC0415 -- takes seconds

    manifest = read_manifest(trained)
    outputs = manifest.golden.outputs().copy()
    outputs[0, 0] = np.nan
    golden = type(manifest.golden)(
        images=manifest.golden.images, probabilities=outputs.tolist(), tolerance=1
    )
    with pytest.raises(ExportFailed, match="differs by nan"):
        verify_answers(trained, golden)


def test_refused_below_the_minimum(order: Callable[..., Order], tmp_path: Path) -> None:
    """A model that is not good enough is not exported, and the folder is not even made."""
    model_dir = tmp_path / "models"
    with pytest.raises(AccuracyTooLow, match=r"expected at least 1\.0.*--min-accuracy"):
        follow(order(model_dir, epochs=1, min_accuracy=1.0), Screen(Console(quiet=True)))
    assert not model_dir.exists()


@contextmanager
def small_disk(file_bytes: int) -> Iterator[None]:
    """Lets no file of this process grow beyond a size, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    "file",
    [
        "fingerprint.pb",
        "saved_model.pb",
        "variables/variables.data-00000-of-00001",
        "weights.safetensors",
        "report/report.html",
    ],
)
def test_full_disk(trained: Path, tmp_path: Path, file: str) -> None:
    """Where a file cannot be written to its end, the reason is told and nothing is left."""
    from flatdense_training.export.export import Version, export  # noqa: PLC0415 -- takes seconds
    from flatdense_training.export.signatures import build_module  # noqa: PLC0415 -- takes seconds

    manifest = read_manifest(trained)
    weights = read_weights(trained, ("hidden", "output"))
    version = Version(
        module=build_module(weights),
        weights=weights,
        manifest=manifest,
        findings=make_findings(),
    )
    size_bytes = (trained / file).stat().st_size
    # The page of another run is not as long to the byte, and by far the longest file.
    file_bytes = size_bytes // 2 if file == "report/report.html" else size_bytes - 1
    with small_disk(file_bytes), pytest.raises(ExportFailed, match="could not be exported"):
        export(version, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert export(version, tmp_path) == tmp_path / "1"


def test_manifest_is_for_people_too(trained: Path) -> None:
    """The manifest is indented JSON that any program reads."""
    text = (trained / "manifest.json").read_text()
    assert text.startswith('{\n  "format_version": 1,')
    assert json.loads(text)["metrics"]["test_accuracy"] >= 0.8

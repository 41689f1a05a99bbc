"""manifest.json: what is written is read, and what cannot be true is refused."""

import json
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from flatdense_artifact import (
    FORMAT_VERSION,
    Architecture,
    Golden,
    Histogram,
    Layer,
    Manifest,
    ManifestInvalid,
    Metrics,
    Training,
    read_manifest,
    write_manifest,
)
from hypothesis import given
from hypothesis import strategies as st

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
counts = st.integers(0, 1 << 40)
finite = st.floats(allow_nan=False, allow_infinity=False)
fractions = st.floats(0, 1)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """Any manifest that is at one with itself."""
    classes = draw(st.integers(1, 4))
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    rows = draw(st.integers(1, 3))
    bins = draw(st.integers(1, 3))
    pixels = int(np.prod(shape))
    layer = st.builds(
        Layer,
        name=texts,
        kind=texts,
        activation=st.none() | texts,
        output_shape=st.just([classes]),
        parameters=counts,
    )
    edges = st.lists(finite, min_size=bins + 1, max_size=bins + 1, unique=True).map(sorted)
    weights = st.lists(st.integers(1, 1000), min_size=bins, max_size=bins)
    histogram = st.builds(
        Histogram,
        edges=edges,
        fractions=weights.map(lambda each: [weight / sum(each) for weight in each]),
    )
    row = st.lists(finite, min_size=classes, max_size=classes)
    return Manifest(
        created_at=draw(st.datetimes(timezones=st.just(UTC))),
        architecture=Architecture(
            input_shape=shape, layers=draw(st.lists(layer, min_size=1, max_size=3))
        ),
        classes=draw(st.lists(texts, min_size=classes, max_size=classes)),
        files=draw(st.dictionaries(texts, texts, max_size=3)),
        training=draw(
            st.builds(
                Training,
                dataset=texts,
                sources=st.dictionaries(texts, texts, max_size=2),
                train_rows=counts,
                validation_rows=st.integers(1, 1 << 40),
                test_rows=counts,
                seed=counts,
                epochs=counts,
                batch_rows=counts,
                optimizer=texts,
                learning_rate=finite,
                duration_s=finite,
            )
        ),
        metrics=draw(
            st.builds(
                Metrics,
                test_accuracy=fractions,
                test_loss=finite,
                validation_accuracy=fractions,
                validation_loss=finite,
            )
        ),
        libraries=draw(st.dictionaries(texts, texts, max_size=2)),
        golden=Golden(
            images=draw(st.binary(min_size=rows * pixels, max_size=rows * pixels)),
            probabilities=draw(st.lists(row, min_size=rows, max_size=rows)),
            tolerance=draw(finite),
        ),
        reference=draw(st.dictionaries(texts.filter("class".__ne__), histogram, max_size=2)),
    )


@given(manifest=manifests())
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, manifest: Manifest
) -> None:
    """Every field survives the file, exactly: numbers, bytes and text of any script."""
    folder = tmp_path_factory.mktemp("version")
    write_manifest(folder, manifest)
    assert read_manifest(folder) == manifest


def test_the_file_is_for_people_too(version: Path) -> None:
    """Indented JSON with one line end at its end, and the format's version first."""
    text = (version / "manifest.json").read_text()
    assert text.startswith(f'{{\n  "format_version": {FORMAT_VERSION},')
    assert text.endswith("}\n")


def test_golden_vectors_are_arrays_of_rows(version: Path) -> None:
    """Inputs are uint8 [N, pixels] that nobody can write to; outputs float32 [N, classes]."""
    golden = read_manifest(version).golden
    assert golden.inputs().tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert golden.inputs().dtype == np.uint8
    assert not golden.inputs().flags.writeable
    assert golden.outputs().tolist() == [[0.5, 0.25, 0.25], [0.125, 0.125, 0.75]]
    assert golden.outputs().dtype == np.float32


def test_parameters_are_those_of_all_layers(version: Path) -> None:
    """The architecture's number is the sum of its layers'."""
    assert read_manifest(version).architecture.parameters == 43


@pytest.mark.parametrize(
    ("part", "fields", "message"),
    [
        ("architecture", {"layers": []}, "architecture.layers is empty"),
        (
            None,
            {"classes": ["a", "b"]},
            r"the last layer's output_shape is \[3\] and there are 2 classes",
        ),
        ("golden", {"images": b"", "probabilities": []}, "golden has no vectors"),
        (
            "golden",
            {"images": bytes(7)},
            r"golden\.images has 7 bytes for 2 rows of 4 pixels",
        ),
        (
            "golden",
            {"probabilities": [[0.5, 0.25, 0.25], [1.0]]},
            r"a row of golden\.probabilities does not have 3 values",
        ),
        (
            None,
            {"reference": {"ink": Histogram(edges=[0.0, 1.0], fractions=[0.5, 0.5])}},
            r"reference\.ink has 2 edges for 2 bins",
        ),
        (
            None,
            {"reference": {"ink": Histogram(edges=[0.0, 0.5, 0.5], fractions=[0.5, 0.5])}},
            r"the edges of reference\.ink do not ascend",
        ),
        (
            None,
            {"reference": {"ink": Histogram(edges=[0.0, 0.5, 1.0], fractions=[0.5, 0.4])}},
            r"the fractions of reference\.ink sum to 0\.9 and not to 1",
        ),
        (
            None,
            {"reference": {"ink": Histogram(edges=[0.0], fractions=[])}},
            r"the fractions of reference\.ink sum to 0 and not to 1",
        ),
        (
            None,
            {"reference": {"class": Histogram(edges=[0.0, 1.0, 2.0], fractions=[0.5, 0.5])}},
            r"reference\.class has 2 bins for 3 classes",
        ),
        (
            "training",
            {"validation_rows": 0},
            r"there is a reference and training\.validation_rows is 0",
        ),
    ],
)
def test_each_contradiction_is_named(
    tmp_path: Path, manifest: Manifest, part: str | None, fields: dict[str, Any], message: str
) -> None:
    """Two parts that cannot both be true are named, with the file and what to do."""
    if part:
        fields = {part: msgspec.structs.replace(getattr(manifest, part), **fields)}
    write_manifest(tmp_path, msgspec.structs.replace(manifest, **fields))
    with pytest.raises(ManifestInvalid, match=message) as caught:
        read_manifest(tmp_path)
    assert str(tmp_path / "manifest.json") in str(caught.value)
    assert str(caught.value).endswith("Export the model again.")


def set_field(*path: str | int, value: object) -> Callable[[dict[str, Any]], None]:
    """Changes one field of a manifest's JSON."""

    def change(document: dict[str, Any]) -> None:
        inner: Any = document
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda document: document.pop("golden"), "missing required field `golden`"),
        (set_field("metrics", "test_accuracy", value=1.5), r"`float` <= 1.0.*test_accuracy"),
        (set_field("training", "epochs", value=-1), r"`int` >= 0.*training\.epochs"),
        (set_field("classes", 1, value=7), r"Expected `str`, got `int`.*classes"),
        (set_field("golden", "images", value="%%%"), r"base64.*golden\.images"),
    ],
)
def test_a_document_that_does_not_fit_the_schema_is_refused_with_the_place(
    version: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    """A missing field, a wrong type or an impossible number is named by its path."""
    path = version / "manifest.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(ManifestInvalid, match=f"is damaged: .*{message}"):
        read_manifest(version)


@pytest.mark.parametrize("keep", [0, 1, 100, -2])
def test_a_file_that_was_cut_short_is_refused(version: Path, keep: int) -> None:
    """Wherever the JSON ends, it is damaged, not half a manifest."""
    path = version / "manifest.json"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ManifestInvalid, match=r"manifest\.json is damaged"):
        read_manifest(version)


def test_bytes_that_are_no_text_are_refused(version: Path) -> None:
    """A file of noise is damaged."""
    (version / "manifest.json").write_bytes(b"\xff\xfe\x00" * 50)
    with pytest.raises(ManifestInvalid, match=r"manifest\.json is damaged"):
        read_manifest(version)


def test_a_newer_format_is_refused_with_a_way_on(tmp_path: Path, manifest: Manifest) -> None:
    """A manifest of a later release is not guessed at."""
    newer = msgspec.structs.replace(manifest, format_version=FORMAT_VERSION + 1)
    write_manifest(tmp_path, newer)
    with pytest.raises(
        ManifestInvalid, match=r"has format_version 2; this program reads 1\. Use the"
    ):
        read_manifest(tmp_path)


def test_a_field_of_a_later_release_is_ignored(version: Path, manifest: Manifest) -> None:
    """New optional fields do not change the format's version, so an old reader skips them."""
    path = version / "manifest.json"
    document = json.loads(path.read_text())
    document["added_later"] = {"any": "thing"}
    path.write_text(json.dumps(document))
    assert read_manifest(version).golden == manifest.golden


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    """The message has the path and what was expected."""
    with pytest.raises(ManifestInvalid, match=r"manifest\.json is missing: expected a version"):
        read_manifest(tmp_path)


def test_a_manifest_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    """A folder in its place is no traceback."""
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(ManifestInvalid, match="cannot be read: Is a directory"):
        read_manifest(tmp_path)

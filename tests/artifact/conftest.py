"""A small version on disk: 2x2 images, three classes, seeded weights."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest
from flatdense_artifact import (
    Architecture,
    DenseLayer,
    Golden,
    Histogram,
    Layer,
    Manifest,
    Metrics,
    Training,
    Weights,
    digest_files,
    write_manifest,
    write_weights,
)


@pytest.fixture(scope="session")
def weights() -> Weights:
    """4 inputs, 5 hidden units, 3 classes."""
    random = np.random.default_rng(5)

    def dense(name: str, inputs: int, units: int) -> DenseLayer:
        return DenseLayer(
            name=name,
            kernel=random.normal(size=(inputs, units)).astype(np.float32),
            bias=random.normal(size=units).astype(np.float32),
        )

    return Weights(dense("hidden", 4, 5), dense("output", 5, 3))


@pytest.fixture(scope="session")
def manifest() -> Manifest:
    """A manifest at one with itself; it names no files."""
    return Manifest(
        created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        architecture=Architecture(
            input_shape=[2, 2],
            layers=[
                Layer(name="flatten", kind="Flatten", output_shape=[4], parameters=0),
                Layer(
                    name="hidden", kind="Dense", activation="relu", output_shape=[5], parameters=25
                ),
                Layer(
                    name="output",
                    kind="Dense",
                    activation="softmax",
                    output_shape=[3],
                    parameters=18,
                ),
            ],
        ),
        classes=["a", "b", "c"],
        files={},
        training=Training(
            dataset="seeded noise",
            sources={"noise": "0" * 64},
            train_rows=30,
            validation_rows=6,
            test_rows=9,
            seed=5,
            epochs=1,
            batch_rows=8,
            optimizer="none",
            learning_rate=0.01,
            duration_s=0.5,
        ),
        metrics=Metrics(
            test_accuracy=0.5, test_loss=1.0, validation_accuracy=0.25, validation_loss=1.5
        ),
        libraries={"numpy": "2"},
        golden=Golden(
            images=bytes(range(8)),
            probabilities=[[0.5, 0.25, 0.25], [0.125, 0.125, 0.75]],
            tolerance=1e-5,
        ),
        reference={"mean": Histogram(edges=[0.0, 0.5, 1.0], fractions=[0.25, 0.75])},
    )


@pytest.fixture
def version(tmp_path: Path, manifest: Manifest, weights: Weights) -> Path:
    """The folder of a version that is whole."""
    folder = tmp_path / "1"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "variables.index").write_bytes(b"index")
    write_weights(folder, weights)
    write_manifest(folder, msgspec.structs.replace(manifest, files=digest_files(folder)))
    return folder

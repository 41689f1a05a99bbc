"""What the server says of a model, as plain values."""

from flatdense_client import ModelInfo, VersionStatus
from flatdense_client._results.model import read_model
from flatdense_proto.v1 import classifier_pb2 as pb


def _read(**fields: object) -> ModelInfo:
    return read_model(pb.GetModelResponse(name="mnist", version=1, **fields))


def test_every_version_has_its_state() -> None:
    """State, reason and labels of each version arrive in the server's order."""
    model = _read(
        versions=[
            pb.VersionStatus(version=1, state="ready", labels=["canary", "stable"]),
            pb.VersionStatus(version=2, state="failed", reason="the digest differs"),
        ]
    )
    assert model.versions == (
        VersionStatus(version=1, state="ready", reason="", labels=("canary", "stable")),
        VersionStatus(version=2, state="failed", reason="the digest differs", labels=()),
    )


def test_a_model_without_a_manifest() -> None:
    """Training that the server does not tell is None, not a run of zero images."""
    model = _read(unchecked=["There is no manifest.", "The layers were not recognised."])
    assert model.training is None
    assert model.test_accuracy is None
    assert model.layers == ()
    assert model.unchecked == ("There is no manifest.", "The layers were not recognised.")


def test_training_without_an_accuracy() -> None:
    """A run that did not measure its accuracy is told, and its accuracy is None."""
    model = _read(training=pb.Training(dataset="mnist", epochs=5))
    assert model.training is not None
    assert model.training.epochs == 5
    assert model.training.created_at is None
    assert model.test_accuracy is None

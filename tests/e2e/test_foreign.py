"""SavedModels without a manifest, as other programs export them, through a running server."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from flatdense_artifact import read_manifest
from flatdense_client import Client
from server_process import ServerProcess


@pytest.fixture
def foreign(exported_model: Path, tmp_path: Path) -> Path:
    """A model folder whose version 1 is a bare SavedModel of our network."""
    model_dir = tmp_path / "model"
    shutil.copytree(exported_model / "1", model_dir / "1")
    for name in ("manifest.json", "weights.safetensors"):
        (model_dir / "1" / name).unlink()
    return model_dir


@pytest.mark.parametrize("engine", ["aot", "jit"])
def test_a_bare_saved_model_is_served(
    foreign: Path, exported_model: Path, compiled: Path, tmp_path: Path, engine: str
) -> None:
    """Both engines give the trainer's answers, say what was not checked, and aot is without TF."""
    (tmp_path / "aot").symlink_to(compiled.parent)
    options = ("--model-dir", str(foreign), "--engine", engine, "--cache-dir", str(tmp_path))
    options += ("--workers", "1")
    golden = read_manifest(exported_model / "1").golden
    with ServerProcess(*options) as server:
        assert server.ready()["engine"] == engine
        assert "no manifest" in server.wait_for("not checked", version=1)["reason"]
        with Client(server.address) as client:
            predictions = client.classify(golden.inputs())
            model = client.model()
        (worker,) = server.worker_pids
        loaded = Path(f"/proc/{worker}/maps").read_text()
        assert server.stop() == 0
    np.testing.assert_allclose(predictions.probabilities, golden.outputs(), rtol=0, atol=1e-5)
    assert (model.training, model.test_accuracy, model.parameters) == (None, None, 203_530)
    assert any("no manifest" in sentence for sentence in model.unchecked)
    assert ("/tensorflow/python/" in loaded) == (engine == "jit")


def test_what_cannot_be_served_is_refused_in_a_sentence(foreign: Path, tmp_path: Path) -> None:
    """A SavedModel that is cut short ends the start with its reason, and no traceback."""
    graph = foreign / "1" / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:1000])
    with ServerProcess("--model-dir", str(foreign), "--cache-dir", str(tmp_path)) as server:
        reason = server.wait_for("version refused", version=1)["reason"]
        assert server.wait() == 1
    assert "TensorFlow cannot load the SavedModel" in reason
    assert not any("Traceback" in str(event) for event in server.events)

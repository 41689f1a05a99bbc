"""Which engine runs, and what is said where it cannot."""

import logging
from pathlib import Path

import pytest
from flatdense_artifact import Manifest
from flatdense_server.engine.choice import DeviceName, EngineChoice, EngineName, EngineOptions
from flatdense_server.engine.engine import EngineError
from flatdense_server.engine.files import ModelFiles


@pytest.fixture
def files(tmp_path: Path, manifest: Manifest) -> ModelFiles:
    """Of a version that is not there."""
    layers = manifest.architecture.layers
    return ModelFiles(saved_model=tmp_path, layers=layers, weights=tmp_path)


def choice(tmp_path: Path, engine: EngineName, device: DeviceName = "auto") -> EngineChoice:
    """A choice that finds no compiled library."""
    options = EngineOptions(
        engine=engine, device=device, max_batch_rows=8, threads=1, cache_dir=tmp_path
    )
    return EngineChoice(options, lambda _phase: None)


def test_aot_without_a_library_names_the_command_that_makes_one(
    tmp_path: Path, files: ModelFiles
) -> None:
    """--engine aot is refused where there is no library, with a way on."""
    with pytest.raises(EngineError, match="flatdense-compile makes one"):
        choice(tmp_path, "aot").open(files)


def test_aot_on_a_gpu_is_refused(tmp_path: Path, files: ModelFiles) -> None:
    """The two settings contradict each other, and the message says which one to change."""
    with pytest.raises(EngineError, match="--engine jit with --device gpu"):
        choice(tmp_path, "aot", "gpu").open(files)


def test_auto_falls_back_to_jit_and_says_why(
    tmp_path: Path,
    files: ModelFiles,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where no library fits, jit opens the version, and one line of the log has the reason."""
    opened: list[ModelFiles] = []
    monkeypatch.setattr(EngineChoice, "_open_jit", lambda _self, found: opened.append(found))
    with caplog.at_level(logging.WARNING):
        choice(tmp_path, "auto").open(files)
    assert opened == [files]
    assert "serving by jit" in caplog.text
    assert "flatdense-compile" in caplog.records[0].reason

"""A folder that is no model folder gets a line that says what to point at."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from flatdense_artifact import list_versions
from flatdense_server.migration import explain_model_dir
from flatdense_server.settings import Settings

TO_SETTINGS = Callable[[str], Settings]


def put(folder: Path, *names: str) -> Path:
    """Writes empty files into a folder."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def explain(model_dir: Path) -> str:
    """What is said of a folder that there is something to say of."""
    explained = explain_model_dir(model_dir)
    assert explained
    assert "\n" not in explained
    return explained


def follow(parse: TO_SETTINGS, explained: str, cwd: Path) -> Path:
    """Does what a line says; gives the model folder that it ends with."""
    for step in re.findall("First run `(.*)`", explained):
        subprocess.run(["sh", "-c", step], cwd=cwd, check=True)
    return cwd / parse(explained.rpartition("Here it is ")[2]).model_dir


@pytest.mark.parametrize(
    "files",
    [
        (),
        ("notes.txt",),
        ("1/saved_model.pb",),
        ("1/manifest.json",),
        ("1/nothing",),
        ("1/saved_model.pb", "2/model.onnx"),
        ("models.config", "1/saved_model.pb"),
        ("1/assets/model.config",),
    ],
)
def test_other_folders_are_not_explained(tmp_path: Path, files: tuple[str, ...]) -> None:
    """What is ours, empty, or strange in its own way keeps the message that it has."""
    put(tmp_path, *files)
    if "2/model.onnx" not in files:
        assert explain_model_dir(tmp_path) is None
    assert explain_model_dir(tmp_path / "missing") is None


def test_a_version_itself_points_at_the_folder_around_it(
    parse: TO_SETTINGS, tmp_path: Path
) -> None:
    """Where it has a number."""
    put(tmp_path, "mnist/7/saved_model.pb")
    explained = explain(tmp_path / "mnist" / "7")
    assert "is one version" in explained
    assert follow(parse, explained, tmp_path) == tmp_path / "mnist"


def test_a_saved_model_without_a_number_gets_one(parse: TO_SETTINGS, tmp_path: Path) -> None:
    """A link in a folder that is made for it."""
    put(tmp_path, "my model/saved_model.pb")
    model_dir = follow(parse, explain(tmp_path / "my model"), tmp_path)
    assert list_versions(model_dir) == [1]
    assert (model_dir / "1" / "saved_model.pb").exists()


def test_leading_zeros_are_taken_from_versions(tmp_path: Path) -> None:
    """TensorFlow Serving reads them; the commands rename them, but for 0, which is no version."""
    put(tmp_path, "00000123/saved_model.pb", "0/saved_model.pb")
    explained = explain(tmp_path)
    assert "Versions begin with 1" in explained
    for step in re.findall("First run `(.*)`", explained):
        subprocess.run(["sh", "-c", step], check=True)
    assert list_versions(tmp_path) == [123]


@pytest.mark.parametrize("name", ["", "mnist"])
def test_tritons_folders_become_links(parse: TO_SETTINGS, tmp_path: Path, name: str) -> None:
    """The repository with one model, and the model itself."""
    put(tmp_path, "repository/mnist/2/model.savedmodel/saved_model.pb")
    model_dir = follow(parse, explain(tmp_path / "repository" / name), tmp_path)
    assert list_versions(model_dir) == [2]
    assert (model_dir / "2" / "saved_model.pb").exists()


def test_a_folder_of_models_names_them(parse: TO_SETTINGS, tmp_path: Path) -> None:
    """TensorFlow Serving's: the one in it, or each."""
    put(tmp_path, "models/mnist/1/saved_model.pb")
    explained = explain(tmp_path / "models")
    assert follow(parse, explained, tmp_path) == tmp_path / "models" / "mnist"
    put(tmp_path, "models/fashion/1/saved_model.pb")
    assert "has 2 models, and a server has one" in explain(tmp_path / "models")


def test_the_files_of_tensorflow_serving_are_read(parse: TO_SETTINGS, tmp_path: Path) -> None:
    """They say which folder is meant, and how it was served."""
    folder = tmp_path / "mnist"
    (tmp_path / "models.config").write_text(
        f'model_config_list {{ config {{ name: "mnist" base_path: "{folder}" }} }}'
    )
    (tmp_path / "batching_parameters.txt").write_text("max_batch_size { value: 32 }")
    put(folder, "1/saved_model.pb")
    explained = explain(tmp_path)
    assert "has TensorFlow Serving's models.config and batching_parameters.txt" in explained
    settings = parse(explained.rpartition("Here it is ")[2])
    assert (settings.model_dir, settings.max_batch_rows) == (folder, 32)
    (tmp_path / "models.config").write_text("models {")
    assert "models.config, line 1: " in explain(tmp_path)


@pytest.mark.parametrize(
    ("model_dir", "said"), [("gs://bucket/mnist", "copy it"), ("s3://bucket/mnist", "copy it")]
)
def test_a_bucket_is_no_folder(model_dir: str, said: str) -> None:
    """Whatever pathlib makes of its address."""
    assert said in explain(Path(model_dir))


def test_other_models_than_saved_models_are_named(tmp_path: Path) -> None:
    """The file, and where a SavedModel should be."""
    put(tmp_path, "1/model.onnx")
    assert f"has model.onnx. Export a SavedModel into {tmp_path / '1'}." in explain(tmp_path)

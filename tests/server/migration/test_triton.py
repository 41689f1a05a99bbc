"""Triton's repository is read, and stays as it is."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from flatdense_artifact import list_versions, version_folder
from flatdense_server.migration import explain_arguments
from flatdense_server.models.policy import Policy, read_policy
from flatdense_server.settings import Settings

CONFIG = """name: "mnist"
platform: "tensorflow_savedmodel"  # with a remark
max_batch_size: 64
input [ { name: "x" data_type: TYPE_FP32 dims: [ 784 ] } ]
output [
  { name: "y", data_type: TYPE_FP32, dims: [ 10 ], label_filename: "labels.txt" }
]
instance_group [ { count: 2 kind: KIND_CPU } ]
version_policy: { specific: { versions: [ 1, 3 ] } }
dynamic_batching {
  preferred_batch_size: [ 32, 64 ]
  max_queue_delay_microseconds: 100
  default_queue_policy { max_queue_size: 128 }
}
model_warmup [ { name: "zeros" batch_size: 1 inputs { key: "x" value: { zero_data: true } } } ]
parameters { key: "a" value: { string_value: "b" } }
"""


def add_model(repository: Path, name: str, versions: list[int], config: str = "") -> None:
    """A model as Triton has it."""
    for version in versions:
        folder = repository / name / str(version) / "model.savedmodel"
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").write_bytes(b"a graph")
    if config:
        (repository / name / "config.pbtxt").write_text(config)


def explain(*arguments: str) -> str:
    """What is said of another server's flags."""
    explained = explain_arguments(arguments)
    assert explained
    assert "\n" not in explained
    return explained


def run_steps(explained: str, folder: Path) -> None:
    """Runs the commands of a line in a shell, as an operator would; twice, as an operator may."""
    for step in re.findall("First run `(.*)`", explained) * 2:
        subprocess.run(["sh", "-c", step], cwd=folder, check=True)


def test_a_repository_becomes_a_model_folder_of_links(
    parse: Callable[[str], Settings], tmp_path: Path
) -> None:
    """The commands give a folder that the server reads; the options have what config.pbtxt says."""
    repository = tmp_path / "triton's models"
    add_model(repository, "digits", [1, 3], CONFIG)
    before = sorted(repository.rglob("*"))
    explained = explain(f"--model-repository={repository}")
    run_steps(explained, tmp_path)
    settings = parse(explained.rpartition("Here it is ")[2])
    model_dir = tmp_path / settings.model_dir
    assert settings.model_name == "mnist"
    assert (settings.max_batch_rows, settings.max_request_rows) == (64, 64)
    assert settings.batch_wait_us == 100
    assert list_versions(model_dir) == [1, 3]
    assert (version_folder(model_dir, 3) / "saved_model.pb").read_bytes() == b"a graph"
    assert read_policy(model_dir) == Policy(versions=[1, 3])
    assert sorted(repository.rglob("*")) == before


def test_several_models_ask_for_a_server_each(tmp_path: Path) -> None:
    """Or for the one that was to be loaded."""
    add_model(tmp_path, "a", [1])
    add_model(tmp_path, "b", [1])
    both = explain(f"--model-repository={tmp_path}")
    assert "has 2 models, and a server has one" in both
    for name in ("a", "b"):
        assert f"`--model-dir flatdense-models/{name} --model-name {name}`" in both
    one = explain(f"--model-store={tmp_path}", "--load-model=b")
    assert one.endswith("Here it is --model-dir flatdense-models/b --model-name b")


@pytest.mark.parametrize("wanted", ["", "--load-model=c"])
def test_a_repository_without_the_model_says_what_was_expected(tmp_path: Path, wanted: str) -> None:
    """The folder in which a SavedModel should have been."""
    name = wanted.partition("=")[2] or "mnist"
    if wanted:
        add_model(tmp_path, "a", [1])
    explained = explain(f"--model-repository={tmp_path}", *filter(None, [wanted]))
    assert f"has no model to be served: expected {tmp_path}/{name}/1/model.savedmodel" in explained


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ('backend: "onnxruntime"', "The platform onnxruntime is not offered, only SavedModels"),
        ("version_policy { all {} }", "latest = 1000 stands for all versions"),
        ("max_batch_size: 8\nmax_batch_size: many", "config.pbtxt, line 2: "),
    ],
)
def test_what_cannot_be_carried_over_is_said(tmp_path: Path, config: str, said: str) -> None:
    """One sentence for each."""
    add_model(tmp_path, "mnist", [1], config)
    assert said in explain(f"--model-repository={tmp_path}")

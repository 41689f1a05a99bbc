"""TensorFlow Serving's files give the settings and the versions.toml that mean the same."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flatdense_proto.twin.tensorflow_serving_config_pb2 import (
    BatchingParameters,
    ModelConfig,
    ModelServerConfig,
)
from flatdense_server.migration import explain_arguments
from flatdense_server.models.policy import Policy, read_policy
from flatdense_server.settings import Settings
from google.protobuf import text_format
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

ONE = """# of ours
model_config_list: {
  config {
    name: 'mnist'
    base_path: "/models/mnist"
    model_platform: "tensorflow"
    model_version_policy: { specific { versions: 1, versions: 2 } }
    version_labels { key: 'stable' value: 1 }
    version_labels { key: 'canary' value: 2 }
  }
}
"""

labels = st.dictionaries(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True), st.integers(1, 1 << 40)
)
policies = st.one_of(
    st.just({}),
    st.integers(0, 1 << 31).map(lambda count: {"latest": {"num_versions": count}}),
    st.just({"all": {}}),
    st.lists(st.integers(1, 1 << 40), min_size=1).map(
        lambda some: {"specific": {"versions": some}}
    ),
)


def explain(flag: str, path: Path, message: Message | None = None) -> str:
    """What is said of a file, with this message in it."""
    if message is not None:
        path.write_text(text_format.MessageToString(message))
    explained = explain_arguments([f"--{flag}={path}"])
    assert explained
    assert "\n" not in explained
    return explained


def expect(policy: dict[str, Any], labels: dict[str, int]) -> Policy:
    """What versions.toml should say."""
    match policy:
        case {"latest": {"num_versions": count}} if count > 1:
            return Policy(latest=count, labels=labels)
        case {"all": {}}:
            return Policy(latest=1000, labels=labels)
        case {"specific": {"versions": versions}}:
            return Policy(versions=versions, labels=labels)
    return Policy(labels=labels)


@given(policy=policies, labels=labels)
def test_a_version_policy_becomes_versions_toml(
    tmp_path_factory: pytest.TempPathFactory, policy: dict[str, Any], labels: dict[str, int]
) -> None:
    """The command of the line, run by a shell, writes a file that the server reads as meant."""
    folder = tmp_path_factory.mktemp("a model's")
    model = ModelConfig(
        name="mnist", base_path=str(folder), model_version_policy=policy, version_labels=labels
    )
    config = ModelServerConfig(model_config_list={"config": [model]})
    explained = explain("model_config_file", folder / "models.config", config)
    for step in re.findall("First run `(.*)`", explained):
        subprocess.run(["sh", "-c", step], check=True)
    assert read_policy(folder) == expect(policy, labels)


def test_a_file_with_one_model_gives_all_of_it(tmp_path: Path) -> None:
    """Name and folder as options, the rest as the command that writes versions.toml."""
    path = tmp_path / "models.config"
    path.write_text(ONE)
    assert explain("model_config_file", path) == (
        f"--model_config_file={path}: that is TensorFlow Serving's. "
        "A request that names no version gets the one with the label stable, which need not be "
        "the newest. "
        "First run `printf '%s\\n' 'versions = [1, 2]' 'labels = {\"canary\" = 2, \"stable\" = 1}' "
        "> /models/mnist/versions.toml`. "
        "Here it is --model-dir /models/mnist --model-name mnist"
    )


def test_a_file_with_several_models_asks_for_a_server_each(tmp_path: Path) -> None:
    """Each with its options; a flag that all have is said once."""
    models = [ModelConfig(name=name, base_path=f"/models/{name}") for name in ("a", "b")]
    config = ModelServerConfig(model_config_list={"config": models})
    explained = explain("model_config_file", tmp_path / "models.config", config)
    assert "has 2 models, and a server has one: start one for each" in explained
    for name in ("a", "b"):
        assert f"`--model-dir /models/{name} --model-name {name}`" in explained
    assert "Here it is" not in explained


def test_the_file_counts_and_not_the_flags_beside_it(tmp_path: Path) -> None:
    """As in TensorFlow Serving, which does not look at --model_name and --model_base_path then."""
    path = tmp_path / "models.config"
    path.write_text(ONE)
    explained = explain_arguments(
        [f"--model_config_file={path}", "--model_name=x", "--model_base_path=/y"]
    )
    assert explained
    assert explained.endswith("Here it is --model-dir /models/mnist --model-name mnist")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"model_version_policy": {"specific": {}}}, "names no version"),
        ({"model_version_policy": {"specific": {"versions": [0]}}}, "versions.toml cannot have"),
        ({"version_labels": {"a label": 1}}, "versions.toml cannot have"),
        ({"base_path": "gs://bucket/m"}, "must be local or mounted"),
        ({"model_platform": "tflite"}, "platform tflite is not offered"),
        ({"logging_config": {}}, "logging_config is not offered"),
    ],
)
def test_what_cannot_be_carried_over_is_said(
    tmp_path: Path, model: dict[str, Any], said: str
) -> None:
    """One sentence for each."""
    config = ModelServerConfig(model_config_list={"config": [ModelConfig(**model)]})
    assert said in explain("model_config_file", tmp_path / "models.config", config)


@given(
    rows=st.integers(1, 65536),
    execution_rows=st.none() | st.integers(1, 65536),
    wait_us=st.none() | st.integers(0, 1_000_000),
    batches=st.none() | st.integers(1, 256),
)
def test_batching_parameters_become_options(
    parse: Callable[[str], Settings],
    tmp_path_factory: pytest.TempPathFactory,
    rows: int,
    execution_rows: int | None,
    wait_us: int | None,
    batches: int | None,
) -> None:
    """Rows of a batch and of a request, the wait, and the queue, which counts batches there."""
    parameters = BatchingParameters(num_batch_threads={"value": 8})
    parameters.max_batch_size.value = rows
    if execution_rows:
        parameters.enable_large_batch_splitting.value = True
        parameters.max_execution_batch_size.value = execution_rows
    if wait_us is not None:
        parameters.batch_timeout_micros.value = wait_us
    if batches:
        parameters.max_enqueued_batches.value = batches
    path = tmp_path_factory.mktemp("batching") / "parameters.txt"
    explained = explain("batching_parameters_file", path, parameters)
    settings = parse(explained.rpartition("Here it is ")[2])
    batch_rows = execution_rows or rows
    assert (settings.max_request_rows, settings.max_batch_rows) == (rows, batch_rows)
    assert settings.batch_wait_us == (wait_us or 0)
    assert settings.max_queued_rows == (batches * batch_rows if batches else 16_384)
    assert "num_batch_threads is not needed" in explained


def test_batching_parameters_without_sizes_leave_ours(tmp_path: Path) -> None:
    """Only the queue needs a size where the file has none: TensorFlow Serving's."""
    parameters = BatchingParameters(max_enqueued_batches={"value": 10}, allowed_batch_sizes=[1, 8])
    explained = explain("batching_parameters_file", tmp_path / "parameters.txt", parameters)
    assert explained.endswith(
        "allowed_batch_sizes is not needed. Limits of rows are for each worker. "
        "Here it is --max-queued-rows 10000"
    )


@pytest.mark.parametrize(
    ("flag", "text", "said"),
    [
        ("model_config_file", b"model_config_list {\n  conf { }\n}\n", 'line 2: .*"conf"'),
        ("model_config_file", b"model_config_list {\n", "line 1: "),
        ("model_config_file", b"", "names no model: expected model_config_list"),
        ("batching_parameters_file", b"\n\nmax_batch_size: 8\n", "line 3: "),
        ("batching_parameters_file", b"\xff\xfe", "is not text"),
        ("batching_parameters_file", None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_read_says_where_and_what_was_expected(
    tmp_path: Path, flag: str, text: bytes | None, said: str
) -> None:
    """The file, the line, an example of what it should have; none of the twins' own names."""
    path = tmp_path / "a file"
    if text is not None:
        path.write_bytes(text)
    explained = explain(flag, path)
    assert re.search(rf"{re.escape(str(path))}.*{said}", explained)
    assert re.search(r"expected .*(model_config_list \{|max_batch_size \{)", explained)
    assert "twin" not in explained

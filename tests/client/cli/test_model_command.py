"""What `flatdense model` tells."""

import json

import pytest
from click.testing import CliRunner
from flatdense_client.cli.model import model
from flatdense_proto.v1 import classifier_pb2 as pb


@pytest.fixture
def runner(address: str) -> CliRunner:
    """Runs the command against the default server."""
    return CliRunner(env={"FLATDENSE_SERVER": address})


def test_all_of_it_is_told(runner: CliRunner, described: pb.GetModelResponse) -> None:
    """Layers, tensors, training, versions with their labels, and what could not be checked."""
    described.versions.add(version=1, state="ready", labels=["stable"])
    described.versions.add(version=2, state="failed", reason="damaged")
    described.unchecked.append("There is no golden answer.")
    done = runner.invoke(model)
    assert done.exit_code == 0, done.stderr
    told = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for line in (
        "model mnist, version 1",
        "accuracy 98.12% of 10,000 test images",
        "flatten Flatten 784",
        "hidden Dense relu 256 200,960",
        "probabilities Dense softmax 10 2,570",
        "in all 203,530",
        "images input FP32 N x 784",
        "probabilities output FP32 N x 10",
        "trained 2025-06-15 15:06 UTC",
        "images 54,000 to train, 6,000 to validate, 10,000 to test",
        "run 5 epochs, seed 7",
        "metrics test_accuracy 98.12%",
        "versions 1 ready stable",
        "2 failed damaged",
        "unchecked There is no golden answer.",
    ):
        assert line in told


def test_what_is_not_known_is_left_out(runner: CliRunner, described: pb.GetModelResponse) -> None:
    """A model of another program has neither layers nor training, and is described without."""
    for field in ("training", "layers", "parameters", "class_names", "versions"):
        described.ClearField(field)
    done = runner.invoke(model)
    assert done.exit_code == 0, done.stderr
    assert "accuracy   unknown" in done.stdout
    assert not any(line.startswith(("layer ", "trained")) for line in done.stdout.splitlines())


def test_programs_get_all_of_it(runner: CliRunner, described: pb.GetModelResponse) -> None:
    """--json is one object with every field that the SDK gives."""
    told = json.loads(runner.invoke(model, ["--json"]).stdout)
    assert told["name"] == described.name
    assert [layer["parameters"] for layer in told["layers"]] == [0, 200_960, 2_570]
    assert told["training"]["created_at"] == "2025-06-15T15:06:40+00:00"
    assert told["outputs"] == [{"name": "probabilities", "data_type": "FP32", "shape": [-1, 10]}]


def test_the_servers_words_steer_nothing(runner: CliRunner, described: pb.GetModelResponse) -> None:
    """No text that the server sends reaches the terminal as a control character."""
    evil = "\x1b]0;owned\x07\x1b[2J\r"
    described.name = described.training.dataset = described.serving.engine = evil
    described.training.metrics[evil] = 1.0
    described.class_names[0] = evil
    described.unchecked.append(evil)
    described.versions.add(version=1, state=evil, labels=[evil])
    described.inputs[0].name = described.inputs[0].data_type = evil
    for layer in described.layers:
        layer.name = layer.kind = layer.activation = evil
    done = runner.invoke(model)
    assert done.exit_code == 0, done.stderr
    assert all(line.isprintable() for line in done.stdout.splitlines())
    assert done.stdout.count(r"\x1b[2J") == 19


def test_a_label_that_is_not_there_is_an_error(runner: CliRunner) -> None:
    """The server's words about a wrong label are what the command ends with."""
    done = runner.invoke(model, ["--model-label", "canary"])
    assert "there is no label 'canary'; there is 'stable'" in str(done.exception)

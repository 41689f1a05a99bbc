"""What `flatdense status` says of the versions."""

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result
from flatdense_client.cli.status import status
from flatdense_proto.v1 import classifier_pb2 as pb

SERVED = pb.VersionStatus(version=1, state="ready")


@pytest.fixture
def runner(address: str) -> Iterator[CliRunner]:
    """Runs the command against the default server, on a screen of 80 columns."""
    return CliRunner(env={"FLATDENSE_SERVER": address, "COLUMNS": "80"})


def _told(done: Result) -> dict[str, list[str]]:
    """The lines by their label; those without one belong to the label above."""
    told: dict[str, list[str]] = {}
    label = ""
    for line in done.stdout.splitlines():
        label = line.split()[0] if line[0] != " " else label
        told.setdefault(label, []).append(line.removeprefix(label).strip())
    return told


def test_one_version_is_no_block(runner: CliRunner, described: pb.GetModelResponse) -> None:
    """One version that is ready and has no label is told by the model's line alone."""
    described.versions.extend([SERVED])
    told = _told(runner.invoke(status))
    assert told["model"] == ["mnist, version 1"]
    assert "versions" not in told
    assert "unchecked" not in told


def test_every_version_is_told(runner: CliRunner, described: pb.GetModelResponse) -> None:
    """Each version has a line with its state, its labels, and the reason where it failed."""
    described.versions.extend(
        [
            pb.VersionStatus(version=8, state="ready", labels=["previous", "stable"]),
            pb.VersionStatus(version=9, state="shadow"),
            pb.VersionStatus(version=10, state="failed", reason="the digest of\nw.bin differs"),
            pb.VersionStatus(version=11, state="failed", reason="no", labels=["canary"]),
            pb.VersionStatus(version=12, state="loading"),
        ]
    )
    done = runner.invoke(status)
    assert done.exit_code == 0, done.stderr
    assert _told(done)["versions"] == [
        "8  ready    previous, stable",
        "9  shadow",
        "10  failed   the digest of w.bin differs",
        "11  failed   canary  no",
        "12  loading",
    ]


@pytest.mark.parametrize(
    "alone",
    [
        pb.VersionStatus(version=1, state="ready", labels=["stable"]),
        pb.VersionStatus(version=1, state="failed", reason="damaged"),
    ],
)
def test_one_version_with_more_to_say_is_a_block(
    runner: CliRunner, described: pb.GetModelResponse, alone: pb.VersionStatus
) -> None:
    """A label or a state other than ready is told of the only version too."""
    described.versions.extend([alone])
    assert len(_told(runner.invoke(status))["versions"]) == 1


def test_a_model_without_a_manifest(runner: CliRunner, described: pb.GetModelResponse) -> None:
    """What is not known is not made up, and what could not be checked is told."""
    for field in ("training", "layers", "parameters"):
        described.ClearField(field)
    described.unchecked.extend(["There is no manifest.", "The layers were not recognised."])
    done = runner.invoke(status)
    assert done.exit_code == 0, done.stderr
    told = _told(done)
    assert told["accuracy"] == ["unknown"]
    assert told["layers"] == ["unknown"]
    assert not told.keys() & {"trained", "parameters"}
    assert told["unchecked"] == ["There is no manifest.", "The layers were not recognised."]


def test_the_servers_words_steer_nothing(runner: CliRunner, described: pb.GetModelResponse) -> None:
    """No text that the server sends reaches the terminal as a control character."""
    evil = "\x1b]0;owned\x07\x1b[2J\r"
    described.name = described.training.dataset = evil
    described.serving.engine = described.serving.device = evil
    described.unchecked.append(evil)
    described.versions.add(version=1, state=evil, reason=evil, labels=[evil])
    for layer in described.layers:
        layer.kind = layer.activation = evil
    lines = runner.invoke(status).stdout.splitlines()
    assert all(line.isprintable() for line in lines)
    assert sum(line.count(r"\x1b[2J") for line in lines) == 14


def test_programs_get_all_of_it(runner: CliRunner, described: pb.GetModelResponse) -> None:
    """--json has every version, what was not checked, and null for what is not known."""
    described.ClearField("training")
    described.unchecked.append("There is no manifest.")
    described.versions.add(version=2, state="failed", reason="two\nlines", labels=["canary"])
    model = json.loads(runner.invoke(status, ["--json"]).stdout)["model"]
    assert model["training"] is None
    assert model["unchecked"] == ["There is no manifest."]
    assert model["versions"] == [
        {"version": 2, "state": "failed", "reason": "two\nlines", "labels": ["canary"]}
    ]


def test_the_label_is_asked_for(runner: CliRunner) -> None:
    """--model-label reaches the server, whose words about a wrong one reach the user."""
    assert runner.invoke(status, ["--model-label", "stable"]).exit_code == 0
    done = runner.invoke(status, ["--model-label", "canary"])
    assert done.exit_code == 1
    assert "there is no label 'canary'; there is 'stable'" in done.stderr

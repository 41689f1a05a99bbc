"""The files of served versions: weights and reports, and nothing else of the model folder."""

from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from flatdense_proto.v1 import classifier_pb2 as pb

VERSION = "/v1/models/mnist/versions/3"

NOT_FOUND = (grpc.StatusCode.NOT_FOUND, "the model 'mnist' has no version 3: available: 1.")


@pytest.fixture
def folder(tmp_path: Path, replies: dict[str, Any]) -> Path:
    """Of version 3, which is served."""
    replies["GetModel"] = pb.GetModelResponse(name="mnist", version=3)
    folder = tmp_path / "3"
    (folder / "report").mkdir(parents=True)
    return folder


def test_weights_are_the_file_of_the_version(
    client: httpx.Client, folder: Path, asked: list[tuple[str, bytes]]
) -> None:
    """As it is; a worker was asked whether that version is served."""
    (folder / "weights.safetensors").write_bytes(bytes(range(256)) * 1000)
    answer = client.get(f"{VERSION}/weights")
    assert answer.content == bytes(range(256)) * 1000
    assert answer.headers["content-type"] == "application/octet-stream"
    ((method, message),) = asked
    assert method == "/flatdense.v1.Classifier/GetModel"
    selector = pb.GetModelRequest.FromString(message).model
    assert (selector.name, selector.version) == ("mnist", 3)


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("report", "report.json", "application/json"),
        ("report/report.json", "report.json", "application/json"),
        ("report/neurons.png", "neurons.png", "image/png"),
        ("report/neurons_initial.png", "neurons_initial.png", "image/png"),
    ],
)
def test_the_report_and_its_pictures(
    client: httpx.Client, folder: Path, path: str, name: str, kind: str
) -> None:
    """With their types; they are kept until they change."""
    (folder / "report" / name).write_bytes(b"{}")
    answer = client.get(f"{VERSION}/{path}")
    assert (answer.status_code, answer.content) == (200, b"{}")
    assert answer.headers["content-type"] == kind
    assert answer.headers["cache-control"] == "private, no-cache"
    again = client.get(f"{VERSION}/{path}", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    (folder / "report" / name).write_bytes(b"[1]")
    changed = client.get(f"{VERSION}/{path}", headers={"if-none-match": answer.headers["etag"]})
    assert changed.content == b"[1]"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("path", ["weights", "report", "report/neurons_initial.png"])
def test_a_version_may_come_without_them(client: httpx.Client, path: str) -> None:
    """204: it is served, and there is nothing to show."""
    answer = client.get(f"{VERSION}/{path}")
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("path", ["weights", "report", "report/neurons.png"])
def test_a_version_that_is_not_served_has_no_files(
    client: httpx.Client, folder: Path, replies: dict[str, Any], path: str
) -> None:
    """404 in the words of the worker, though the folder is there."""
    (folder / "weights.safetensors").write_bytes(b"1")
    replies["GetModel"] = NOT_FOUND
    answer = client.get(f"{VERSION}/{path}")
    assert (answer.status_code, answer.json()) == (404, {"error": NOT_FOUND[1]})


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "name",
    ["report.html", "..%2Fmanifest.json", "%2e%2e%2f%2e%2e", "neurons.png%00", "MODEL_CARD.md"],
)
def test_nothing_else_of_the_folder_is_shown(
    client: httpx.Client, asked: list[tuple[str, bytes]], name: str
) -> None:
    """404, and no worker is asked."""
    answer = client.get(f"{VERSION}/report/{name}")
    assert answer.status_code == 404
    assert "expected one of report.json" in answer.json()["error"] or "/" in name or "%2" in name
    assert asked == []


@pytest.mark.parametrize("version", ["x", "-1", "9" * 30])
def test_a_version_is_a_number(client: httpx.Client, version: str) -> None:
    """400 says so."""
    answer = client.get(f"/v1/models/mnist/versions/{version}/weights")
    assert answer.status_code == 400
    assert "expected a number" in answer.json()["error"]

"""What `flatdense explain` tells of one image."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
from click.testing import CliRunner, Result
from flatdense_client.cli.explain import explain
from flatdense_proto.v1 import classifier_pb2 as pb
from flatdense_proto.v1.classifier_pb2_grpc import ClassifierServicer

Serve = Callable[[ClassifierServicer], str]

SEVEN = Path(__file__).parents[3] / "examples" / "seven.png"
PHOTO = SEVEN.with_name("photo_of_a_three.png")

PROBABILITIES = np.float32([0.005, 0.02, 0.9, 0.075])
LOGITS = np.float32([-1, 0.5, 3.25, 1])
HIDDEN = np.float32([0, 2.5, 0, 5, 1.25])


class Explains(ClassifierServicer):
    """Three pixels speak for the class and two against it: row 1 and columns 1 to 5."""

    def __init__(self, class_names: list[str]) -> None:
        self._class_names = class_names
        self.asked: list[pb.ExplainRequest] = []

    def Explain(  # noqa: N802  # gRPC's name
        self, request: pb.ExplainRequest, context: grpc.ServicerContext
    ) -> pb.ExplainResponse:
        """The same for every image."""
        del context
        self.asked.append(request)
        contributions = np.zeros((28, 28), np.float32)
        contributions[1, 1:6] = [1, 2, 3, -0.5, -1.5]
        explained = request.class_index if request.HasField("class_index") else 2
        return pb.ExplainResponse(
            probabilities=PROBABILITIES.tobytes(),
            classes=[2],
            model_name="mnist",
            model_version=1,
            logits=LOGITS.tobytes(),
            hidden=HIDDEN.tobytes(),
            explained_classes=[explained],
            contributions=contributions.tobytes(),
            bias_contributions=np.float32([-0.75]).tobytes(),
        )

    def GetModel(  # noqa: N802  # gRPC's name
        self, request: pb.GetModelRequest, context: grpc.ServicerContext
    ) -> pb.GetModelResponse:
        """Four classes."""
        del request, context
        return pb.GetModelResponse(name="mnist", version=1, class_names=self._class_names)


@pytest.fixture
def servicer() -> Explains:
    """A model of four classes with names."""
    return Explains(["cat", "dog", "owl", "fox"])


@pytest.fixture
def run(serve: Serve, servicer: Explains) -> Callable[..., Result]:
    """Runs the command against it."""
    runner = CliRunner(env={"FLATDENSE_SERVER": serve(servicer)})
    return lambda *arguments: runner.invoke(explain, [str(a) for a in arguments])


def test_people_see_why(run: Callable[..., Result]) -> None:
    """Bars, the marks over the digit, the exact sum, the top pixels and the strongest units."""
    done = run(SEVEN)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    told = [" ".join(line.split()) for line in lines]
    assert told[0] == str(SEVEN)
    assert re.search(r"owl +90\.00% +━{27} ", done.stdout, re.MULTILINE)
    # Rows 0 and 1 are one line of characters; the weakest of the five is under the threshold.
    assert lines[2][:8] == " +++ -  "
    assert "+ for owl - against owl" in told
    assert "score of owl: 3.25 = +6.00 and -2.00 by pixels, -0.75 by biases" in told
    table = told[told.index("row column adds hidden unit activation") + 1 :]
    assert [re.sub(" *━+ *", " ", line).strip() for line in table] == [
        "1 3 +3.00 3 5.00",
        "1 2 +2.00 1 2.50",
        "1 1 +1.00 4 1.25",
        "1 5 -1.50",
        "1 4 -0.50",
    ]


def test_how_the_picture_was_prepared_is_told(run: Callable[..., Result]) -> None:
    """People and programs see what was done to a picture; an array was not prepared."""
    assert "inverted, cropped to" in run(PHOTO).stdout
    prepared = json.loads(run(PHOTO, "--json").stdout)["prepared"]
    assert prepared["is_inverted"] is True
    assert prepared["as_is"] is False


def test_programs_get_all_numbers(run: Callable[..., Result], tmp_path: Path) -> None:
    """--json has every number of the SDK's explanation, exactly."""
    np.save(tmp_path / "two.npy", np.zeros((2, 784), np.uint8))
    done = run(tmp_path / "two.npy", "--index", 1, "--json")
    told = json.loads(done.stdout)
    assert (told["index"], told["label"], told["explained_label"]) == (1, "owl", "owl")
    assert np.array_equal(np.float32(told["probabilities"]), PROBABILITIES)
    assert np.array_equal(np.float32(told["logits"]), LOGITS)
    assert np.array_equal(np.float32(told["hidden"]), HIDDEN)
    assert np.shape(told["contributions"]) == (28, 28)
    assert np.sum(told["contributions"]) + told["bias_contribution"] == told["logits"][2]
    assert told["prepared"] is None


def test_another_class_is_asked_for(run: Callable[..., Result], servicer: Explains) -> None:
    """--class-index reaches the server, and what is told is of that class."""
    assert "score of cat: -1.00" in run(SEVEN, "--class-index", 0).stdout
    assert servicer.asked[0].class_index == 0


@pytest.mark.parametrize("rows", [1, 3])
def test_one_image_of_a_file(
    run: Callable[..., Result], servicer: Explains, tmp_path: Path, rows: int
) -> None:
    """--index chooses the image that is sent, and one that is not there is an error."""
    path = tmp_path / "images.npy"
    np.save(path, np.arange(rows, dtype=np.uint8)[:, None].repeat(784, 1))
    assert run(path, "--index", rows - 1).exit_code == 0
    assert set(servicer.asked[0].images) == {rows - 1}
    error = run(path, "--index", rows).exception
    assert str(error).endswith(f"there is no image {rows}: it holds 0 to {rows - 1}")


def test_names_steer_nothing(serve: Serve, tmp_path: Path) -> None:
    """Neither the server's names nor the file's reach the terminal as control characters."""
    path = tmp_path / "\x1b[2J.npy"
    np.save(path, np.zeros(784, np.uint8))
    runner = CliRunner(env={"FLATDENSE_SERVER": serve(Explains(["\x1b[2J"] * 4))})
    done = runner.invoke(explain, [str(path)])
    assert done.exit_code == 0, done.output
    assert all(line.isprintable() for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("name", "told"),
    [("missing.png", "there is no such file"), (".", "this is a folder"), ("text", "no kind of")],
)
def test_what_is_no_image_is_refused(
    run: Callable[..., Result], tmp_path: Path, name: str, told: str
) -> None:
    """The error names the file and says what is wrong with it."""
    (tmp_path / "text").write_text("hello, I am a text")
    error = str(run(tmp_path / name).exception)
    assert error.startswith(str(tmp_path))
    assert told in error

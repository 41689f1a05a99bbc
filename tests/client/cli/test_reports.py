"""What programs get: JSON lines and CSV."""

import csv
import io
import json
from collections.abc import Callable
from contextlib import redirect_stdout

import numpy as np
import numpy.typing as npt
from flatdense_client import Predictions
from flatdense_client._images.inputs import check_images
from flatdense_client.cli.programs import exact, exact_list
from flatdense_client.cli.reports import CommaSeparated, JsonLines, Part, Report
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
"""Any text: quotes, commas and line ends are names too."""


@st.composite
def parts(draw: st.DrawFn) -> list[Part]:
    """A file of a few images in one or two parts, with any names and any probabilities."""
    rows, classes = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    share = st.floats(0, 1, width=32)
    shape = st.lists(share, min_size=rows * classes, max_size=rows * classes)
    probabilities = np.array(draw(shape), np.float32).reshape(rows, classes)
    names = draw(st.lists(NAMES, min_size=classes, max_size=classes))
    predictions = Predictions(
        classes=probabilities.argmax(axis=1),
        probabilities=probabilities,
        versions=np.array(draw(st.lists(st.just(3), min_size=rows, max_size=rows))),
        timings=(None,) * rows,
        class_names={3: tuple(names)},
    )
    file, cut = draw(NAMES), draw(st.integers(0, rows - 1))
    images = np.zeros((rows, 784), np.uint8)
    return [
        Part(
            file=file,
            first=start,
            rows=check_images(images[start:stop]),
            predictions=predictions[start:stop],
        )
        for start, stop in ((0, cut), (cut, rows))
        if start < stop
    ]


def _written(kind: Callable[[], Report], parts: list[Part]) -> str:
    # The bytes of a pipe: what a line end in a name becomes is part of the law.
    pipe = io.BytesIO()
    with redirect_stdout(io.TextIOWrapper(pipe, encoding="utf-8", newline="\n")) as stdout:
        report = kind()
        for part in parts:
            report.add(part)
        report.finish()
        stdout.flush()
        return pipe.getvalue().decode()


def _expected(parts: list[Part]) -> Predictions:
    versions = np.concatenate([part.predictions.model_versions for part in parts])
    first = parts[0].predictions[0]
    return Predictions(
        classes=np.concatenate([part.predictions.classes for part in parts]),
        probabilities=np.concatenate([part.predictions.probabilities for part in parts]),
        versions=versions,
        timings=(None,) * len(versions),
        class_names={first.model_version: first.class_names},
    )


@given(parts=parts())
def test_json_gives_back_what_the_sdk_gave(parts: list[Part]) -> None:
    """Each line is an object, and its numbers are the SDK's own, to the last bit."""
    lines = [json.loads(line) for line in _written(JsonLines, parts).split("\n")[:-1]]
    expected = _expected(parts)
    assert [line["index"] for line in lines] == list(range(len(expected)))
    for line, prediction in zip(lines, expected, strict=True):
        assert line["file"] == parts[0].file
        assert line["label"] == prediction.label
        assert line["class_index"] == prediction.class_index
        assert np.float32(line["confidence"]) == np.float32(prediction.confidence)
        assert np.array_equal(np.float32(line["probabilities"]), prediction.probabilities)
        assert line["model_version"] == prediction.model_version


@given(parts=parts())
def test_csv_gives_back_what_the_sdk_gave(parts: list[Part]) -> None:
    """Any reader of CSV gets every image back under its header, whatever the names contain."""
    rows = list(csv.DictReader(io.StringIO(_written(CommaSeparated, parts), newline="")))
    expected = _expected(parts)
    assert [int(row["index"]) for row in rows] == list(range(len(expected)))
    for row, prediction in zip(rows, expected, strict=True):
        assert row["file"] == parts[0].file
        assert row["label"] == prediction.label
        assert int(row["class_index"]) == prediction.class_index
        assert np.float32(row["confidence"]) == np.float32(prediction.confidence)
        assert int(row["model_version"]) == prediction.model_version


@given(values=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=5))
def test_numbers_are_exact_and_short(values: list[float]) -> None:
    """A float32 is written with at most nine digits, which are read as the same float32."""
    array: npt.NDArray[np.float32] = np.array(values, np.float32)
    told = exact_list(array)
    assert told == [exact(value) for value in array]
    assert np.array_equal(np.array(told, np.float32), array)
    assert all(float(f"{value:.9g}") == value for value in told)


def test_a_pipe_that_knows_ascii_alone_gets_json() -> None:
    """Where a letter cannot be written, JSON spells it out, and it is read as the same letter."""
    part = Part(
        file="ü.png",
        first=0,
        rows=check_images(np.zeros((28, 28))),
        predictions=Predictions(
            classes=np.array([0]),
            probabilities=np.ones((1, 1), np.float32),
            versions=np.array([1]),
            timings=(None,),
            class_names={1: ("数",)},
        ),
    )
    pipe = io.BytesIO()
    with redirect_stdout(io.TextIOWrapper(pipe, encoding="ascii", errors="replace")) as stdout:
        JsonLines().add(part)
        stdout.flush()
    line = json.loads(pipe.getvalue())
    assert (line["file"], line["label"]) == ("ü.png", "数")

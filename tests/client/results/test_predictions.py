"""Predictions as a sequence and as arrays."""

import numpy as np
import pytest
from flatdense_client import Predictions
from flatdense_client._results.timing import read_timing

NAMES = ("cat", "dog", "owl")

QUICK = "queue;dur=0.100, compute;dur=0.200, total;dur=0.400, batch;desc=2"
SLOW = "queue;dur=1.000, compute;dur=0.200, total;dur=2.000, batch;desc=64"


@pytest.fixture
def predictions() -> Predictions:
    """Three images, the last answered by a version that has no names."""
    classes, versions = np.array([1, 0, 2]), np.array([4, 4, 5])
    probabilities = np.array([[0.25, 0.5, 0.25], [1, 0, 0], [0.1, 0.2, 0.7]], np.float32)
    for array in (classes, versions, probabilities):
        array.setflags(write=False)
    return Predictions(
        classes=classes,
        probabilities=probabilities,
        versions=versions,
        timings=(QUICK, QUICK, SLOW),
        class_names={4: NAMES},
    )


def test_each_prediction_is_a_row_of_the_arrays(predictions: Predictions) -> None:
    """Item, iteration and arrays tell the same."""
    for row, prediction in enumerate(predictions):
        assert prediction.class_index == predictions.classes[row]
        assert prediction.confidence == predictions.confidences[row]
        assert prediction.label == predictions.labels[row]
        assert prediction.model_version == predictions.model_versions[row]
        assert np.array_equal(prediction.probabilities, predictions.probabilities[row])
    assert predictions.labels == ("dog", "cat", "2")
    assert predictions.model_version == 5


def test_it_is_a_sequence(predictions: Predictions) -> None:
    """Length, negative indices, slices and the end behave as those of a list."""
    assert len(predictions) == 3
    assert predictions[-1].label == "2"
    assert predictions[:2].labels == ("dog", "cat")
    assert predictions[::-1].labels == ("2", "cat", "dog")
    assert len(predictions[3:]) == 0
    with pytest.raises(IndexError):
        predictions[3]


def test_nothing_can_be_changed(predictions: Predictions) -> None:
    """Arrays are read-only and predictions are frozen."""
    arrays = (
        predictions.classes,
        predictions.probabilities,
        predictions.confidences,
        predictions.model_versions,
        predictions[0].probabilities,
        predictions[:2].probabilities,
    )
    assert not any(array.flags.writeable for array in arrays)
    with pytest.raises(AttributeError):
        predictions[0].label = "cow"


def test_its_repr_is_for_people(predictions: Predictions) -> None:
    """The repr says how many images there are and what the first are, on one line."""
    assert repr(predictions) == ("Predictions(3 images: 'dog' 0.5000, 'cat' 1.0000, '2' 0.7000)")
    assert repr(predictions[0]) == (
        "Prediction(label='dog', confidence=0.5000, class_index=1, model_version=4)"
    )


def test_the_batch_is_a_table(predictions: Predictions) -> None:
    """to_numpy has a row for each image and a field for each attribute, free to be changed."""
    table = predictions.to_numpy()
    assert table.dtype.names == ("label", "class_index", "confidence", "model_version")
    for row, prediction in zip(table, predictions, strict=True):
        assert {name: row[name].item() for name in table.dtype.names} == {
            name: getattr(prediction, name) for name in table.dtype.names
        }
    table["label"] = "cow"
    assert predictions.labels == ("dog", "cat", "2")
    assert predictions[3:].to_numpy().shape == (0,)


def test_each_has_the_timing_of_its_message(predictions: Predictions) -> None:
    """Also in a part of the batch; the batch has that of the slowest message."""
    quick, slow = read_timing(QUICK), read_timing(SLOW)
    assert [each.timing for each in predictions] == [quick, quick, slow]
    assert predictions[1:][1].timing == slow
    assert predictions.timing == slow
    assert predictions[:2].timing == quick

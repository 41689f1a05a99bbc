"""The figures that drift is measured by."""

import numpy as np
import pytest
from flatdense_artifact import FEATURES, count_bins, measure
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

images = npst.arrays(np.uint8, st.tuples(st.integers(1, 8), st.just(784)))
halves = st.integers(-6, 6).map(lambda number: number / 2)
edges = st.lists(halves, min_size=2, max_size=8, unique=True).map(sorted)
values = npst.arrays(np.float64, st.integers(0, 60), elements=halves | st.floats(-3, 3))


def measure_rows(rows: np.ndarray) -> dict[str, np.ndarray]:
    """With answers that are all the same."""
    return measure(rows, np.full(len(rows), 0.5, np.float32), np.full(len(rows), 3))


def test_each_feature_is_what_its_name_says() -> None:
    """A half that is full, one that is just ink and one that is just not."""
    rows = np.zeros((3, 784), np.uint8)
    rows[0, :392], rows[1, :392], rows[2, :392] = 255, 128, 127
    confidences = np.array([0.25, 0.5, 1], np.float32)
    features = measure(rows, confidences, np.array([0, 9, 5]))
    assert features["input_mean"] == pytest.approx([1 / 2, 128 / 510, 127 / 510])
    assert features["ink_share"].tolist() == [0.5, 0.5, 0]
    assert features["confidence"].tolist() == [0.25, 0.5, 1]
    assert features["class"].tolist() == [0, 9, 5]
    assert tuple(features) == FEATURES


@given(images)
def test_scaled_pixels_have_the_features_of_bytes(rows: np.ndarray) -> None:
    """An image is the same to drift, whichever type it came as."""
    scaled = rows.astype(np.float32) / np.float32(255)
    of_bytes, of_floats = measure_rows(rows), measure_rows(scaled)
    assert of_floats["ink_share"].tolist() == of_bytes["ink_share"].tolist()
    assert of_floats["input_mean"] == pytest.approx(of_bytes["input_mean"], abs=1e-6)


@given(values, edges)
def test_each_value_is_in_the_bin_whose_lower_edge_it_reaches(
    values: np.ndarray, edges: list[float]
) -> None:
    """Bins are those of numpy's histogram, and what lies beyond them is in the outer ones."""
    expected, _ = np.histogram(values.clip(edges[0], edges[-1]), edges)
    assert count_bins(values, edges).tolist() == expected.tolist()


@given(images)
def test_unusual_floats_have_finite_features(rows: np.ndarray) -> None:
    """Whatever number a pixel is, each row has one finite value of each feature."""
    wild = (rows.astype(np.float32) - 100) * np.float32(1e4)
    for name, measured in measure_rows(wild).items():
        assert measured.shape == (len(rows),), name
        assert np.isfinite(measured).all(), name

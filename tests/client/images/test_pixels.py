"""Which arrays are images, and what is said of those that are not."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import InvalidInput
from flatdense_client._images.pixels import check_array
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

UINT8_IMAGES = hnp.arrays(np.uint8, st.tuples(st.integers(1, 4), st.just(28), st.just(28)))
INTEGER_TYPES = st.sampled_from(["u1", "i2", "u2", ">i2", "i4", "i8", "u8", ">u4"])
FLOAT_TYPES = st.sampled_from(["f4", ">f4", "f8", ">f8"])


def _bytes_of(images: npt.NDArray[Any]) -> bytes:
    rows = check_array(images)
    return rows.to_bytes(0, len(rows))


@given(images=UINT8_IMAGES, dtype=INTEGER_TYPES)
def test_integers_of_any_type_and_shape_are_the_same_bytes(
    images: npt.NDArray[np.uint8], dtype: str
) -> None:
    """An image is one and the same in every accepted shape, integer type and byte order."""
    wide = images.astype(dtype)
    assert _bytes_of(wide) == images.tobytes()
    assert _bytes_of(wide.reshape(-1, 784)) == images.tobytes()
    assert _bytes_of(wide[0]) == images[0].tobytes()
    assert _bytes_of(wide[0].reshape(784)) == images[0].tobytes()


@given(images=UINT8_IMAGES, dtype=FLOAT_TYPES)
def test_floats_of_any_type_are_little_endian_binary32(
    images: npt.NDArray[np.uint8], dtype: str
) -> None:
    """Scaled floats of any width and byte order travel as little-endian binary32."""
    scaled = (images / 255).astype(dtype)
    assert _bytes_of(scaled) == scaled.astype("<f4").tobytes()


@given(images=UINT8_IMAGES)
def test_half_floats_are_accepted(images: npt.NDArray[np.uint8]) -> None:
    """The rounding of float16 does not push a scaled image out of range."""
    scaled = (images / 255).astype(np.float16)
    assert _bytes_of(scaled) == scaled.astype("<f4").tobytes()


@given(images=UINT8_IMAGES)
def test_memory_layout_does_not_matter(images: npt.NDArray[np.uint8]) -> None:
    """A reversed, transposed or read-only array gives the rows that its indices say."""
    reversed_rows = images[::-1]
    transposed = images.transpose(0, 2, 1)
    images.flags.writeable = False
    assert _bytes_of(reversed_rows) == np.ascontiguousarray(reversed_rows).tobytes()
    assert _bytes_of(transposed) == np.ascontiguousarray(transposed).tobytes()
    assert _bytes_of(np.asfortranarray(images)) == images.tobytes()


def test_a_true_boolean_is_ink() -> None:
    """Booleans are the two extremes of uint8."""
    image = np.eye(28, dtype=bool)
    assert _bytes_of(image) == (np.eye(28, dtype=np.uint8) * 255).tobytes()


def test_the_callers_array_is_not_copied() -> None:
    """Checking a big contiguous array costs no second one."""
    images = np.zeros((3, 28, 28), np.float32)
    assert np.shares_memory(check_array(images).pixels, images)


@pytest.mark.parametrize(
    ("value", "dtype", "told"),
    [
        (254.0, np.float32, "row 3 has the value 254.0 at pixel (0, 5); float images are 0..1"),
        (-0.01, np.float64, "row 3 has the value -0.01 at pixel (0, 5)"),
        (np.nan, np.float32, "row 3 has the value nan at pixel (0, 5)"),
        (np.inf, np.float16, "row 3 has the value inf at pixel (0, 5)"),
        (-np.inf, np.float64, "row 3 has the value -inf at pixel (0, 5)"),
        (1e300, np.float64, "row 3 has the value 1e+300 at pixel (0, 5)"),
        (256, np.int64, "row 3 has the value 256 at pixel (0, 5); integer images are 0..255"),
        (-1, np.int8, "row 3 has the value -1 at pixel (0, 5)"),
        (2**63, np.uint64, "row 3 has the value 9223372036854775808 at pixel (0, 5)"),
    ],
)
def test_a_value_out_of_range_is_named(value: float, dtype: type, told: str) -> None:
    """A value that no image has is refused with its row, itself and the rule."""
    images = np.zeros((5, 784), dtype)
    images[3, 5] = value
    with pytest.raises(InvalidInput) as caught:
        check_array(images)
    assert told in str(caught.value)
    assert caught.value.violations[0].field == "images"


@pytest.mark.parametrize("value", [-1e-6, 1 + 1e-6, 0.0, 1.0])
def test_rounding_is_forgiven(value: float) -> None:
    """A float that is off by a rounding error is an image."""
    assert len(check_array(np.full((28, 28), value))) == 1


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (np.zeros((0, 784)), "there are no images"),
        (np.zeros((0, 28, 28), np.uint8), "there are no images"),
        (np.array([]), "there are no images"),
        (np.zeros(783), "shape (783,)"),
        (np.zeros((2, 785)), "shape (2, 785)"),
        (np.zeros((1, 2, 28, 28)), "shape (1, 2, 28, 28)"),
        (np.zeros((2, 28, 28, 1)), "images[..., 0]"),
        (np.zeros((2, 1, 28, 28)), "images[:, 0]"),
        (np.zeros((2, 0)), "shape (2, 0)"),
        (np.array(0.5), "shape ()"),
        (np.zeros((1, 784), np.complex64), "type complex64"),
        (np.full((1, 784), "7"), "expected uint8 or float"),
        (np.full((1, 784), None), "type object"),
        (np.zeros((1, 784), "M8[s]"), "expected uint8 or float"),
        (np.zeros((1, 784), "V2"), "convert with .astype(numpy.float32)"),
        (np.array(["seven.png"]), "type <U9; expected uint8 or float"),
    ],
)
def test_what_is_no_image_is_refused(images: npt.NDArray[Any], told: str) -> None:
    """A wrong shape or type is refused with what came and what was expected."""
    with pytest.raises(InvalidInput, match=r".") as caught:
        check_array(images)
    assert told in str(caught.value)

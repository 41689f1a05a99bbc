"""Tensors of other libraries, which are read without importing these."""

import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from flatdense_client import InvalidInput
from flatdense_client._images.tensors import to_array

NUMBERS = np.arange(784, dtype=np.uint8)


class _Unwilling:
    """A tensor that does not lend its numbers to NumPy, as PyTorch's do that track a gradient."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __array__(self, dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
        raise self._error


class _Elsewhere:
    """A tensor in the memory of an accelerator."""

    def __dlpack__(self, **asked: Any) -> Any:  # noqa: ANN401  # the protocol's
        """Lends nothing to the processor."""
        raise BufferError(f"not on the CPU, and asked for {sorted(asked)}")

    def __dlpack_device__(self) -> tuple[int, int]:
        """A CUDA device."""
        return (2, 0)


@pytest.mark.parametrize(
    "tensor",
    [
        _Unwilling(RuntimeError("Can't call numpy() on Tensor that requires grad.")),
        _Unwilling(TypeError("can't convert cuda:0 device type tensor to numpy.")),
        _Unwilling(TypeError("Got unsupported ScalarType BFloat16")),
        _Unwilling(NotImplementedError("Cannot convert a symbolic tensor")),
        _Elsewhere(),
    ],
)
def test_a_tensor_that_cannot_be_read_says_what_to_do(tensor: object) -> None:
    """Whatever keeps a tensor from being read, the message has its library's reason and a way."""
    with pytest.raises(
        InvalidInput, match=r"such as tensor\.detach\(\)\.cpu\(\)\.float\(\)"
    ) as caught:
        to_array(tensor)
    assert f"{__name__}.{type(tensor).__name__} does not become an array" in str(caught.value)
    assert caught.value.__cause__ is not None
    assert str(caught.value.__cause__) in str(caught.value)
    assert caught.value.violations[0].field == "images"


def test_running_out_of_memory_is_not_the_inputs_fault() -> None:
    """An error that says nothing of the tensor is passed on."""
    with pytest.raises(MemoryError):
        to_array(_Unwilling(MemoryError()))


TENSORFLOW = """
import sys
import flatdense_client
from flatdense_client._images.inputs import check_images
assert "tensorflow" not in sys.modules
import numpy as np
import tensorflow as tf

def bytes_of(images):
    rows = check_images(images)
    return rows.to_bytes(0, len(rows))

numbers = (np.arange(784) % 256).astype(np.uint8)
tensor = tf.constant(numbers)
scaled = tf.cast(tensor, tf.float32) / 255
assert bytes_of(tensor) == bytes_of(tf.Variable(tensor)) == numbers.tobytes()
assert bytes_of(tf.reshape(tensor, (1, 28, 28))) == numbers.tobytes()
assert bytes_of([tensor, numbers, tf.reshape(tensor, (28, 28))]) == numbers.tobytes() * 3
assert bytes_of(scaled) == (numbers.astype("<f4") / np.float32(255)).tobytes()
assert len(check_images(tf.cast(scaled, tf.float16))) == 1

def refusal(images):
    try:
        check_images(images)
    except flatdense_client.InvalidInput as error:
        return str(error)
    raise AssertionError("accepted")

assert "type bfloat16" in refusal(tf.cast(scaled, tf.bfloat16))
assert "row 1 has the type bfloat16" in refusal([tensor, tf.cast(scaled, tf.bfloat16)])
assert "type object" in refusal(tf.constant(["seven.png"]))
assert "images[..., 0]" in refusal(tf.zeros((2, 28, 28, 1)))

@tf.function
def trace(images):
    assert "symbolic" in refusal(images)
    return images

trace(scaled)
print("fine")
"""


def test_tensors_of_tensorflow() -> None:
    """TensorFlow's own tensors are read, and the client imports no TensorFlow to do so."""
    if find_spec("tensorflow") is None:
        pytest.skip("no TensorFlow")
    done = subprocess.run(
        [sys.executable, "-c", TENSORFLOW],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr

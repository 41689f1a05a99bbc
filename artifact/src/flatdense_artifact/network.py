"""The compiled networks of a library, called by ctypes. No TensorFlow is imported."""

import ctypes
import math
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from flatdense_artifact.errors import LibraryUnusable, VersionDamaged
from flatdense_artifact.library import ABI, LIBRARY_NAME, NetworkShape
from flatdense_artifact.weights import WEIGHTS_NAME, DenseLayer, Weights

ALIGNMENT_BYTES: Final = 64
"""Of every buffer that XLA's code reads."""

DTYPE_CODES: Final = {np.dtype(np.uint8): 0, np.dtype(np.float32): 1}
"""enum flatdense_dtype."""

Scalar = TypeVar("Scalar", bound=np.generic)

Float32 = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8 | np.float32]


class Library:
    """A library that was opened. Whoever opens it has checked it: see check_library().

    Raises LibraryUnusable where the system cannot load it.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / LIBRARY_NAME
        try:
            self.functions = ctypes.CDLL(str(path))
            declare(self.functions)
        except (OSError, AttributeError) as error:
            raise LibraryUnusable(f"{path} cannot be opened: {error}") from error
        abi = self.functions.flatdense_abi()
        if abi != ABI:
            raise LibraryUnusable(f"{path} has interface {abi}; this program uses {ABI}")


class Network:
    """One batch size of one dtype. For one thread at a time.

    The caller writes `images` [rows, pixels], run() computes, and `probabilities` [rows, classes],
    `classes` [rows] and `hidden` [rows, hidden] are read before the next run. ctypes lets go of the
    GIL during the call.
    """

    def __init__(
        self,
        library: Library,
        *,
        images: Pixels,
        shape: NetworkShape,
        weights: Weights,
    ) -> None:
        """Opens the network for as many rows as `images` has.

        `images` came from allocate(), or is the beginning of such an array; networks may share it.
        `weights` came from align_weights(). Both are kept.
        """
        self._functions = functions = library.functions
        self._weights = weights
        self.images = images
        rows, dtype = len(images), images.dtype
        layers = (weights.hidden, weights.output)
        arrays = [array for layer in layers for array in (layer.kernel, layer.bias)]
        self._handle = functions.flatdense_open(
            DTYPE_CODES[dtype], rows, *(array.ctypes.data for array in (images, *arrays))
        )
        if not self._handle:
            raise LibraryUnusable(f"the library has no network for {rows} rows of {dtype}")
        floats = np.dtype(np.float32)
        self.probabilities = self._view("probabilities", (rows, shape.classes), floats)
        self.classes = self._view("classes", (rows,), np.dtype(np.int64))
        self.hidden = self._view("hidden", (rows, shape.hidden), floats)

    def run(self) -> None:
        """Computes the outputs from `images`. Raises RuntimeError where the code says it failed."""
        if self._functions.flatdense_run(self._handle):
            raise RuntimeError("the compiled network failed")

    def close(self) -> None:
        """Frees the outputs: no array of this network may be touched after."""
        if self._handle:
            self._functions.flatdense_close(self._handle)
            self._handle = None

    def _view(
        self, buffer: str, shape: tuple[int, ...], dtype: np.dtype[Scalar]
    ) -> npt.NDArray[Scalar]:
        address = getattr(self._functions, f"flatdense_{buffer}")(self._handle)
        size_bytes = math.prod(shape) * dtype.itemsize
        memory = (ctypes.c_char * size_bytes).from_address(address)
        return np.ndarray(shape, dtype, buffer=memoryview(memory).cast("B"))


def declare(functions: ctypes.CDLL) -> None:
    """The signatures of flatdense_aot.h."""
    pointer = ctypes.c_void_p
    functions.flatdense_abi.restype = ctypes.c_int32
    functions.flatdense_open.restype = pointer
    functions.flatdense_open.argtypes = [ctypes.c_int32, ctypes.c_int64, *[pointer] * 5]
    functions.flatdense_close.restype = None
    functions.flatdense_run.restype = ctypes.c_int32
    for buffer in ("probabilities", "classes", "hidden"):
        getattr(functions, f"flatdense_{buffer}").restype = pointer
    for name in ("close", "run", "probabilities", "classes", "hidden"):
        getattr(functions, f"flatdense_{name}").argtypes = [pointer]


def align_weights(weights: Weights, shape: NetworkShape) -> Weights:
    """The same weights as float32 arrays that XLA's code can read where they lie.

    Raises VersionDamaged where they are not those of the architecture: XLA's code would read beyond
    their end.
    """
    widths = {
        weights.hidden.name: (shape.pixels, shape.hidden),
        weights.output.name: (shape.hidden, shape.classes),
    }

    def layer(dense: DenseLayer) -> DenseLayer:
        inputs, units = widths[dense.name]
        kernel = align(dense.kernel, f"{dense.name}/kernel", (inputs, units))
        return DenseLayer(
            name=dense.name, kernel=kernel, bias=align(dense.bias, f"{dense.name}/bias", (units,))
        )

    return Weights(layer(weights.hidden), layer(weights.output))


def align(array: Float32, name: str, shape: tuple[int, ...]) -> Float32:
    """A row-major copy whose first byte lies on a multiple of ALIGNMENT_BYTES."""
    if array.shape != shape or array.dtype != np.float32:
        raise VersionDamaged(
            f"{WEIGHTS_NAME}: {name} is {array.dtype}{list(array.shape)}, and the architecture has "
            f"float32{list(shape)}. Export the model again."
        )
    copy = allocate(array.shape, array.dtype)
    copy[...] = array
    return copy


def allocate(shape: tuple[int, ...], dtype: np.dtype[Scalar]) -> npt.NDArray[Scalar]:
    """Zeros, row-major, whose first byte lies on a multiple of ALIGNMENT_BYTES."""
    size_bytes = math.prod(shape) * dtype.itemsize
    memory = np.zeros(size_bytes + ALIGNMENT_BYTES, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT_BYTES
    return memory[start : start + size_bytes].view(dtype).reshape(shape)

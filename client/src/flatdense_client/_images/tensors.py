"""Arrays of any library, read as NumPy's without importing it."""

from typing import Any

import numpy as np
import numpy.typing as npt

from flatdense_client._images.pixels import refusal

_KINDS = "an array or nested list of numbers, a PIL image, a path, or bytes of a PNG or JPEG"


def to_array(value: Any) -> npt.NDArray[Any]:  # noqa: ANN401  # that is what it finds out
    """The numbers in a NumPy array, list, buffer or tensor; a view of its memory where it lends it.

    Tensors of other libraries are read through `__array__`, or else through DLPack.

    Raises InvalidInput: it holds no numbers, or does not lend them.
    """
    lends_dlpack_alone = hasattr(value, "__dlpack__") and not hasattr(value, "__array__")
    try:
        array = np.from_dlpack(value) if lends_dlpack_alone else np.asarray(value)
    # Each library has its own errors for tensors that it does not lend.
    except (AttributeError, BufferError, RuntimeError, TypeError, ValueError) as error:
        raise refusal(_explain(value, error)) from error
    if array.ndim == 0 and array.dtype == object:
        raise refusal(f"this is of the type {_name(value)}; expected {_KINDS}")
    return array


def _explain(value: object, error: Exception) -> str:
    if isinstance(value, list | tuple):
        return f"the numbers do not form an array ({error})"
    return (
        f"this {_name(value)} does not become an array ({error}); expected dense numbers in the "
        "memory of the CPU that track no gradient, such as tensor.detach().cpu().float()"
    )


def _name(value: object) -> str:
    kind = type(value)
    is_plain = kind.__module__ == "builtins"
    return kind.__qualname__ if is_plain else f"{kind.__module__}.{kind.__qualname__}"

"""What an image may be, for type checkers."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy.typing as npt


class SupportsArray(Protocol):
    """An array or tensor of any library that makes a NumPy array of itself."""

    def __array__(self) -> npt.NDArray[Any]:
        """Gives the numbers."""


class SupportsArrayInterface(Protocol):
    """A grid of numbers that NumPy may read, such as an image of PIL's."""

    @property
    def __array_interface__(self) -> Mapping[str, Any]:
        """Describes the memory."""


class SupportsDLPack(Protocol):
    """A tensor that other libraries may read."""

    def __dlpack__(self) -> Any:  # noqa: ANN401  # a capsule, which has no type
        """Lends the memory."""


ImageLike: TypeAlias = (
    SupportsArray
    | SupportsArrayInterface
    | SupportsDLPack
    | str
    | os.PathLike[str]
    | bytes
    | bytearray
)
"""One image: an array, a tensor, an image of PIL's, the path of a PNG or JPEG, or its bytes."""

# A list of numbers, of lists of numbers, or of images: checkers infer the type of a list that is
# written in place only where no more than one kind of sequence is expected.
ImagesLike: TypeAlias = ImageLike | float | Sequence["ImagesLike"]
"""One image or many: an ImageLike, nested lists of numbers, or a list of images of any kind."""

"""The arrays that go through the server, the same under every protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

IMAGE_SHAPE: Final = (28, 28)
PIXELS: Final = IMAGE_SHAPE[0] * IMAGE_SHAPE[1]

INPUT_NAME: Final = "images"
PROBABILITIES_NAME: Final = "probabilities"
CLASSES_NAME: Final = "classes"
HIDDEN_NAME: Final = "hidden"

DType: TypeAlias = np.dtype[np.uint8 | np.float32]

Rows: TypeAlias = npt.NDArray[np.uint8 | np.float32]
"""[N, 784], C-contiguous: uint8 0..255, or float32 already scaled to 0..1."""

UINT8: Final[DType] = np.dtype(np.uint8)
FLOAT32: Final[DType] = np.dtype(np.float32)


@dataclass(frozen=True, slots=True)
class Ran:
    """When a batch ran."""

    started_s: float
    """On the clock of time.monotonic()."""
    took_s: float
    rows: int


@dataclass(slots=True)  # not frozen: those take longer to make
class Outputs:
    """What the network says of N rows."""

    probabilities: npt.NDArray[np.float32]
    """[N, C]"""
    classes: npt.NDArray[np.int64]
    """[N]"""
    hidden: npt.NDArray[np.float32] | None = None
    """[N, H], where they were asked for and the network has two dense layers that are known."""
    ran: Ran | None = None
    """In which batch, where they were computed in one."""

    @classmethod
    def join(cls, pieces: "Sequence[Outputs]") -> "Outputs":
        """The answers of all pieces, in order; one piece is given back as it is."""
        if len(pieces) == 1:
            return pieces[0]
        hidden = [piece.hidden for piece in pieces if piece.hidden is not None]
        return cls(
            np.concatenate([piece.probabilities for piece in pieces]),
            np.concatenate([piece.classes for piece in pieces]),
            np.concatenate(hidden) if hidden else None,
        )

    def cut(self, start: int, stop: int) -> "Outputs":
        """The answers to rows `start` to `stop`: views, no copy."""
        hidden = None if self.hidden is None else self.hidden[start:stop]
        return Outputs(self.probabilities[start:stop], self.classes[start:stop], hidden, self.ran)

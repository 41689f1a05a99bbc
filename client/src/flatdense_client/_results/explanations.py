"""What the model says of each image, and where it comes from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, overload

import numpy as np
import numpy.typing as npt

from flatdense_client._results.predictions import Predictions
from flatdense_client._results.timing import Timing

_SHOWN = 5

Float32 = npt.NDArray[np.float32]


class PixelContribution(NamedTuple):
    """What one pixel adds to the logit of a class."""

    y: int
    """The row, 0 at the top."""
    x: int
    """The column, 0 at the left."""
    contribution: float
    """Above 0 where the pixel speaks for the class, below 0 where it speaks against it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Explanation:
    """What the model says of one image, and why. Immutable; equal only to itself.

    One class was taken apart: `explained_class`. Its logit is exactly the sum of `contributions`
    and `bias_contribution`, up to the rounding of float32.
    """

    label: str
    """The name of the most probable class, such as "7"."""
    class_index: int
    """The most probable class: the index of its probability."""
    confidence: float
    """The probability of that class, 0..1."""
    probabilities: Float32
    """[C], one for each class, read-only; they sum to 1."""
    class_names: tuple[str, ...]
    """[C] the names of the classes; "0", "1", ... where the server gave none."""
    model_version: int
    """The version of the model that answered."""
    timing: Timing | None
    """As in `Prediction`."""
    logits: Float32
    """[C] before softmax, read-only."""
    hidden: Float32
    """[H] the activations of the hidden layer, read-only; 0 where a unit is not active."""
    explained_label: str
    """The name of the class that was taken apart."""
    explained_class: int
    """The class that was taken apart: the index of its logit."""
    contributions: Float32
    """[28, 28] what each pixel adds to the logit of that class, read-only; below 0 against it."""
    bias_contribution: float
    """What the biases add to it, whatever the image is."""

    def top_pixels(self, n: int = 10) -> tuple[PixelContribution, ...]:
        """The `n` pixels that matter most, for or against: by size, the greatest first.

        Fewer where fewer contribute at all: an empty pixel contributes nothing.
        """
        flat = self.contributions.ravel()
        order = np.argsort(-np.abs(flat), kind="stable")[: max(n, 0)]
        width = self.contributions.shape[1]
        return tuple(
            PixelContribution(index // width, index % width, float(flat[index]))
            for index in order.tolist()
            if flat[index] != 0
        )

    def __repr__(self) -> str:
        return (
            f"Explanation(label={self.label!r}, confidence={self.confidence:.4f}, "
            f"explained_label={self.explained_label!r}, "
            f"logit={self.logits[self.explained_class]:.4f}, "
            f"pixels={self.contributions.sum():.4f}, biases={self.bias_contribution:.4f}, "
            f"model_version={self.model_version})"
        )


class Explanations(Sequence[Explanation]):
    """One explanation for each image, in the order of the images. Immutable.

    It has a length, can be indexed, sliced and iterated; the same numbers stand in arrays for those
    who want to compute with them. All arrays are read-only.
    """

    __slots__ = (
        "_bias_contributions",
        "_contributions",
        "_explained_classes",
        "_hidden",
        "_logits",
        "_predictions",
    )

    def __init__(
        self,
        *,
        predictions: Predictions,
        logits: Float32,
        hidden: Float32,
        explained_classes: npt.NDArray[np.int64],
        contributions: Float32,
        bias_contributions: Float32,
    ) -> None:
        """Takes the arrays over and makes them read-only."""
        for array in (logits, hidden, explained_classes, contributions, bias_contributions):
            array.setflags(write=False)
        self._predictions = predictions
        self._logits = logits
        self._hidden = hidden
        self._explained_classes = explained_classes
        self._contributions = contributions
        self._bias_contributions = bias_contributions

    @property
    def predictions(self) -> Predictions:
        """What `classify` says of the same images: labels, classes, probabilities, versions."""
        return self._predictions

    @property
    def logits(self) -> Float32:
        """[N, C] before softmax."""
        return self._logits

    @property
    def hidden(self) -> Float32:
        """[N, H] the activations of the hidden layer."""
        return self._hidden

    @property
    def explained_classes(self) -> npt.NDArray[np.int64]:
        """[N] the class of each image that was taken apart."""
        return self._explained_classes

    @property
    def contributions(self) -> Float32:
        """[N, 28, 28] what each pixel adds to the logit of that class; below 0 against it."""
        return self._contributions

    @property
    def bias_contributions(self) -> Float32:
        """[N] what the biases add to it."""
        return self._bias_contributions

    def __len__(self) -> int:
        return len(self._predictions)

    @overload
    def __getitem__(self, index: int) -> Explanation: ...
    @overload
    def __getitem__(self, index: slice) -> "Explanations": ...
    def __getitem__(self, index: int | slice) -> "Explanation | Explanations":
        if isinstance(index, slice):
            return Explanations(
                predictions=self._predictions[index],
                logits=self._logits[index],
                hidden=self._hidden[index],
                explained_classes=self._explained_classes[index],
                contributions=self._contributions[index],
                bias_contributions=self._bias_contributions[index],
            )
        prediction = self._predictions[index]
        explained_class = int(self._explained_classes[index])
        return Explanation(
            label=prediction.label,
            class_index=prediction.class_index,
            confidence=prediction.confidence,
            probabilities=prediction.probabilities,
            class_names=prediction.class_names,
            model_version=prediction.model_version,
            timing=prediction.timing,
            logits=self._logits[index],
            hidden=self._hidden[index],
            explained_label=prediction.class_names[explained_class],
            explained_class=explained_class,
            contributions=self._contributions[index],
            bias_contribution=float(self._bias_contributions[index]),
        )

    def __iter__(self) -> Iterator[Explanation]:
        return (self[row] for row in range(len(self)))

    def __repr__(self) -> str:
        shown = [f"{e.explained_label!r} of {e.label!r} {e.confidence:.4f}" for e in self[:_SHOWN]]
        rest = ["..."] if len(self) > _SHOWN else []
        listed = [", ".join(shown + rest)] if shown else []
        images = "1 image" if len(self) == 1 else f"{len(self):,} images"
        return f"Explanations({': '.join([images, *listed])})"

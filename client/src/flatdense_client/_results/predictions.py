"""What the model says of each image."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt

from flatdense_client._results.timing import Timing, read_timing

_SHOWN = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """What the model says of one image. Immutable; equal only to itself."""

    label: str
    """The name of the most probable class, such as "7"."""
    class_index: int
    """The most probable class: the index of its probability."""
    confidence: float
    """The probability of that class, 0..1."""
    probabilities: npt.NDArray[np.float32]
    """[C], one for each class, read-only; they sum to 1."""
    class_names: tuple[str, ...]
    """[C] the names of the classes; "0", "1", ... where the server gave none."""
    model_version: int
    """The version of the model that answered."""
    timing: Timing | None
    """What the message took on the server that this image travelled in, perhaps among others.

    None for what came by a stream, and from a server that does not tell.
    """

    def __repr__(self) -> str:
        return (
            f"Prediction(label={self.label!r}, confidence={self.confidence:.4f}, "
            f"class_index={self.class_index}, model_version={self.model_version})"
        )


class Predictions(Sequence[Prediction]):
    """One prediction for each image, in the order of the images. Immutable.

    It has a length, can be indexed, sliced and iterated; the same numbers stand in arrays for those
    who want to compute with them. All arrays are read-only.
    """

    __slots__ = ("_class_names", "_classes", "_probabilities", "_timings", "_versions")

    def __init__(
        self,
        *,
        classes: npt.NDArray[np.int64],
        probabilities: npt.NDArray[np.float32],
        versions: npt.NDArray[np.int64],
        timings: tuple[str | None, ...],
        class_names: Mapping[int, tuple[str, ...]],
    ) -> None:
        """Takes the arrays over, which are read-only; `class_names` is by version.

        `timings` are the server's words on the timing of each image's message.
        """
        self._classes = classes
        self._probabilities = probabilities
        self._versions = versions
        self._timings = timings
        self._class_names = class_names

    @property
    def classes(self) -> npt.NDArray[np.int64]:
        """[N] the most probable class of each image."""
        return self._classes

    @property
    def probabilities(self) -> npt.NDArray[np.float32]:
        """[N, C] the probability of each class for each image."""
        return self._probabilities

    @property
    def confidences(self) -> npt.NDArray[np.float32]:
        """[N] the probability of the most probable class of each image."""
        confidences = self._probabilities[np.arange(len(self)), self._classes]
        confidences.flags.writeable = False
        return confidences

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of the most probable class of each image."""
        names = {version: self._names(version) for version in set(self._versions.tolist())}
        rows = zip(self._versions.tolist(), self._classes.tolist(), strict=True)
        return tuple(names[version][class_index] for version, class_index in rows)

    @property
    def model_version(self) -> int:
        """The version that answered the last image.

        A server that changes versions during a call of several messages answers the later ones with
        the newer version: `model_versions` has the version of each image.
        """
        return int(self._versions[-1])

    @property
    def model_versions(self) -> npt.NDArray[np.int64]:
        """[N] the version that answered each image."""
        return self._versions

    @property
    def timing(self) -> Timing | None:
        """What the slowest message of the call took on the server: see `Prediction.timing`."""
        told = [timing for words in set(self._timings) if (timing := read_timing(words))]
        return max(told, key=lambda timing: timing.total_s, default=None)

    def to_numpy(self) -> npt.NDArray[np.void]:
        """The batch as a table: a structured array [N], with a field for each attribute.

        `label` (str), `class_index` (int64), `confidence` (float32) and `model_version` (int64), as
        in `Prediction`: `pandas.DataFrame(predictions.to_numpy())` takes it as it is. A new array,
        which may be changed. The classes and the probabilities alone are `classes` and
        `probabilities`.
        """
        labels = np.array(self.labels, dtype=np.str_)
        fields = {
            "label": labels,
            "class_index": self._classes,
            "confidence": self.confidences,
            "model_version": self._versions,
        }
        table = np.empty(len(self), [(name, values.dtype) for name, values in fields.items()])
        for name, values in fields.items():
            table[name] = values
        return table

    def __len__(self) -> int:
        return len(self._classes)

    @overload
    def __getitem__(self, index: int) -> Prediction: ...
    @overload
    def __getitem__(self, index: slice) -> "Predictions": ...
    def __getitem__(self, index: int | slice) -> "Prediction | Predictions":
        if isinstance(index, slice):
            return Predictions(
                classes=self._classes[index],
                probabilities=self._probabilities[index],
                versions=self._versions[index],
                timings=self._timings[index],
                class_names=self._class_names,
            )
        class_index, version = int(self._classes[index]), int(self._versions[index])
        names = self._names(version)
        return Prediction(
            label=names[class_index],
            class_index=class_index,
            confidence=float(self._probabilities[index, class_index]),
            probabilities=self._probabilities[index],
            class_names=names,
            model_version=version,
            timing=read_timing(self._timings[index]),
        )

    def __iter__(self) -> Iterator[Prediction]:
        return (self[row] for row in range(len(self)))

    def __repr__(self) -> str:
        shown = [f"{p.label!r} {p.confidence:.4f}" for p in self[:_SHOWN]]
        rest = ["..."] if len(self) > _SHOWN else []
        listed = [", ".join(shown + rest)] if shown else []
        images = "1 image" if len(self) == 1 else f"{len(self):,} images"
        return f"Predictions({': '.join([images, *listed])})"

    def _names(self, version: int) -> tuple[str, ...]:
        class_count = self._probabilities.shape[1]
        names = self._class_names.get(version, ())
        if len(names) != class_count:  # the server gave none
            return tuple(str(index) for index in range(class_count))
        return names

"""What one run learns from: one dataset, or several that are learnt together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from flatdense_training.data.datasets import Dataset, recognise
from flatdense_training.data.overlap import tell_overlap
from flatdense_training.data.sources import Source
from flatdense_training.data.split import Examples, Splits, split
from flatdense_training.errors import DataUnfit


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One of the datasets, parted."""

    dataset: Dataset
    origin: str
    splits: Splits


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Everything that a run learns from and is judged by."""

    dataset: Dataset
    """What it is together: its description goes into the manifest."""
    splits: Splits
    """Those of the parts, one after another, in their order."""
    parts: tuple[Part, ...]
    remarks: tuple[str, ...]
    """What the user should know, a sentence each."""


def assemble(
    sources: Sequence[Source], class_names: tuple[str, ...] | None, *, seed: int
) -> Material:
    """Parts each of the sources, and puts like parts together.

    `class_names` rename the classes of all of them. The seed chooses the validation images. Raises
    DataUnfit where a dataset came twice, where the classes differ, or where too many images to test
    are among those to learn from.
    """
    check_different(sources)
    named = [name_classes(source, class_names) for source in sources]
    check_same_classes(named)
    datasets = tell_apart([source.dataset for source in named])
    parts = tuple(
        Part(
            dataset=dataset,
            origin=source.origin,
            splits=split(dataset, source.arrays, seed=seed),
        )
        for dataset, source in zip(datasets, named, strict=True)
    )
    splits = Splits(
        train=join([part.splits.train for part in parts]),
        validation=join([part.splits.validation for part in parts]),
        test=join([part.splits.test for part in parts]),
    )
    remarks = [remark for source in sources for remark in source.remarks]
    if len(parts) > 1 or recognise(datasets[0].sha256) is None:
        remarks += tell_overlap(splits, sources)
    return Material(dataset=mix(parts), splits=splits, parts=parts, remarks=tuple(remarks))


def check_different(sources: Sequence[Source]) -> None:
    """Raises DataUnfit where two sources are the same dataset."""
    for number, source in enumerate(sources):
        for earlier in sources[:number]:
            if dict(earlier.dataset.sha256) == dict(source.dataset.sha256):
                raise DataUnfit(
                    f"{earlier.dataset.title} from {earlier.origin} and from {source.origin} are "
                    "the same images and labels. Name each dataset once."
                )


def name_classes(source: Source, class_names: tuple[str, ...] | None) -> Source:
    """The source with its classes called anew. Raises DataUnfit where it has another number."""
    dataset = source.dataset
    if class_names is None or dataset.class_names == class_names:
        return source
    if len(dataset.class_names) != len(class_names):
        raise DataUnfit(
            f"{dataset.title} has {len(dataset.class_names)} classes, and --class-names gives "
            f"{len(class_names)}. Expected a name for each class."
        )
    return replace(source, dataset=replace(dataset, class_names=class_names))


def check_same_classes(sources: Sequence[Source]) -> None:
    """Raises DataUnfit where two sources have different classes, or in another order."""
    first = sources[0].dataset
    for other in (source.dataset for source in sources[1:]):
        if other.class_names != first.class_names:
            raise DataUnfit(
                f"{first.title} has the classes {', '.join(first.class_names)}, and {other.title} "
                f"has {', '.join(other.class_names)}. What is learnt together must have the same "
                "classes in the same order: give both the same names by --class-names, or train "
                "on each by itself."
            )


def tell_apart(datasets: Sequence[Dataset]) -> list[Dataset]:
    """The datasets with different names: the second one called `x` is `x-2`."""
    result: list[Dataset] = []
    for dataset in datasets:
        taken = {earlier.name for earlier in result}
        name, number = dataset.name, 1
        while name in taken:
            number += 1
            name = f"{dataset.name}-{number}"
        result.append(replace(dataset, name=name))
    return result


def join(examples: Sequence[Examples]) -> Examples:
    """The examples one after another."""
    return Examples(
        images=np.concatenate([part.images for part in examples]),
        labels=np.concatenate([part.labels for part in examples]),
    )


def mix(parts: Sequence[Part]) -> Dataset:
    """What several datasets are together; one alone is itself.

    Checksums are called `<dataset>/<array>`. What it must reach is what it does where each part
    reaches its own.
    """
    datasets = [part.dataset for part in parts]
    if len(datasets) == 1:
        return datasets[0]
    rows = [len(part.splits.test) for part in parts]
    return Dataset(
        name="+".join(dataset.name for dataset in datasets),
        title=" + ".join(dataset.title for dataset in datasets),
        class_names=datasets[0].class_names,
        sha256={
            f"{dataset.name}/{array}": digest
            for dataset in datasets
            for array, digest in dataset.sha256.items()
        },
        distort=all(dataset.distort for dataset in datasets),
        min_accuracy=round(
            float(np.average([dataset.min_accuracy for dataset in datasets], weights=rows)), 4
        ),
    )

"""Digits as they come in life, through the SDK: `python bench/real_world.py MNIST`.

The argument is a folder with MNIST's IDX files. Its test images are drawn anew on 280x280, dark on
white and light on dark, by many pens, and photographed on paper; then come the digits of this
machine's typefaces (typefaces.py says what to install), and strokes. Each picture goes through
`prepare_image`, and then to a version of the model, here by NumPy. Writes
bench/results/real_world.json, and the table of docs/sdk.md.

The numbers in `prepare_image`, and those by which pens trace digits, were chosen on MNIST's
validation images and on the families of typefaces.CHOSEN_ON: `--choosing` takes those, and writes
nothing.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from flatdense_client import ImageLike, InvalidInput, prepare_image
from flatdense_training.data.datasets import MNIST
from flatdense_training.data.folder import read_folder
from flatdense_training.data.split import split
from machine import describe_machine
from paper import dark_on_white, in_sharp_shadow, light_on_dark, on_grey_paper
from pens import Digit, Trace, draw_outline, place
from report import (
    REAL_WORLD,
    REAL_WORLD_PAGE,
    REAL_WORLD_SECTION,
    Results,
    publish,
    render_real_world,
    share,
)
from safetensors.numpy import load_file
from strokes import SHAPES, draw_shape
from typefaces import CHOSEN_ON, Typeface, find_typefaces

MODEL_DIR = Path(__file__).parents[1] / "exported_model"

PEN_WIDTHS_PIXELS = (1, 2, 3, 5, 8, 12, 16, 20, 24, 28, 32)
"""Of the 280 of the canvas, on which digits are 200 long: from a hair to a sixth of the digit."""

SHAPE_ROWS = 100
"""Of each shape of strokes."""

CHUNK = 20
"""How many digits, typefaces or shapes a process takes at a time."""

Source = TypeVar("Source")

Pixels = npt.NDArray[np.uint8]

Drawn = Iterator[tuple[str, str, int, ImageLike]]
"""Set, part of it, label, picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A picture of some set, prepared."""

    group: str
    part: str
    label: int
    pixels: Pixels
    """[28, 28], all 0 where no ink was found."""


class Network:
    """The classifier, from a file of its weights."""

    def __init__(self, file: Path) -> None:
        arrays = np.load(file) if file.suffix == ".npz" else load_file(file)
        self._hidden = _find_layer(arrays, "hidden")
        self._output = _find_layer(arrays, "output")

    def classify(self, images: Pixels) -> npt.NDArray[np.int64]:
        """The classes of [N, 28, 28]."""
        rows = images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
        hidden = np.maximum(rows @ self._hidden[0] + self._hidden[1], 0)
        return np.asarray((hidden @ self._output[0] + self._output[1]).argmax(axis=1))


def _find_layer(arrays: Mapping[str, npt.NDArray[Any]], layer: str) -> list[npt.NDArray[Any]]:
    """Kernel and bias, whatever stands between layer and name."""
    return [
        next(arrays[name] for name in arrays if layer in name and part in name)
        for part in ("kernel", "bias")
    ]


def main(mnist: Path, weights: Path, rows: int, *, is_choosing: bool) -> None:
    """Draws, prepares, asks, writes, prints."""
    splits = split(MNIST, read_folder(MNIST, mnist), seed=0)
    examples = splits.validation if is_choosing else splits.test
    digits = list(zip(examples.images[:rows], examples.labels[:rows].tolist(), strict=True))
    faces = find_typefaces()
    if is_choosing:
        faces = [face for face in faces if face.family in CHOSEN_ON]
    samples = [
        *prepare_all(draw_digit, digits),
        *prepare_all(print_digits, faces),
        *prepare_all(draw_strokes, SHAPES),
    ]
    results = {
        "machine": describe_machine(),
        "weights": f"exported_model/{weights.parent.name}"
        if weights.is_relative_to(MODEL_DIR)
        else weights.name,
        "digits": len(digits),
        "traces_differ": differ(digits),
        "typefaces": sum(face.is_text for face in faces),
        "families": len({face.family for face in faces if face.is_text}),
        "chosen_on": sorted(CHOSEN_ON),
        "sets": judge(Network(weights), samples),
    }
    section = render_real_world(results)
    if not is_choosing:
        publish(results, REAL_WORLD, REAL_WORLD_PAGE, section, REAL_WORLD_SECTION)
    print(section)
    tell_worst(results["sets"])


def draw_digit(digit: tuple[Digit, int]) -> Drawn:
    """A digit of MNIST on the canvas, in each way."""
    pixels, label = digit
    random = np.random.default_rng(pixels.ravel())
    shape, trace = draw_outline(pixels), Trace.of(pixels)
    placed = place(trace.draw(), random)
    yield "redrawn", "its own shape, dark on white", label, dark_on_white(shape)
    yield "redrawn", "its own shape, light on dark", label, light_on_dark(shape)
    yield "redrawn", "by a pen, anywhere, dark on white", label, dark_on_white(placed)
    yield "redrawn", "by a pen, anywhere, light on dark", label, light_on_dark(placed)
    yield "grey paper", "its own shape", label, on_grey_paper(shape, random)
    yield "grey paper", "by a pen, anywhere", label, on_grey_paper(placed, random)
    yield "sharp shadow", "its own shape", label, in_sharp_shadow(shape, random)
    for width in PEN_WIDTHS_PIXELS:
        yield "pens", f"{width} px wide", label, dark_on_white(trace.draw(width))


def differ(digits: Iterable[tuple[Digit, int]]) -> float:
    """The mean squared difference between the digits and their traces."""
    with ProcessPoolExecutor() as pool:
        return float(np.mean(list(pool.map(_differ, digits, chunksize=CHUNK))))


def _differ(digit: tuple[Digit, int]) -> float:
    pixels, _ = digit
    return Trace.of(pixels).differs(pixels)


def print_digits(face: Typeface) -> Drawn:
    """The ten digits of a typeface."""
    group = "typefaces" if face.is_text else "no ordinary text"
    for label in range(10):
        yield group, face.family, label, dark_on_white(face.print_digit(label))


def draw_strokes(shape: str) -> Drawn:
    """One shape of a digit, many times."""
    random = np.random.default_rng(list(SHAPES).index(shape))
    for _ in range(SHAPE_ROWS):
        yield "strokes", shape, SHAPES[shape][0], dark_on_white(draw_shape(shape, random))


def prepare_all(draw: Callable[[Source], Drawn], sources: Iterable[Source]) -> Iterator[Sample]:
    """All that is drawn of each source, prepared on all cores."""
    with ProcessPoolExecutor() as pool:
        for samples in pool.map(partial(_prepare, draw), sources, chunksize=CHUNK):
            yield from samples


def _prepare(draw: Callable[[Source], Drawn], source: Source) -> list[Sample]:
    return [
        Sample(group, part, label, prepare(picture)) for group, part, label, picture in draw(source)
    ]


def prepare(picture: ImageLike) -> Pixels:
    """As the SDK does it; black where it sees no ink."""
    try:
        return prepare_image(picture).pixels
    except InvalidInput:
        return np.zeros((28, 28), np.uint8)


def judge(network: Network, samples: list[Sample]) -> dict[str, dict[str, Results]]:
    """Of each set and part: how many, how many right and without ink, and the share of right."""
    answers = network.classify(np.stack([sample.pixels for sample in samples])).tolist()
    parts: dict[tuple[str, str], list[tuple[Sample, int]]] = defaultdict(list)
    for sample, answer in zip(samples, answers, strict=True):
        parts[sample.group, sample.part].append((sample, answer))
    sets: dict[str, dict[str, Results]] = defaultdict(dict)
    for (group, part), answered in parts.items():
        sets[group][part] = _count(answered)
    return sets


def _count(answered: list[tuple[Sample, int]]) -> Results:
    seen = [(sample, answer) for sample, answer in answered if sample.pixels.any()]
    missed = Counter(
        f"{sample.label} as {answer}" for sample, answer in seen if answer != sample.label
    )
    correct = len(seen) - missed.total()
    return {
        **share(correct, len(answered)),
        "blank": len(answered) - len(seen),
        "missed": dict(missed.most_common()),
    }


def tell_worst(sets: dict[str, dict[str, Results]]) -> None:
    """What was taken for what most often, and the parts of the sets with the most misses."""
    for group, parts in sets.items():
        missed: Counter[str] = Counter()
        for part in parts.values():
            missed.update(part["missed"])
        worst = sorted(parts, key=lambda name: parts[name]["accuracy"])[:10]
        told = (f"{name} {parts[name]['accuracy']:.1%}" for name in worst)
        print(f"{group}: {missed.most_common(5)}; {', '.join(told)}")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("mnist", type=Path, help="the folder of MNIST's IDX files")
    which = arguments.add_mutually_exclusive_group()
    which.add_argument("--version", type=int, default=1, help="of exported_model/")
    which.add_argument("--weights", type=Path, help="a .safetensors or .npz instead")
    arguments.add_argument("--digits", type=int, default=10_000, help="of MNIST, at most")
    arguments.add_argument("--choosing", action="store_true", help="what numbers are chosen on")
    parsed = arguments.parse_args()
    file = parsed.weights or MODEL_DIR / str(parsed.version) / "weights.safetensors"
    main(parsed.mnist, file, parsed.digits, is_choosing=parsed.choosing)

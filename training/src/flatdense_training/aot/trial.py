"""Tries a library: `python -m flatdense_training.aot.trial FOLDER`."""

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from flatdense_artifact import (
    DenseLayer,
    Library,
    Network,
    NetworkShape,
    Weights,
    align_weights,
    allocate,
    check_library,
    read_library,
)

from flatdense_training.judge.forward import forward

Pixels = npt.NDArray[np.uint8 | np.float32]

TOLERANCE = 1e-5
"""Of a probability, between numpy's order of adding and XLA's."""


def main(folder: Path) -> None:
    """Runs every function on seeded rows. Ends with a sentence where an answer is wrong."""
    description = read_library(folder)
    check_library(folder, description, description.shape)
    library = Library(folder)
    weights = align_weights(seeded_weights(description.shape), description.shape)
    generator = np.random.default_rng(0)
    for rows in description.ladder_rows:
        pixels = generator.integers(0, 256, (rows, description.shape.pixels), dtype=np.uint8)
        scaled = pixels.astype(np.float32) / np.float32(255)
        expected = forward(weights, scaled)
        images: Pixels
        for images in (pixels, scaled):
            buffer: Pixels = allocate(images.shape, images.dtype)
            buffer[...] = images
            network = Network(library, images=buffer, shape=description.shape, weights=weights)
            network.run()
            worst = float(np.abs(network.probabilities - expected).max())
            named = (network.classes == network.probabilities.argmax(axis=1)).all()
            network.close()
            if not worst <= TOLERANCE or not named:
                sys.exit(f"{rows} rows of {images.dtype} differ by {worst:.1e} from numpy")


def seeded_weights(shape: NetworkShape) -> Weights:
    """Weights of the size that training gives them."""
    generator = np.random.default_rng(1)

    def layer(name: str, inputs: int, units: int) -> DenseLayer:
        kernel = generator.normal(0, 0.05, (inputs, units)).astype(np.float32)
        bias = generator.normal(0, 0.05, units).astype(np.float32)
        return DenseLayer(name=name, kernel=kernel, bias=bias)

    return Weights(
        layer("hidden", shape.pixels, shape.hidden), layer("output", shape.hidden, shape.classes)
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))

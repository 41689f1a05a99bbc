"""Writes the page's sample digits: two of each class, of those embedded in scikit-learn.

    python tests/page/write_samples.py

The page has them as text, a letter for each of 8x8 pixels: 0 (paper) to g (full ink).
"""

from pathlib import Path

import flatdense_server.http.page
import numpy as np
from sklearn.datasets import load_digits

FILE = Path(flatdense_server.http.page.__file__).parent / "static" / "samples.js"

EACH = 2
LETTERS = "0123456789abcdefg"


def render() -> str:
    """The module. Of each class, those nearest to the class's mean: the plainest ones."""
    digits = load_digits()
    lines = []
    for label in range(10):
        images = digits.images[digits.target == label]
        order = np.square(images - images.mean(axis=0)).sum(axis=(1, 2)).argsort(kind="stable")
        for image in images[order[:EACH]]:
            pixels = "".join(LETTERS[int(ink)] for ink in image.flat)
            lines.append(f'  {{ label: {label}, pixels: "{pixels}" }},')
    return "\n".join(
        (
            "// Sample digits, of those embedded in scikit-learn (UCI, Optical Recognition of",
            "// Handwritten Digits, Alpaydin and Kaynak). tests/page/write_samples.py did it.",
            "",
            "/** {label, pixels}: a letter for each of 8x8 pixels, 0 (paper) to g (full ink). */",
            "export const SAMPLES = [",
            *lines,
            "];",
            "",
        )
    )


if __name__ == "__main__":
    FILE.write_text(render())

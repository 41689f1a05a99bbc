"""A server among those that are compared: how it is asked, and that its answers are right."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from child import Child
from endpoint import Endpoint
from environment import Unavailable
from flatdense_artifact import read_manifest

ROOT: Final = Path(__file__).parents[2]
VERSION: Final = ROOT / "exported_model" / "1"
"""Every server has this version's weights."""

ALLOWED_DIFFERENCE: Final = 1e-4


@dataclass(frozen=True)
class Server:
    """One that runs now and is ready; `endpoints` has the types of pixels that it takes."""

    endpoints: Mapping[str, Endpoint]
    children: tuple[Child, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def cpu_s(self) -> float:
        """What its processes took of the CPU so far."""
        return sum(child.cpu_s() for child in self.children)


Start = Callable[[Path], AbstractContextManager[Server]]
"""Starts a server, with the folder of the environments. Raises Unavailable."""


def golden_pixels(dtype: str) -> np.ndarray:
    """Images of which the manifest has the answers."""
    images = read_manifest(VERSION).golden.inputs()
    return images if dtype == "uint8" else images.astype(np.float32) / np.float32(255)


def check(endpoint: Endpoint, dtype: str) -> bool:
    """True where the answers are the golden ones. Raises Unavailable: its speed means nothing."""
    given = endpoint.classify(golden_pixels(dtype))
    expected = read_manifest(VERSION).golden.outputs()
    if given.shape != expected.shape or np.abs(given - expected).max() > ALLOWED_DIFFERENCE:
        raise Unavailable("it gives wrong answers")
    return True

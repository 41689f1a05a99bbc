"""Kustomizations, rendered by kubectl."""

import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import yaml

Manifest: TypeAlias = dict[str, Any]
Render: TypeAlias = Callable[[Path], Sequence[Manifest]]
"""Gives the manifests of a folder's kustomization."""

KUBECTL = Path(__file__).with_name("kubectl.txt")
"""What to install for it."""


def make_render(packages: Path) -> Render:
    """With the kubectl of a folder of packages. It renders each folder once."""

    @cache
    def render(folder: Path) -> Sequence[Manifest]:
        done = subprocess.run(
            [packages / "bin" / "kubectl", "kustomize", folder],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        # It warns of what is out of date, and goes on.
        assert (done.returncode, done.stderr) == (0, "")
        return list(yaml.safe_load_all(done.stdout))

    return render


def only(manifests: Sequence[Manifest], kind: str) -> Manifest:
    """The one of that kind."""
    (found,) = (it for it in manifests if it["kind"] == kind)
    return found


def container_of(spec: Manifest) -> Manifest:
    """The one container of a pod."""
    container: Manifest
    (container,) = spec["containers"]
    return container

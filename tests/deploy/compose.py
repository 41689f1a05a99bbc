"""A compose file as an engine sees it: variables filled in, an override laid over it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

UNITS_S = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
UNITS_BYTES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True)
class Service:
    """One service, as far as a container needs it."""

    name: str
    document: Mapping[str, Any]

    @property
    def user(self) -> tuple[int, int]:
        """User and group."""
        user, group = self.document["user"].split(":")
        return int(user), int(group)

    @property
    def variables(self) -> dict[str, str]:
        """The environment."""
        return dict(self.document.get("environment", {}))

    @property
    def entrypoint(self) -> tuple[str, ...]:
        """In place of the image's; empty where it is the image's."""
        return tuple(self.document.get("entrypoint", ()))

    @property
    def command(self) -> tuple[str, ...]:
        """What follows the entry point."""
        return tuple(self.document.get("command", ()))

    @property
    def volumes(self) -> list[tuple[str, str, str]]:
        """Source, target and ro or rw."""
        parts = (each.split(":") for each in self.document.get("volumes", ()))
        return [(source, target, *(mode or ["rw"])) for source, target, *mode in parts]

    @property
    def tmpfs(self) -> list[tuple[str, str]]:
        """Target and options."""
        return [tuple(each.split(":")) for each in self.document.get("tmpfs", ())]

    @property
    def ports(self) -> list[tuple[str, str, int]]:
        """The host's address and port, empty where it is any free one, and the container's."""
        parts = (each.rsplit(":", 2) for each in self.document.get("ports", ()))
        return [(address, published, int(target)) for address, published, target in parts]

    @property
    def stop_grace_period_s(self) -> float:
        """How long it may take to stop; the specification's default where the file is silent."""
        return read_duration(self.document.get("stop_grace_period", "10s"))

    @property
    def limits(self) -> Mapping[str, Any]:
        """Of cpus, memory and pids."""
        return self.document["deploy"]["resources"]["limits"]

    @property
    def memory_bytes(self) -> int:
        """The limit."""
        number, unit = re.fullmatch(r"(\d+)([KMG])", self.limits["memory"]).groups()
        return int(number) * UNITS_BYTES[unit]


def read_compose(
    *files: Path, variables: Mapping[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """The document of one file, or of one with others laid over it in turn."""
    document: dict[str, Any] = {}
    for file in files:
        text = fill(file.read_text(), variables or {})
        document = lay_over(document, yaml.safe_load(text))
    return document


def read_services(*files: Path, variables: Mapping[str, str] | None = None) -> dict[str, Service]:
    """Name -> service."""
    services = read_compose(*files, variables=variables)["services"]
    return {name: Service(name, document) for name, document in services.items()}


def fill(text: str, variables: Mapping[str, str]) -> str:
    """Puts variables in: all of ours have a default."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: variables.get(found[1]) or found[2], text)


def lay_over(below: Any, above: Any) -> Any:  # noqa: ANN401 -- YAML
    """What the specification makes of two: mappings meet, lists are joined, others replaced."""
    if isinstance(below, dict) and isinstance(above, dict):
        return {
            key: lay_over(below[key], above[key])
            if key in below and key in above
            else below.get(key, above.get(key))
            for key in {**below, **above}
        }
    return below + above if isinstance(below, list) and isinstance(above, list) else above


def read_duration(text: str) -> float:
    """Seconds."""
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h)", text).groups()
    return int(number) * UNITS_S[unit]

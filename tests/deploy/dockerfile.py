"""A Dockerfile as data: its stages and their steps, as far as deploy/docker/ needs it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template


@dataclass(frozen=True)
class Step:
    """One instruction."""

    instruction: str
    value: str

    @property
    def flags(self) -> list[str]:
        """What begins with --."""
        return re.match(r"(?:--\S+\s+)*", self.value)[0].split()

    @property
    def rest(self) -> str:
        """What is left without the flags."""
        return re.sub(r"^(?:--\S+\s+)*", "", self.value)


@dataclass(frozen=True)
class Stage:
    """From one FROM to the next."""

    name: str
    base: str
    """An image, or a stage before."""
    steps: tuple[Step, ...]


def read_stages(dockerfile: Path) -> list[Stage]:
    """The stages in order, with the defaults of the arguments before the first put in."""
    arguments: dict[str, str] = {}
    stages: list[tuple[str, str, list[Step]]] = []
    for step in read_steps(dockerfile.read_text()):
        if step.instruction == "FROM":
            base, _, name = fill(step.value, arguments).partition(" AS ")
            stages.append((name, base, []))
        elif stages:
            stages[-1][2].append(step)
        else:
            assert step.instruction == "ARG", f"{step.instruction} before the first FROM"
            arguments.update([step.value.split("=", 1)])
    return [Stage(name, base, tuple(steps)) for name, base, steps in stages]


def read_steps(text: str) -> list[Step]:
    """Every instruction; comments may stand between the lines of one."""
    lines = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [Step(*line.split(maxsplit=1)) for line in lines if line.strip()]


def fill(text: str, variables: Mapping[str, str]) -> str:
    """Puts variables in. Raises KeyError where one is not known."""
    return Template(text).substitute(variables)

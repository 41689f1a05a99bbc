"""What a peer runs in: an environment of its own, with its packages from the index."""

import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path


class Unavailable(Exception):
    """A peer that cannot be run on this machine. The message is the reason, in one line."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment with some packages, made where it is missing."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def packages(self) -> Path:
        """The folder that it imports from."""
        return next((self.folder / "lib").glob("python3*/site-packages"))

    def install(self, *packages: str) -> "Environment":
        """Has the packages afterwards. Raises Unavailable where the index does not give them."""
        listed = self.folder / "installed"
        wanted = "\n".join(packages)
        if listed.exists() and listed.read_text() == wanted:
            return self
        venv.create(self.folder, clear=True, symlinks=True, with_pip=True)
        pip = [self.python, "-m", "pip", "install", "--quiet", *packages]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise Unavailable(f"pip install {' '.join(packages)}: {(lines or ['failed'])[-1]}")
        listed.write_text(wanted)
        return self

    def version_of(self, package: str) -> str:
        """Of an installed package."""
        script = f"import importlib.metadata as m; print(m.version({package!r}))"
        return self.ask("-c", script).decode().strip()

    def ask(self, *arguments: object, given: bytes = b"") -> bytes:
        """What its Python prints for these arguments and this input. Raises Unavailable."""
        command = [self.python, *map(str, arguments)]
        done = subprocess.run(command, input=given, stdout=subprocess.PIPE, check=False)  # noqa: S603
        if done.returncode:
            raise Unavailable(f"{self.folder.name}: python {arguments[0]} failed")
        return done.stdout

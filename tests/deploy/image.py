"""Builds images from Dockerfiles without an engine: each step runs in a root of its own.

A stage is a folder over that of its base, by overlayfs, mounted where nobody else sees it. Debian
of the same release with its own Python stands in for the Python image. This needs root on Linux,
mmdebstrap, and the registries that the steps install from.
"""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from deploy.dockerfile import Stage, Step, fill, read_stages

STEP_TIMEOUT_S = 420

PYTHON = "python3,python3-pip,python3-venv,ca-certificates"

NETWORK_FILES = ("/etc/hosts", "/etc/resolv.conf", "/etc/pip.conf", "/etc/ssl/certs")
"""The builder's own way to the registries, which an engine would give to its builds."""

OVERLAY = 'mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$3" "$4"\n'

RUN = f"""{OVERLAY}
cd "$4"; shift 4
mount -t proc proc proc
mount --rbind /dev dev
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir -p ".$2"; else [ -e ".$2" ] || install -D /dev/null ".$2"; fi
  mount --bind "$1" ".$2"; shift 2
done
shift
exec chroot . "$@"
"""
"""Lower folders, upper, work, where to; pairs of what is bound to where; --; the command."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """What a stage has become."""

    layers: tuple[Path, ...]
    """Folders, the topmost first."""
    variables: Mapping[str, str]
    folder: str = "/"
    user: str = "0:0"
    entrypoint: tuple[str, ...] = ()
    probe: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()

    @property
    def added_bytes(self) -> int:
        """What the last stage put over its base."""
        files = [path.lstat() for path in self.layers[0].rglob("*")]
        return sum({each.st_ino: each.st_blocks * 512 for each in files}.values())


@dataclass
class Builder:
    """Builds what Dockerfiles say, from a context that .dockerignore leaves."""

    folder: Path
    context: Path
    images: dict[str, Image] = field(default_factory=dict)
    """Those that a FROM may name, and those that were built."""
    caches: Mapping[str, Path] = field(default_factory=dict)
    """What cache mounts hold already: the path in the container, and the folder here."""

    def build(self, dockerfile: Path) -> Image:
        """The image of the last stage; the others are gone. Raises RuntimeError: a step failed."""
        stages: dict[str, Image] = {}
        for stage in read_stages(dockerfile):
            base = stages.get(stage.base) or self.images[stage.base]
            folder = self.folder / dockerfile.stem / stage.name
            stages[stage.name] = image = self._follow(stage, base, folder, stages)
        for folder in (self.folder / dockerfile.stem).iterdir():
            if folder / "layer" not in image.layers:
                shutil.rmtree(folder)
        return image

    def _follow(
        self, stage: Stage, base: Image, folder: Path, stages: Mapping[str, Image]
    ) -> Image:
        upper = folder / "layer"
        upper.mkdir(parents=True)
        image = replace(base, layers=(upper, *base.layers))
        arguments: dict[str, str] = {}
        for step in stage.steps:
            known = {**image.variables, **arguments}
            match step.instruction:
                case "ARG":
                    arguments.update([step.value.split("=", 1)])
                case "RUN":
                    self._run(image, step, known)
                case "COPY":
                    self._copy(image, step, stages)
                case _:
                    image = configure(image, step, known)
        return image

    def _run(self, image: Image, step: Step, variables: Mapping[str, str]) -> None:
        binds = {path: path for path in NETWORK_FILES if Path(path).exists()}
        for flag in step.flags:
            mount = dict(part.split("=") for part in flag.removeprefix("--mount=").split(","))
            assert mount["type"] == "cache", flag
            cache = self.caches.get(mount["target"], self.folder / "caches" / mount["target"][1:])
            cache.mkdir(parents=True, exist_ok=True)
            binds[str(cache)] = mount["target"]
        pairs = [each for pair in binds.items() for each in pair]
        pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}  # noqa: TID251 -- the registries of this machine
        told = [f"{name}={value}" for name, value in {**pip, **variables}.items()]
        run = ["env", "-i", f"--chdir={image.folder}", "HOME=/root", *told, "sh", "-c", step.rest]
        change(RUN, image, *pairs, "--", *run)

    def _copy(self, image: Image, step: Step, stages: Mapping[str, Image]) -> None:
        flags = dict(flag.removeprefix("--").split("=") for flag in step.flags)
        *sources, target = step.rest.split()
        inside = str(PurePosixPath(image.folder) / target).lstrip("/")
        for source in sources:
            if "from" in flags:
                found, how = find(stages[flags["from"]], source), "-al"  # its stage is finished
            else:
                found, how = self.context / source, "-a"
            goal = image.layers[0] / inside
            if found.is_dir():
                goal.mkdir(parents=True, exist_ok=True)
                copied = f"{found}/."
            else:
                goal = goal / found.name if target.endswith("/") else goal
                goal.parent.mkdir(parents=True, exist_ok=True)
                copied = str(found)
            subprocess.run(["cp", how, copied, goal], check=True)
            if "from" not in flags:
                subprocess.run(["chown", "-R", flags.get("chown", "0:0"), goal], check=True)


def configure(image: Image, step: Step, known: Mapping[str, str]) -> Image:
    """The image as a step that runs nothing would have it. Raises KeyError: it is another step."""
    match step.instruction:
        case "ENV":
            pairs = dict(each.split("=", 1) for each in shlex.split(fill(step.value, known)))
            return replace(image, variables={**image.variables, **pairs})
        case "WORKDIR":
            (image.layers[0] / step.value.lstrip("/")).mkdir(parents=True, exist_ok=True)
            return replace(image, folder=step.value)
        case "HEALTHCHECK":
            return replace(image, probe=tuple(json.loads(step.rest.removeprefix("CMD "))))
    read: dict[str, tuple[str, Callable[[str], Any]]] = {
        "ENTRYPOINT": ("entrypoint", lambda value: tuple(json.loads(value))),
        "EXPOSE": ("ports", lambda value: tuple(map(int, value.split()))),
        "USER": ("user", str),
    }
    name, convert = read[step.instruction]
    return replace(image, **{name: convert(step.value)})


def find(image: Image, path: str) -> Path:
    """A file or folder that one of the image's own layers has whole."""
    return next(found for layer in image.layers if (found := layer / path[1:]).exists())


def change(script: str, image: Image, *arguments: str) -> None:
    """Runs a script on the image's mounted root. Raises RuntimeError with what it said."""
    upper, *lower = image.layers
    work, root = upper.with_name("work"), upper.with_name("root")
    for folder in (work, root):
        folder.mkdir(exist_ok=True)
    layers = (":".join(map(str, lower)), str(upper), str(work), str(root))
    done = subprocess.run(
        [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
            *("sh", "-euc", script, "sh", *layers, *arguments),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=STEP_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{arguments[-1]} failed:\n{done.stdout[-4000:]}")


def make_python_image(root: Path, archive: Path) -> Image:
    """What stands in for the Python image: Debian 12 with its Python 3.11 and pip.

    It is kept as an archive, from which the next is made within a second.
    """
    if not archive.exists():
        archive.parent.mkdir(parents=True, exist_ok=True)
        unfinished = archive.with_suffix(f".{os.getpid()}.tar")
        subprocess.run(
            [
                *("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase"),
                *("--dpkgopt=force-unsafe-io", f"--include={PYTHON}", "bookworm", unfinished),
            ],
            check=True,
            timeout=STEP_TIMEOUT_S,
        )
        unfinished.rename(archive)
    root.mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", root], check=True)
    for name, program in (("python", "python3"), ("python3", "python3"), ("pip", "pip3")):
        (root / "usr/local/bin" / name).symlink_to(f"/usr/bin/{program}")
    for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    for path in ("etc/hosts", "etc/resolv.conf"):
        (root / path).write_text("")
    path = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    return Image(layers=(root,), variables={"PATH": path})


def copy_context(repository: Path, target: Path) -> Path:
    """Copies what .dockerignore leaves: it names what is wanted, and patterns within that."""
    lines = (repository / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules.pop(0) == "*"
    wanted = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    unwanted = [rule.removeprefix("**/") for rule in rules if rule.startswith("**/")]
    assert len(wanted) + len(unwanted) == len(rules)
    for name in wanted:
        source, copy = repository / name, target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns(*unwanted))
        else:
            shutil.copy2(source, copy)
    return target

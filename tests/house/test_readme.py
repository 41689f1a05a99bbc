"""Each command and snippet of the README, and each snippet of docs/sdk.md, works as it stands."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("readme")

REPOSITORY = Path(__file__).resolve().parents[2]


def _blocks(path: str) -> list[tuple[str, str]]:
    text = (REPOSITORY / path).read_text()
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


BLOCKS = _blocks("README.md")
SNIPPETS = [text for language, text in BLOCKS if language == "python"]
SDK_SNIPPETS = [text for language, text in _blocks("docs/sdk.md") if language == "python"]
COMMANDS = [
    line for language, text in BLOCKS if language == "bash" for line in text.splitlines() if line
]

RUN_ELSEWHERE = {
    "make run": "by the fixture of this file",
    "make test": "it is what runs this",
    "make demo": "by tests/e2e/test_demo.py",
}


@dataclass
class Checkout:
    """A folder that looks like the checkout, with `make run` running in it on free ports."""

    folder: Path
    ports: dict[str, str] = field(default_factory=dict)

    def localize(self, text: str) -> str:
        """The text with the default addresses replaced by those of the running server."""
        return text.replace("localhost:8500", self.ports["grpc"]).replace(
            "localhost:8501", self.ports["http"]
        )

    def environment(self) -> dict[str, str]:
        """The environment in which commands find the running server."""
        variables = {"FLATDENSE_SERVER": self.ports.get("grpc", "")}
        return {**os.environ, **variables}  # noqa: TID251 -- handed on, not read


@pytest.fixture(scope="module")
def checkout(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """The README's first command, run in a folder of links, so that nothing is left behind."""
    # Where something is to be installed, it would be from the folder of links.
    if subprocess.run(["make", "--question", "setup"], cwd=repository, check=False).returncode:
        pytest.fail("the environment is older than what pyproject.toml declares: run make setup")
    folder = tmp_path_factory.mktemp("checkout")
    for entry in repository.iterdir():
        (folder / entry.name).symlink_to(entry)
    checkout = Checkout(folder)
    variables = {"FLATDENSE_GRPC_PORT": "0", "FLATDENSE_HTTP_PORT": "0"}
    with subprocess.Popen(
        ["make", "run"],
        cwd=folder,
        env={**checkout.environment(), **variables},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr
        said = []
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"grpc=(\S+) page=http://(\S+)/ ", line):
                checkout.ports = dict(zip(("grpc", "http"), found.groups(), strict=True))
            if " ready " in line:
                break
        else:
            pytest.fail(f"make run did not get ready: {said}")
        drain = threading.Thread(target=process.stderr.read, daemon=True)
        drain.start()
        yield checkout
        os.killpg(process.pid, 15)
        drain.join()


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_works(checkout: Checkout, command: str) -> None:
    """A command of the README, typed as it stands, ends with status 0."""
    if command in RUN_ELSEWHERE:
        target = command.split()
        subprocess.run([*target, "--dry-run"], cwd=checkout.folder, check=True, timeout=60)
        return
    subprocess.run(
        checkout.localize(command),
        shell=True,
        cwd=checkout.folder,
        env=checkout.environment(),
        check=True,
        timeout=250,
    )


@pytest.mark.parametrize("snippet", [*SNIPPETS, *SDK_SNIPPETS])
def test_each_snippet_works(checkout: Checkout, snippet: str) -> None:
    """A snippet, run as it stands, ends without an error and prints something."""
    done = subprocess.run(
        [sys.executable, "-c", checkout.localize(snippet)],
        cwd=checkout.folder,
        env=checkout.environment(),
        check=True,
        capture_output=True,
        timeout=120,
    )
    assert done.stdout


def test_the_first_prediction_is_short_and_right(checkout: Checkout) -> None:
    """The first snippet has under ten lines, and says 7 of the picture of a seven."""
    first = SNIPPETS[0]
    assert len(first.splitlines()) < 10
    done = subprocess.run(
        [sys.executable, "-c", checkout.localize(first)],
        cwd=checkout.folder,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.startswith("7 ")

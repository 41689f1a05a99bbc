"""The server's own command, without the server."""

import shlex
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from flatdense_server.settings import Settings, with_settings


@pytest.fixture(scope="session")
def refuse() -> Callable[[str], Result]:
    """Gives a line to the command, which must refuse it."""

    def invoke(line: str) -> Result:
        """As a shell would split it."""

        def run(settings: Settings) -> None:
            """Not to be reached."""
            pytest.fail(f"{line} was taken, as {settings}")

        return CliRunner().invoke(with_settings(run), shlex.split(line))

    return invoke


@pytest.fixture(scope="session")
def parse() -> Callable[[str], Settings]:
    """Gives a line to the command, which must take it: the settings."""

    def invoke(line: str) -> Settings:
        """As a shell would split it."""
        seen: list[Settings] = []

        def run(settings: Settings) -> None:
            """Note the settings."""
            seen.append(settings)

        result = CliRunner().invoke(with_settings(run), shlex.split(line))
        assert result.exit_code == 0, result.output
        return seen[0]

    return invoke

"""The options that every command shares."""

import click
import pytest
from click.testing import CliRunner, Result
from flatdense_client.cli.options import connection_options


@click.command()
@connection_options
def _show(**options: object) -> None:
    click.echo(f"{options['model_version']} {options['model_label']}")


def _run(*arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(_show, arguments, env=variables)


@pytest.mark.parametrize(
    ("arguments", "variables", "chosen"),
    [
        ([], {}, "None None"),
        (["--model-version", "3"], {}, "3 None"),
        (["--model-label", "canary"], {}, "None canary"),
        ([], {"FLATDENSE_MODEL_LABEL": "stable"}, "None stable"),
        (["--model-version", "3"], {"FLATDENSE_MODEL_LABEL": ""}, "3 None"),
    ],
)
def test_a_version_or_a_label_or_neither(
    arguments: list[str], variables: dict[str, str], chosen: str
) -> None:
    """The command line and the environment choose; an empty variable is none."""
    done = _run(*arguments, **variables)
    assert (done.exit_code, done.output) == (0, f"{chosen}\n")


@pytest.mark.parametrize(
    ("arguments", "variables", "told"),
    [
        (
            ["--model-version", "3", "--model-label", "canary"],
            {},
            "--model-version and --model-label exclude",
        ),
        (
            ["--model-label", "canary", "--model-version", "3"],
            {},
            "--model-version and --model-label exclude",
        ),
        (
            ["--model-label", "canary"],
            {"FLATDENSE_MODEL_VERSION": "3"},
            "FLATDENSE_MODEL_VERSION and --model-label exclude",
        ),
        (
            [],
            {"FLATDENSE_MODEL_VERSION": "3", "FLATDENSE_MODEL_LABEL": "canary"},
            "FLATDENSE_MODEL_VERSION and FLATDENSE_MODEL_LABEL exclude",
        ),
        (["--model-label", ""], {}, "'' is no label: expected a name"),
        (["--model-version", "9223372036854775808"], {}, "9223372036854775808 is no version"),
        (["--model-version", "0"], {}, "0 is not in the range"),
    ],
)
def test_a_choice_that_makes_no_sense_is_wrong_usage(
    arguments: list[str], variables: dict[str, str], told: str
) -> None:
    """A version beside a label, and a value that is neither, is exit code 2 and says why."""
    done = _run(*arguments, **variables)
    assert done.exit_code == 2
    assert told in done.output

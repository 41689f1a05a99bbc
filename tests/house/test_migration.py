"""docs/migration.md says what the server says."""

import re
import tomllib
from pathlib import Path

import pytest
from flatdense_proto.twin.tensorflow_serving_config_pb2 import BatchingParameters, ModelConfig
from flatdense_server.migration import SERVERS, explain_arguments
from flatdense_server.migration.flags import Flags, OtherServer
from flatdense_server.migration.versions import translate
from flatdense_server.settings import OPTIONS
from google.protobuf import text_format

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "migration.md").read_text()
NOTHING = "\N{EN DASH}"
HEAD = "| flag | here | remark |\n|---|---|---|\n"


def find_section(title: str) -> str:
    """What stands between two marks."""
    found = re.search(rf"<!-- {title} -->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    assert found, title
    return found[1]


def render(row: Flags) -> str:
    """A row of the code as a row of the page."""
    names = ", ".join(f"`--{name}`" for name in row.names)
    here = ", ".join(f"`{option}`" for option in row.here.split(", ")) if row.here else NOTHING
    remark = re.sub(r"--[a-z-]+( [\d.]+)?", r"`\g<0>`", row.remark)
    return f"| {names} | {here} | {remark} |\n".replace("|  |", "| |")


@pytest.mark.parametrize(
    ("command", "server"),
    list(zip(["tensorflow_model_server", "tritonserver"], SERVERS, strict=True)),
)
def test_the_tables_have_the_flags_that_the_server_knows(command: str, server: OtherServer) -> None:
    """Each flag of the page is known, each known flag is on the page, and both say the same."""
    written = find_section(f"flags of {command}")
    assert written == HEAD + "".join(map(render, server.table))


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.owner)
def test_each_flag_has_one_answer(server: OtherServer) -> None:
    """No flag is in two rows; a row without an option here says why."""
    names = [name for row in server.table for name in row.names]
    assert len(names) == len(set(names))
    for row in server.table:
        assert row.here or re.match(r"not (needed|offered)\b", row.remark), row.names
        assert not row.remark.endswith(".")


def test_what_is_named_here_is_an_option() -> None:
    """Every option that a row of either table names exists."""
    ours = {
        name
        for add in OPTIONS
        for parameter in add(lambda: None).__click_params__
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    rows = [row for server in SERVERS for row in server.table]
    named = {name for row in rows for name in re.findall(r"--[a-z-]+", f"{row.here} {row.remark}")}
    assert named - {"--version"} <= ours


def test_the_example_is_what_the_server_says() -> None:
    """The old command line of the page gets the answer of the page."""
    example = re.search(r"^    \$ flatdense-server (.*)\n    Error: (.*)$", PAGE, re.MULTILINE)
    assert example
    assert explain_arguments(example[1].split()) == example[2]


def test_the_batching_parameters_are_all_there() -> None:
    """Every field of the file that is read is in the page's table, and no other."""
    cells = re.findall(r"^\| (`.*?) \|", find_section("fields of BatchingParameters"), re.MULTILINE)
    named = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert named == set(BatchingParameters.DESCRIPTOR.fields_by_name)


POLICIES = re.findall(r"^\| `([a-z_]+ \{.*)` \| `(\w+ = .*?)`.*\|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("theirs", "ours"), POLICIES)
def test_each_policy_of_the_page_means_what_it_says(theirs: str, ours: str) -> None:
    """The text of models.config gives the text of versions.toml beside it."""
    if not theirs.startswith("version_labels"):
        theirs = f"model_version_policy {{ {theirs} }}"
    model = text_format.Parse(theirs, ModelConfig())
    labels = {"labels": dict(model.version_labels)} if model.version_labels else {}
    assert translate(model.model_version_policy) | labels == tomllib.loads(ours)


def test_the_metrics_of_the_page_exist() -> None:
    """Each is in docs/metrics.md, but for what Prometheus adds to the name of a histogram."""
    known = set(re.findall(r"flatdense_\w+", (DOCS / "metrics.md").read_text()))
    named = set(re.findall(r"`(flatdense_\w+)", PAGE))
    assert named
    assert {re.sub(r"_(sum|count)$", "", name) for name in named} <= known

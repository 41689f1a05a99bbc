"""Which worker a process is, as TF_CONFIG says it."""

import json

import pytest
from click.testing import CliRunner
from flatdense_training.cli import main
from flatdense_training.fit.place import parse_place
from hypothesis import given
from hypothesis import strategies as st


def config(cluster: object, job: object = "worker", index: object = 0) -> str:
    """TF_CONFIG."""
    return json.dumps({"cluster": cluster, "task": {"type": job, "index": index}})


@given(workers=st.integers(1, 5), chiefs=st.integers(0, 1))
def test_each_has_a_number_of_its_own(workers: int, chiefs: int) -> None:
    """The chief is 0: the one of that name, or else the first worker."""
    cluster = {"worker": [f"w{number}:1" for number in range(workers)]}
    if chiefs:
        cluster["chief"] = ["c:1"]
    if workers + chiefs < 2:
        return
    tasks = [("chief", 0)] * chiefs + [("worker", number) for number in range(workers)]
    places = [parse_place(config(cluster, job, index)) for job, index in tasks]
    assert [place.number for place in places] == list(range(workers + chiefs))
    assert [place.is_chief for place in places] == [True] + [False] * (workers + chiefs - 1)
    assert {place.addresses for place in places} == {
        (*["c:1"] * chiefs, *(f"w{number}:1" for number in range(workers)))
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "it is no JSON"),
        ("[]", "it has no cluster or no task"),
        ("{}", "it has no cluster or no task"),
        (config({"worker": ["a:1", "b:1"]}, "worker", "x"), "it has no cluster or no task"),
        (config({"worker": ["a:1", "b:1"]}, "worker", 2), "its task is worker 2, which is not"),
        (config({"worker": ["a:1", "b:1"]}, "worker", -1), "its task is worker -1, which is not"),
        (config({"worker": ["a:1", "b:1"]}, "chief"), "its task is chief 0, which is not in"),
        (config({"worker": ["a:1", "a:1"]}), "two addresses at least, each of them once"),
        (config({"worker": ["a:1"]}), "two addresses at least"),
        (config({"worker": ["a", "b:1"]}), "'a' is no address; expected host:port"),
        (config({"worker": ["a:1"], "ps": ["b:1"]}), "it has the job ps; expected worker"),
        (config({"worker": ["a:1"], "chief": ["b:1", "c:1"]}), "more than one chief"),
    ],
)
def test_what_is_no_place_is_a_usage_error(text: str, reason: str) -> None:
    """Before any data is read; the message says what was expected."""
    for given_as in ({"env": {"TF_CONFIG": text}}, {"args": ["--tf-config", text]}):
        arguments = ["--distribute", *given_as.get("args", [])]
        result = CliRunner().invoke(main, arguments, env=given_as.get("env"))
        assert result.exit_code == 2
        assert reason in " ".join(result.output.split())


def test_no_tf_config() -> None:
    """Workers cannot guess their place."""
    result = CliRunner().invoke(main, ["--distribute"], env={"TF_CONFIG": None})
    assert result.exit_code == 2
    assert "--distribute needs TF_CONFIG" in result.output

"""What is told of replicas is what became of the calls."""

import time

import pytest
from open_calls import WRONG, Fate
from replicas import answered, calling, judge
from report import render_replicas
from server_process import ServerProcess

CALM: list[Fate] = [(n / 100, 0.002, "") for n in range(400)]


def test_calm_is_told_as_calm() -> None:
    """Where every call is fast and right, nothing is lost, wrong or disturbed."""
    found = judge(CALM, happened_s=2.0, ended_s=3.0)
    assert (found["calls"], found["lost"], found["wrong"]) == (400, 0, 0)
    assert found["disturbed_s"] == 0.0
    assert found["slowest_ms"] == pytest.approx(2.0)


def test_trouble_lasts_until_its_last_slow_call() -> None:
    """Slow calls count from what happened to its end; the slowest counts later, too."""
    fates = [*CALM, (2.5, 0.3, ""), (2.9, 0.5, ""), (3.5, 0.9, "")]
    found = judge(fates, happened_s=2.0, ended_s=3.0)
    assert found["disturbed_s"] == pytest.approx(0.9)
    assert found["slowest_ms"] == pytest.approx(900)


def test_lost_and_wrong_are_told_apart() -> None:
    """An error is a lost call, another answer a wrong one; both are told in words."""
    fates = [*CALM, (2.1, 0.001, "Unavailable: gone"), (2.2, 0.001, WRONG)]
    found = judge(fates, happened_s=2.0, ended_s=3.0)
    assert (found["lost"], found["wrong"]) == (1, 1)
    assert found["told"] == ["Unavailable: gone", WRONG]


def test_the_table_has_a_line_for_each_caller_and_says_what_is_missing() -> None:
    """Counts are of all rounds; what could not be measured is named with its reason."""
    machine = {"processor": "P", "cores": 2, "memory_gib": 1, "python": "3", "libraries": {}}
    one = judge(CALM, happened_s=2.0, ended_s=3.0) | {"retries": 3, "back_s": 1.5}
    section = render_replicas(
        {
            "machine": machine,
            "rounds": 2,
            "servers": 3,
            "rate": 100.0,
            "events": {"it goes": {"Client": [one, one], "AsyncClient": [one, one]}},
            "absent": {"one is cut off": "not root"},
        }
    )
    assert "| it goes | Client | 800 | 0 | 0 | 6 | 2.0 | 2 | 0.0 (0.0 to 0.0) | 1.5 " in section
    assert "\n|  | AsyncClient | 800 |" in section
    assert section.endswith(" Not measured: one is cut off (not root).\n")


@pytest.mark.xdist_group("server")
@pytest.mark.parametrize("api", ["Client", "AsyncClient"])
def test_calls_of_a_real_load_are_all_told(server: ServerProcess, api: str) -> None:
    """Each call that was due has its time, and none went wrong with a server that is well."""
    with calling(server.address, api) as load:
        before = answered(server)
        while answered(server) < before + 20:
            time.sleep(0.05)
    assert len(load.fates) >= 20
    assert all(took_s > 0 for _, took_s, _ in load.fates)
    assert [told for *_, told in load.fates if told] == []
    assert load.retries == 0

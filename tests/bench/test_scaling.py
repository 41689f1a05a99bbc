"""What batches cost is found from what was measured, and told as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report import render_compared, render_sizes
from scaling import Spent, fit, foretell, open_loop, service_of

costs_us = st.floats(1, 1000)
RUNS = [(1000, 1000, 1000), (500, 2000, 2000), (800, 800, 51_200), (100, 1600, 102_400)]
"""Batches, calls and rows."""


@given(costs_us, costs_us, costs_us)
def test_costs_are_found_again(batch_us: float, call_us: float, row_us: float) -> None:
    """From the processor time of several loads come the costs that made it."""
    spent = [
        Spent(batches, calls, rows, (batches * batch_us + calls * call_us + rows * row_us) / 1e6)
        for batches, calls, rows in RUNS
    ]
    found = fit(spent)
    assert found == pytest.approx({"batch": batch_us, "call": call_us, "row": row_us}, rel=1e-3)


def test_a_call_costs_what_its_rows_do() -> None:
    """A service of many rows has the cost of all of them, and fewer calls in a batch."""
    service = service_of({"batch": 100.0, "call": 50.0, "row": 2.0}, 64)
    assert service.takes_s(2) == pytest.approx((100 + 2 * (50 + 64 * 2)) / 1e6)
    assert service.most_calls == 16


def test_a_load_is_a_share_of_what_all_replicas_can_do() -> None:
    """Half the load of ten replicas is half of ten times what one answers at most."""
    service = service_of({"batch": 100.0, "call": 50.0, "row": 2.0}, 64)
    loop = open_loop(service, 0.5, "poisson", replicas=10)
    assert loop.rate == pytest.approx(5 * 16 / service.takes_s(16))


def test_what_is_foretold_grows_with_the_load() -> None:
    """p99 at the same replicas is never less at more load; one replica knows no turns."""
    service = service_of({"batch": 100.0, "call": 50.0, "row": 2.0}, 64)
    cases = [foretell(service, 1, "poisson", load)["p99_ms"] for load in (0.2, 0.6, 0.9)]
    assert [case["in turn"] for case in cases] == sorted(case["in turn"] for case in cases)
    assert all(case["in turn"] == case["at random"] for case in cases)


def test_predicted_stands_beside_measured() -> None:
    """A line has the prediction, the median and spread of what was measured, and their ratio."""
    case = {
        "arrivals": "poisson",
        "load": 0.4,
        "replicas": 2,
        "foretold_ms": {"p50": 1.0, "p99": 3.0},
        "measured_ms": {"p50": [2.0, 1.0, 4.0], "p99": [6.0, 3.0, 12.0]},
    }
    *_, line = render_compared([case])
    assert line == (
        "| at random | 40% | 2 | 1.00 | 2.00 | 0.50 | 3.00 | 6.00 (3.0 to 12.0) | 0.50 |"
    )


def test_sizes_are_half_of_what_cores_answer() -> None:
    """Rows a second are half the measured ones for each core, and bits those of the pixels."""
    *_, small, big = render_sizes({"1 row uint8, 64": 20_000.0, "256 rows float32, 8": 100_000.0})
    assert small.startswith("| 1 row uint8 | 10,000 rows/s, 0.06 Gbit/s | 100,000 rows/s, 0.63 ")
    assert big.startswith("| 256 rows float32 | 50,000 rows/s, 1.25 Gbit/s |")

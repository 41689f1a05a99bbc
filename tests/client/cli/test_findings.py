"""Findings as people see them."""

import dataclasses
import io

import pytest
from flatdense_client._load.plan import ClosedLoop, OpenLoop, Plan
from flatdense_client._load.recording import Failure, Recorder
from flatdense_client._load.verdict import Verdict, judge
from flatdense_client.cli.findings import Findings
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

PLAN = Plan(
    address="digits.example.org:8500",
    protocol="oip",
    messages=[bytes(200_000)],
    rows=256,
    loop=OpenLoop(rate=12_500, arrivals="poisson"),
    duration_s=30.0,
    warmup_s=1.5,
    timeout_s=10.0,
    connections=16,
)


def _verdict(plan: Plan, times_s: list[float], failures: tuple[Failure, ...] = ()) -> Verdict:
    recorder = Recorder()
    for time_s in times_s:
        recorder.be_late(0.0, time_s / 10)
        recorder.answer(0.0, time_s / 10, time_s)
    recording = recorder.finish(
        took_s=30.0, unfinished_s=[12.5], held_back=7, busy=0.5, is_cut=True
    )
    return judge(plan, dataclasses.replace(recording, failures=failures, generators=4))


def _show(findings: Findings, width: int = 80) -> list[str]:
    text = io.StringIO()
    Console(file=text, width=width, highlight=False, markup=False).print(findings)
    return [line.rstrip() for line in text.getvalue().splitlines()]


FAILURES = (
    *(Failure(code="RESOURCE_EXHAUSTED", message=f"busy {n}", calls=1000 - n) for n in range(6)),
    Failure(code="INTERNAL", message="a long story " * 20, calls=2),
)


@pytest.mark.parametrize("loop", [PLAN.loop, ClosedLoop(concurrency=64)])
@settings(deadline=None)
@given(times_s=st.lists(st.floats(1e-6, 3600), max_size=20))
def test_everything_fits_80_columns(loop: OpenLoop | ClosedLoop, times_s: list[float]) -> None:
    """No line is longer than the screen, whatever was found."""
    plan = dataclasses.replace(PLAN, loop=loop)
    findings = Findings(
        plan=plan,
        dtype="float32",
        verdict=_verdict(plan, times_s, FAILURES),
        missed=["p99 is 12,345.678 ms; --max-p99 is 20 ms"],
    )
    lines = _show(findings)
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)


def test_numbers_have_three_digits() -> None:
    """Times are in milliseconds, with three digits or whole."""
    lines = _show(Findings(plan=PLAN, dtype="uint8", verdict=_verdict(PLAN, [0.00123456, 2.5])))
    cells = {line.split()[0]: line.split()[1:] for line in lines if line.startswith(("p", "m"))}
    assert cells["p50"][:3] == ["1.23", "1.11", "0.12"]
    assert cells["max"][:3] == ["2,500", "2,250", "250"]


def test_the_most_frequent_messages_stand_for_a_code() -> None:
    """People see three messages of a code, and how many others there are."""
    findings = Findings(plan=PLAN, dtype="uint8", verdict=_verdict(PLAN, [], FAILURES))
    lines = _show(findings)
    first = next(index for index, line in enumerate(lines) if line.startswith("errors"))
    assert lines[first].split() == ["errors", "RESOURCE_EXHAUSTED", "1,000", "busy", "0"]
    assert [line.split() for line in lines[first + 1 : first + 4]] == [
        ["999", "busy", "1"],
        ["998", "busy", "2"],
        ["2,988", "(3", "other", "messages)"],
    ]
    assert lines[first + 4].split()[:2] == ["INTERNAL", "2"]


def test_programs_see_every_message() -> None:
    """The JSON holds every failure as it was recorded."""
    told = Findings(plan=PLAN, dtype="uint8", verdict=_verdict(PLAN, [], FAILURES)).to_json()
    assert told["errors"] == [dataclasses.asdict(failure) for failure in FAILURES]
    assert told["latency_ms"] is None


def test_what_was_cut_short_is_marked() -> None:
    """A load that was ended early says when, and what it left out."""
    lines = " ".join(_show(Findings(plan=PLAN, dtype="uint8", verdict=_verdict(PLAN, [0.1]))))
    assert "cut short" in lines
    assert "1 call under way, the oldest for 12,500 ms" in lines

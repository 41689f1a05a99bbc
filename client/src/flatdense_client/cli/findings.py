"""What a load found, for people and for programs."""

import dataclasses
from collections.abc import Sequence
from itertools import groupby

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from flatdense_client._load.dialect import DIALECTS
from flatdense_client._load.machine import describe_machine
from flatdense_client._load.plan import Arrivals, ClosedLoop, OpenLoop, Plan
from flatdense_client._load.recording import Failure
from flatdense_client._load.verdict import PERCENTILES, Distribution, Verdict
from flatdense_client.cli.bars import Bar
from flatdense_client.cli.facts import Facts, Part
from flatdense_client.cli.screen import quiet_table

_SPACINGS: dict[Arrivals, str] = {
    "poisson": "Poisson arrivals",
    "constant": "constant arrivals",
    "bursts": "arrivals in bursts",
}

_SHOWN_MESSAGES = 3
"""How many messages of one code people see; programs get them all."""

_DIGITS = 3

_KEEPING = {
    "kept up": ("kept up", "green"),
    "late at times": ("late at times: the slowest latencies are partly its own", "yellow"),
    "limit": ("the load generator, not the server, was the limit", "bold yellow"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Findings:
    """What was done, and what it was like."""

    plan: Plan
    """The whole, and not the share of one process."""
    dtype: str
    verdict: Verdict
    missed: Sequence[str] = ()
    """What was demanded and not reached, a sentence each."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._facts()
        if self.verdict.latency is not None:
            yield Text()
            yield self._times(console)

    def _facts(self) -> Facts:
        recording = self.verdict.recording
        facts = Facts()
        facts.add("server", (self.plan.address, "bold"), f", {DIALECTS[self.plan.protocol].title}")
        facts.add("load", _describe_load(self.plan))
        facts.add("message", self._message())
        facts.add("calls", *_describe_calls(self.verdict))
        facts.add("rate", *self._rate())
        facts.add("generator", *self._generator())
        if recording.held_back:
            told = (
                f"{recording.held_back:,} calls waited: "
                f"{self.plan.max_under_way:,} were under way already"
            )
            facts.add("held back", told)
        if recording.is_cut:
            facts.add("cut short", (self._cut(), "yellow"))
        for index, (head, told) in enumerate(_describe_failures(recording.failures)):
            facts.add("" if index else "errors", told, head=head)
        for index, sentence in enumerate(self.missed):
            facts.add("" if index else "missed", (sentence, "red"))
        return facts

    def _message(self) -> str:
        plan = self.plan
        return (
            f"{_count(plan.rows, 'row')} of {self.dtype}, {len(plan.messages[0]):,} bytes; "
            f"{_count(plan.connections, 'connection')}"
        )

    def _rate(self) -> Sequence[Part]:
        verdict = self.verdict
        reached = f"{_rate(verdict.calls_per_s)}"
        loop = self.plan.loop
        of = f" of {_rate(loop.rate)}" if isinstance(loop, OpenLoop) else ""
        return (
            (reached, "bold"),
            f"{of} calls/s, ",
            (_rate(verdict.rows_per_s), "bold"),
            " rows/s",
        )

    def _generator(self) -> Sequence[Part]:
        verdict = self.verdict
        told = f"{verdict.recording.busy:.0%} of a core"
        if verdict.recording.generators > 1:
            told = f"{verdict.recording.generators} processes, {told} at most"
        if verdict.lateness:
            late = "calls sent" if isinstance(self.plan.loop, OpenLoop) else "timers"
            told += f"; {late} {_ms(verdict.lateness.percentiles['p99'])} ms late at p99"
        return (_KEEPING[verdict.keeping], f" ({told})")

    def _cut(self) -> str:
        recording = self.verdict.recording
        told = f"after {recording.took_s:.1f} of {self.plan.duration_s:g} s"
        if recording.unfinished:
            told += (
                f"; {_count(recording.unfinished, 'call')} under way, the oldest for "
                f"{_ms(recording.longest_unfinished_s)} ms, stand in no figure"
            )
        return told

    def _times(self, console: Console) -> Table:
        verdict = self.verdict
        is_open = isinstance(self.plan.loop, OpenLoop)
        table = quiet_table(console)
        table.add_column("ms")
        columns = [verdict.latency]
        table.add_column("latency", justify="right", style="bold")
        if is_open:
            columns += [verdict.service, verdict.lateness]
            table.add_column("service time", justify="right")
            table.add_column("sent late", justify="right", style="dim")
        table.add_column("")
        assert verdict.latency is not None  # noqa: S101  # or there is no table
        for name in (*PERCENTILES, "max", "mean"):
            cells = ["" if column is None else _ms(_time(column, name)) for column in columns]
            share = _time(verdict.latency, name) / verdict.latency.max
            table.add_row(Text(name, style="dim"), *cells, Bar(share, is_seen=True))
        return table

    def to_json(self) -> dict[str, object]:
        """One object: times in milliseconds, and the machine that made the load."""
        plan, verdict, recording = self.plan, self.verdict, self.verdict.recording
        return {
            "server": plan.address,
            "protocol": plan.protocol,
            "method": DIALECTS[plan.protocol].method,
            "loop": _loop_to_json(plan),
            "rows_per_call": plan.rows,
            "dtype": self.dtype,
            "connections": plan.connections,
            "processes": recording.generators,
            "duration_s": plan.duration_s,
            "warmup_s": plan.warmup_s,
            "timeout_s": plan.timeout_s,
            "took_s": round(recording.took_s, 6),
            "calls": recording.calls,
            "answered": recording.answered,
            "failed": recording.failed,
            "calls_per_s": round(verdict.calls_per_s, 3),
            "rows_per_s": round(verdict.rows_per_s, 3),
            "latency_ms": _to_json(verdict.latency),
            "service_time_ms": _to_json(verdict.service),
            "lateness_ms": _to_json(verdict.lateness),
            "errors": [dataclasses.asdict(failure) for failure in recording.failures],
            "held_back": recording.held_back,
            "generator_busy": round(recording.busy, 4),
            "generator_kept_up": verdict.keeping == "kept up",
            "generator_was_the_limit": verdict.keeping == "limit",
            "cut_short": recording.is_cut,
            "unanswered_when_cut": recording.unfinished,
            "missed": list(self.missed),
            "machine": describe_machine(),
        }


def _describe_load(plan: Plan) -> str:
    if isinstance(plan.loop, OpenLoop):
        kind = f"open loop, {_rate(plan.loop.rate)} calls/s, {_SPACINGS[plan.loop.arrivals]}"
    else:
        kind = f"closed loop, {_count(plan.loop.concurrency, 'caller')}"
    return f"{kind}; {plan.duration_s:g} s after {plan.warmup_s:g} s of warm-up"


def _describe_calls(verdict: Verdict) -> Sequence[Part]:
    recording = verdict.recording
    told = f"{recording.answered:,} answered in {recording.took_s:.2f} s"
    if not recording.failed:
        return (told, ", none failed")
    share = recording.failed / recording.calls
    return (told, ", ", (f"{recording.failed:,} failed ({share:.2%})", "red"))


def _describe_failures(
    failures: Sequence[Failure],
) -> list[tuple[list[Part], str]]:
    """For each message to show: how often it came under which code, and what it says."""
    lines: list[tuple[list[Part], str]] = []
    width = max((len(failure.code) for failure in failures), default=0)
    count_width = max((len(f"{failure.calls:,}") for failure in failures), default=0)
    for code, group in groupby(failures, key=lambda failure: failure.code):
        of_code = list(group)
        shown = of_code[:_SHOWN_MESSAGES]
        if rest := of_code[_SHOWN_MESSAGES:]:
            calls = sum(failure.calls for failure in rest)
            shown.append(Failure(code=code, message=f"({len(rest)} other messages)", calls=calls))
        for index, failure in enumerate(shown):
            name = "" if index else code
            head: list[Part] = [(f"{name:<{width}}  ", "red"), f"{failure.calls:>{count_width},}  "]
            lines.append((head, failure.message))
    return lines


def _loop_to_json(plan: Plan) -> dict[str, object]:
    if isinstance(plan.loop, ClosedLoop):
        return {"kind": "closed", "concurrency": plan.loop.concurrency}
    return {"kind": "open", "rate": plan.loop.rate, "arrivals": plan.loop.arrivals}


def _to_json(distribution: Distribution | None) -> dict[str, float] | None:
    if distribution is None:
        return None
    names = (*PERCENTILES, "max", "mean")
    return {name: round(1e3 * _time(distribution, name), 4) for name in names}


def _time(distribution: Distribution, name: str) -> float:
    """In seconds."""
    if name in PERCENTILES:
        return distribution.percentiles[name]
    return distribution.max if name == "max" else distribution.mean


def _ms(time_s: float) -> str:
    """Milliseconds in three digits or, from a thousand on, whole."""
    time_ms = 1e3 * time_s
    whole_digits = len(str(int(time_ms)))
    return f"{time_ms:,.{max(_DIGITS - whole_digits, 0)}f}"


def _rate(a_second: float) -> str:
    """Three digits at least, and none after the point that would be 0."""
    if a_second == int(a_second):
        return f"{a_second:,.0f}"
    whole_digits = len(str(int(a_second)))
    return f"{a_second:,.{max(_DIGITS - whole_digits, 0)}f}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

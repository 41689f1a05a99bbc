"""What was measured, as files for later, and as tables in the documents."""

import json
import re
import statistics
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
SERVING: Final = ROOT / "bench" / "results" / "serving.json"
SERVING_PAGE: Final = ROOT / "README.md"
ENGINES: Final = ROOT / "bench" / "results" / "engines.json"
ENGINES_PAGE: Final = ROOT / "docs" / "decisions" / "0001-xla-ahead-of-time.md"
PEERS: Final = ROOT / "bench" / "results" / "peers.json"
PEERS_PAGE: Final = ROOT / "docs" / "decisions" / "0004-express-lane.md"

SECTION: Final = re.compile(r"(?<=<!-- measured -->\n).*?(?=<!-- end -->)", re.DOTALL)
"""The part of a document that a benchmark writes."""

Results = dict[str, Any]


def publish(results: Results, file: Path, page: Path, section: str) -> None:
    """Writes the file, and the section of the page."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(results, indent=2) + "\n")
    page.write_text(SECTION.sub(lambda _match: section, page.read_text()))


def render_serving(results: Results) -> str:
    """Servers: the table and the machine it was measured on, in Markdown."""
    machine = results["machine"]
    lines = [
        "| | unit | flatdense | bare grpcio, no model | ratio | least to most |",
        "|---|---|---|---|---|---|",
    ]
    for case in results["cases"]:
        ours, limit = case["flatdense"], case["bare grpcio"]
        ratios = [one / other for one, other in zip(ours, limit, strict=True)]
        medians = [statistics.median(values) for values in (ours, limit, ratios)]
        lines.append(
            f"| {case['name']} | {case['unit']} | {medians[0]:,.0f} | {medians[1]:,.0f} "
            f"| {medians[2]:.2f} | {min(ratios):.2f} to {max(ratios):.2f} |"
        )
    rounds = len(results["cases"][0]["flatdense"])
    note = (
        f"Medians of {rounds} rounds (`bench/run.py`), the servers in turn, one process each, on "
        f"{describe(machine)}. The load generator ran on the same cores."
    )
    lines += ["", note]
    return "\n".join(lines) + "\n"


def render_engines(results: Results) -> str:
    """Engines: the table and the machine it was measured on, in Markdown."""
    lines = ["| | aot | jit | jit / aot | least to most |", "|---|---|---|---|---|"]
    for case, values in results["figures"].items():
        aot, jit = values["aot"], values["jit"]
        ratios = [slow / fast for fast, slow in zip(aot, jit, strict=True)]
        lines.append(
            f"| {case} | {statistics.median(aot):,.2f} | {statistics.median(jit):,.2f} "
            f"| {statistics.median(ratios):.1f} | {min(ratios):.1f} to {max(ratios):.1f} |"
        )
    note = (
        "Medians, the engines in turn (`bench/engines.py`); `aot` compiled for "
        f"{results['target']}, both on all cores, on {describe(results['machine'])}. "
        "One core multiplies matrices by numpy at "
        f"{results['peak_gflops']:.0f} GFLOP/s; `aot` reaches {results['aot_gflops']:.0f} at 64 "
        "rows, which it computes on one. Between being alone and being in any batch, a row's "
        f"probabilities differ by at most {results['neighbours_matter']['aot']:.1e} by `aot`, "
        f"{results['neighbours_matter']['jit']:.1e} by `jit`; two processes gave "
        f"{'the same bits' if results['repeatable'] else 'different bits'} by `aot`."
    )
    lines += ["", note]
    return "\n".join(lines) + "\n"


def render_peers(results: Results) -> str:
    """Peers: the table and the machine it was measured on, in Markdown."""
    names = list(next(iter(results["figures"].values())))
    lines = [
        f"| rows/s | {' | '.join(names)} |",
        f"|---|{'---|' * len(names)}",
    ]
    for case, rates in results["figures"].items():
        cells = [describe_rate(rates["flatdense"], rates.get(name, [])) for name in names]
        lines.append(f"| {case} | {' | '.join(cells)} |")
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    rounds = len(next(iter(results["figures"].values()))["flatdense"])
    note = (
        f"Medians of {rounds} rounds (`bench/peers/compare.py`), the servers in turn, one worker "
        "each, the peers with one compute thread; in brackets how many times as many flatdense "
        "had, least to most. "
        f"{versions}; on {describe(results['machine'])}. The load generator ran on the same cores."
    )
    return "\n".join([*lines, "", note]) + "\n"


def describe_rate(ours: list[float], theirs: list[float]) -> str:
    """A peer's median rate, and ours over it."""
    if not theirs:
        return "-"
    rate = f"{statistics.median(theirs):,.0f}"
    if theirs == ours:
        return rate
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    return f"{rate} ({min(ratios):.1f} to {max(ratios):.1f}x)"


def describe(machine: dict[str, Any]) -> str:
    """The machine in one line."""
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"Python {machine['python']}, {libraries}"
    )

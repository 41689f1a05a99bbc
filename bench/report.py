"""What was measured, as files for later, and as tables in the documents."""

import json
import re
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from flatdense_training.judge.interval import wilson

ROOT: Final = Path(__file__).parents[1]
SERVING: Final = ROOT / "bench" / "results" / "serving.json"
SERVING_PAGE: Final = ROOT / "README.md"
ENGINES: Final = ROOT / "bench" / "results" / "engines.json"
ENGINES_PAGE: Final = ROOT / "docs" / "decisions" / "0001-xla-ahead-of-time.md"
PEERS: Final = ROOT / "bench" / "results" / "peers.json"
PEERS_PAGE: Final = ROOT / "docs" / "decisions" / "0004-express-lane.md"
OVERLOAD: Final = ROOT / "bench" / "results" / "overload.json"
OVERLOAD_PAGE: Final = ROOT / "docs" / "operations.md"
HTTP2: Final = ROOT / "bench" / "results" / "http2.json"
HTTP2_PAGE: Final = ROOT / "docs" / "decisions" / "0006-http2-settings.md"
STREAMS: Final = ROOT / "bench" / "results" / "streams.json"
STREAMS_PAGE: Final = ROOT / "docs" / "decisions" / "0007-streams.md"
BOUNDS: Final = ROOT / "bench" / "results" / "bounds.json"
BOUNDS_PAGE: Final = ROOT / "docs" / "decisions" / "0008-what-bounds-a-call.md"

PROTOCOLS: Final = ROOT / "bench" / "results" / "protocols.json"
PROTOCOLS_PAGE: Final = ROOT / "docs" / "decisions" / "0009-other-protocols.md"

TRACES: Final = ROOT / "bench" / "results" / "traces.json"
TRACES_PAGE: Final = ROOT / "docs" / "decisions" / "0010-access-log-and-traces.md"

SDK: Final = ROOT / "bench" / "results" / "sdk.json"
SDK_PAGE: Final = ROOT / "docs" / "sdk.md"

METRICS: Final = ROOT / "bench" / "results" / "metrics.json"
METRICS_PAGE: Final = ROOT / "docs" / "metrics.md"

DRIFT: Final = ROOT / "bench" / "results" / "drift.json"
DRIFT_PAGE: Final = ROOT / "docs" / "decisions" / "0011-drift.md"

TRAINING: Final = ROOT / "bench" / "results" / "training.json"
TRAINING_PAGE: Final = ROOT / "docs" / "training.md"
DISTRIBUTE: Final = ROOT / "bench" / "results" / "distribute.json"
DISTRIBUTE_SECTION: Final = re.compile(
    r"(?<=<!-- measured: workers -->\n).*?(?=<!-- end -->)", re.DOTALL
)

PAGE: Final = ROOT / "bench" / "results" / "page.json"
PAGE_PAGE: Final = ROOT / "docs" / "page.md"

SECTION: Final = re.compile(r"(?<=<!-- measured -->\n).*?(?=<!-- end -->)", re.DOTALL)
"""The part of a document that a benchmark writes."""

CAPACITY: Final = ROOT / "bench" / "results" / "capacity.json"
CAPACITY_PAGE: Final = ROOT / "docs" / "operations.md"
CAPACITY_SECTION: Final = re.compile(
    r"(?<=<!-- measured: capacity -->\n).*?(?=<!-- end -->)", re.DOTALL
)
"""A second one of the same document."""

REAL_WORLD: Final = ROOT / "bench" / "results" / "real_world.json"
REAL_WORLD_PAGE: Final = ROOT / "docs" / "sdk.md"
REAL_WORLD_SECTION: Final = re.compile(
    r"(?<=<!-- measured: pictures -->\n).*?(?=<!-- end -->)", re.DOTALL
)
"""A second one of the same document."""

SCALING: Final = ROOT / "bench" / "results" / "scaling.json"
SCALING_PAGE: Final = ROOT / "docs" / "scaling.md"
SCALING_SECTION: Final = re.compile(
    r"(?<=<!-- measured: queues -->\n).*?(?=<!-- end -->)", re.DOTALL
)

REPLICAS: Final = ROOT / "bench" / "results" / "replicas.json"
REPLICAS_PAGE: Final = SCALING_PAGE
REPLICAS_SECTION: Final = re.compile(
    r"(?<=<!-- measured: replicas -->\n).*?(?=<!-- end -->)", re.DOTALL
)

CLUSTER: Final = ROOT / "bench" / "results" / "cluster.json"
CLUSTER_PAGE: Final = SCALING_PAGE
CLUSTER_SECTION: Final = re.compile(
    r"(?<=<!-- measured: cluster -->\n).*?(?=<!-- end -->)", re.DOTALL
)

OURS: Final = "flatdense"
LIMIT: Final = "C HTTP/2 server"
"""Names of two of the servers that are compared."""

UNTOLD: Final = "neither"
"""What access log and traces are compared with."""

NO_PAGE: Final = "no page"
"""What calls beside an open page are compared with."""

UNMEASURED: Final = "nothing counted"
"""The server that metrics are compared with."""

ARRIVALS: Final = {"poisson": "at random", "bursts": "in bursts"}
SIZES: Final = (1, 10, 100, 1000)
"""Cores."""
PIXELS: Final = 784

COUNTED: Final = ("calls", "lost", "wrong", "retries")
"""Of the calls beside a replica's trouble."""

UNARY: Final = "Classify"
"""What streams and other protocols are compared with."""

Results = dict[str, Any]

Rounds = dict[str, list[float]]
"""What each server reached in each round."""


def publish(
    results: Results, file: Path, page: Path, section: str, where: re.Pattern[str] = SECTION
) -> None:
    """Writes the file, and the section of the page."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(results, indent=2) + "\n")
    # Once: after a section that is empty, the pattern would match on to the end of the next one.
    page.write_text(where.sub(lambda _match: section, page.read_text(), count=1))


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
    lines += ["", note, "", *render_cuts(results["cuts_us"])]
    return "\n".join(lines) + "\n"


def render_cuts(cuts_us: Mapping[str, Mapping[str, list[float]]]) -> list[str]:
    """What batches take that are cut, beside what they would take padded: a table, in Markdown."""
    lines = ["| rows of a batch | cut, us | padded, us | padded / cut |", "|---|---|---|---|"]
    for rows, each in cuts_us.items():
        ratios = [padded / cut for cut, padded in zip(each["cut"], each["padded"], strict=True)]
        cut_us, padded_us = (statistics.median(each[name]) for name in ("cut", "padded"))
        lines.append(
            f"| {rows} | {cut_us:,.0f} | {padded_us:,.0f} | {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}) |"
        )
    return [*lines, "", "By `aot` on one thread; padded is a batch of the next size."]


def render_peers(results: Results) -> str:
    """Peers: the tables and the machine they were measured on, in Markdown."""
    figures, p50_us = results["figures"], results.get("p50_us", {})
    lines = render_cases("rows/s", add_float32(figures))
    if p50_us:
        lines += ["", *render_cases("p50, us", p50_us)]
    rounds = len(next(iter(figures.values()))[OURS])
    versions = "".join(f"{name} {version}, " for name, version in results["versions"].items())
    fixed = "The bare servers and the C server have no model: they give a fixed answer. "
    missing = "; ".join(f"{name} ({why})" for name, why in results.get("absent", {}).items())
    note = (
        f"Medians of {rounds} rounds (`bench/peers/compare.py`), least to most beside them, the "
        "servers in turn, one worker each where nothing else is said, the peers with one compute "
        f"thread. {fixed if LIMIT in next(iter(figures.values())) else ''}"
        f"{versions}on {describe(results['machine'])}. The load generator ran on the same cores."
        f"{f' Not measured: {missing}.' if missing else ''}"
    )
    return "\n".join([*lines, "", note]) + "\n"


def render_cases(unit: str, cases: dict[str, Rounds]) -> list[str]:
    """A row for each server of each case: its figure, ours over it, and the limit's share."""
    lines = [
        f"| | | {unit} | least to most | flatdense / it | least to most | it / C server |",
        "|---|---|---|---|---|---|---|",
    ]
    for case, rounds in cases.items():
        title = case
        for name, values in rounds.items():
            ratios = [one / other for one, other in zip(rounds[OURS], values, strict=True)]
            ours = (
                f"{statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f}"
                if name != OURS
                else " | "
            )
            lines.append(
                f"| {title} | {name} | {statistics.median(values):,.0f} "
                f"| {min(values):,.0f} to {max(values):,.0f} | {ours} "
                f"| {describe_share(values, rounds.get(LIMIT))} |"
            )
            title = ""
    return lines


def describe_share(values: list[float], limits: list[float] | None) -> str:
    """What a server reached of the limit, where that was measured."""
    if limits is None:
        return ""
    return f"{statistics.median(a / b for a, b in zip(values, limits, strict=True)):.2f}"


def add_float32(cases: dict[str, Rounds]) -> dict[str, Rounds]:
    """The cases, with Triton's float32 beside our uint8: the same images, four times the bytes."""
    added = {}
    for case, rounds in cases.items():
        twin = cases.get(case.replace("uint8", "float32"), {}) if "uint8" in case else {}
        theirs = {
            f"{name}, float32": values for name, values in twin.items() if name.startswith("Triton")
        }
        added[case] = rounds | theirs
    return added


def render_http2(results: Results) -> str:
    """Settings: the table and the machine, in Markdown; each beside the server's own."""
    note = (
        "Rows a second, medians of {rounds} rounds in turn (`bench/http2.py`), with their ratio to "
        "the settings as they are, from least to most. On {machine}. "
        "The load generator ran on the same cores."
    )
    return render_variants(results, "as it is", note)


def render_streams(results: Results) -> str:
    """Streams beside single calls: the table and the machine, in Markdown."""
    note = (
        "Rows a second, medians of {rounds} rounds in turn (`bench/streams.py`), with their ratio "
        "to calls of Classify, 64 in flight, from least to most; as many messages of a stream may "
        "be unanswered together. One worker, {machine}. The load generator ran on the same cores."
    )
    return render_variants(results, UNARY, note)


def render_sdk(results: Results) -> str:
    """The clients: the tables and the machine, in Markdown."""
    tables: dict[str, Rounds] = results["tables"]
    lines = [line for unit, figures in tables.items() for line in render_ways(unit, figures)]
    rounds = len(next(iter(next(iter(tables.values())).values())))
    lines.append(
        f"Medians of {rounds} rounds (`bench/sdk.py`), the ways in turn, against one server "
        f"process with one worker, tritonclient {results['tritonclient']}, on "
        f"{describe(results['machine'])}. Client and server ran on the same cores."
    )
    repeats: dict[str, int] = results["calls_repeated"]
    repeated = ", ".join(f"{way} {count:,}" for way, count in repeats.items() if count)
    if repeated:
        lines.append(f"Calls whose stream was refused and that were made again: {repeated}.")
    return "\n".join(lines) + "\n"


def render_ways(unit: str, figures: Rounds) -> list[str]:
    """A row for each way: its figure, and the first one's over it."""
    first = next(iter(figures))
    lines = [
        f"| | {unit} | least to most | {first} / this | least to most |",
        "|---|---|---|---|---|",
    ]
    for way, values in figures.items():
        ratios = [ours / this for ours, this in zip(figures[first], values, strict=True)]
        lines.append(
            f"| {way} | {statistics.median(values):,.0f} "
            f"| {min(values):,.0f} to {max(values):,.0f} "
            f"| {statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} |"
        )
    return [*lines, ""]


def render_protocols(results: Results) -> str:
    """Methods side by side: the table and the machine, in Markdown."""
    note = (
        "Calls a second, medians of {rounds} rounds in turn (`bench/protocols.py`), with their "
        "ratio to calls of Classify with the same images, from least to most; single rows 64 in "
        "flight, 64 rows 8 in flight. One worker, {machine}. The load generator ran on the same "
        "cores."
    )
    return render_variants(results, UNARY, note)


def render_traces(results: Results) -> str:
    """What access log and traces cost: the table and the machine, in Markdown."""
    lines = [
        "| | | calls/s | of the processor, us a call | beside neither | least to most |",
        "|---|---|---|---|---|---|",
    ]
    for case, variants in results["figures"].items():
        baseline = variants[UNTOLD]["worker_us"]
        for number, (name, figures) in enumerate(variants.items()):
            spent_us = figures["worker_us"]
            ratios = [one / own for one, own in zip(spent_us, baseline, strict=True)]
            lines.append(
                f"| {'' if number else case} | {name} "
                f"| {statistics.median(figures['calls_a_second']):,.0f} "
                f"| {statistics.median(spent_us):,.1f} | {statistics.median(ratios):.2f} "
                f"| {min(ratios):.2f} to {max(ratios):.2f} |"
            )
    rounds = len(baseline)
    note = (
        f"Medians of {rounds} rounds in turn (`bench/traces.py`); the processor's time is all of "
        f"one worker's. On {describe(results['machine'])}. The load generator, the collector and "
        "the reader of the log ran on the same cores."
    )
    return "\n".join([*lines, "", note]) + "\n"


def render_page(results: Results) -> str:
    """What the page takes, and what it costs callers: the tables and the machine, in Markdown."""
    lines = ["| in the browser | median, ms | 95 of 100 within |", "|---|---|---|"]
    for name, times_ms in results["browser_ms"].items():
        within_ms = statistics.quantiles(times_ms, n=20)[-1]
        lines.append(f"| {name} | {statistics.median(times_ms):.0f} | {within_ms:.0f} |")
    lines += [
        "",
        "| gRPC beside it, 1 row, 64 in flight | calls/s | share of a pair | middle half |",
        "|---|---|---|---|",
    ]
    baseline = results["calls_a_second"][NO_PAGE]
    for name, rates in results["calls_a_second"].items():
        shares = [one / own for one, own in zip(rates, baseline, strict=True)]
        low, middle, high = statistics.quantiles(shares, n=4)
        spread = "" if name == NO_PAGE else f"{low:.3f} to {high:.3f}"
        lines.append(f"| {name} | {statistics.median(rates):,.0f} | {middle:.3f} | {spread} |")
    note = (
        f"Medians of {len(baseline)} rounds in turn (`bench/browser.py`). The browser's pages are "
        "opened with nothing cached; an answer's time is from the event of the pen to the bars. "
        f"Who draws without a rest makes it ask {describe_paces(results['asked_a_second'])} a "
        "second. Calls are made beside those requests, without the browser, which is on another "
        f"machine in life. On {describe(results['machine'])}. Browser and load generator ran on "
        "the same cores."
    )
    return "\n".join([*lines, "", note]) + "\n"


def describe_paces(asked_a_second: Mapping[str, float]) -> str:
    """What a page asks: how often, and for what."""
    return " and ".join(f"{pace:.0f} times for `{path}`" for path, pace in asked_a_second.items())


def render_variants(results: Results, baseline: str, note: str) -> str:
    """A column for each case, a line for each variant, each beside the baseline."""
    cases = results["figures"]
    lines = ["| | " + " | ".join(cases) + " |", "|---" * (len(cases) + 1) + "|"]
    first = next(iter(cases.values()))
    for name in first:
        cells = []
        for rounds in cases.values():
            ratios = [one / own for one, own in zip(rounds[name], rounds[baseline], strict=True)]
            cells.append(
                f"{statistics.median(rounds[name]):,.0f} ({statistics.median(ratios):.2f}x, "
                f"{min(ratios):.2f} to {max(ratios):.2f})"
            )
        lines.append(f"| {name} | {' | '.join(cells)} |")
    described = note.format(rounds=len(first[baseline]), machine=describe(results["machine"]))
    return "\n".join([*lines, "", described]) + "\n"


def render_bounds(results: Results) -> str:
    """Where the time of a call goes: the table and the machine, in Markdown."""
    lines = [
        "| | | calls/s | busiest thread, us | its core | other threads, us | load, us | idle |",
        f"|{'---|' * 8}",
    ]
    for case, servers in results["figures"].items():
        for number, (server, rounds) in enumerate(servers.items()):
            middle = {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
            rates = [each["calls_a_second"] for each in rounds]
            busy = middle["busiest_thread_us"] * middle["calls_a_second"] / 1e6
            lines.append(
                f"| {'' if number else case} | {server} "
                f"| {middle['calls_a_second']:,.0f} ({min(rates):,.0f} to {max(rates):,.0f}) "
                f"| {middle['busiest_thread_us']:.1f} "
                f"({min(each['busiest_thread_us'] for each in rounds):.1f} at least) | {busy:.0%} "
                f"| {middle['other_threads_us']:.1f} | {middle['load_us']:.1f} "
                f"| {middle['idle']:.0%} |"
            )
    count = len(next(iter(next(iter(results["figures"].values())).values())))
    note = (
        f"Medians of {count} rounds in turn (`bench/bounds.py`); times are of the processor, for "
        "one call. The busiest thread is the lane's. Idle is the share of all cores. On "
        f"{describe(results['machine'])}. The load generator ran on the same cores."
    )
    return "\n".join([*lines, "", note]) + "\n"


def render_overload(results: Results) -> str:
    """Overload: the table and the machine it was measured on, in Markdown."""
    lines = [
        (
            "| calls/s | best | offered | begun | answered | refused | cut off by gRPC | p50, p99 "
            "| memory | load's core | best beside a C server | answered of that |"
        ),
        f"|{'---|' * 12}",
    ]
    for case in results["cases"]:
        codes, caller, sizes_mb = case["codes_a_second"], case["caller"], case["resident_mb"]
        cut_off = max(0.0, case["ended_a_second"] - sum(codes.values()))
        lines.append(
            f"| {case['name']} | {case['best_calls_a_second']:,.0f} "
            f"| {case['asked_a_second']:,.0f} | {case['begun_a_second']:,.0f} "
            f"| {codes.get('OK', 0):,.0f} ({case['goodput']:.0%}) "
            f"| {codes.get('RESOURCE_EXHAUSTED', 0):,.0f} | {cut_off:,.0f} "
            f"| {describe_ms(caller['p50_ms'])}, {describe_ms(caller['p99_ms'])} ms "
            f"| {min(sizes_mb):,.0f} to {max(sizes_mb):,.0f} MB | {case['generator_cpu']:.2f} "
            f"| {case['left_by_c_server']:.0%} | {case['goodput'] / case['left_by_c_server']:.0%} |"
        )
    note = (
        f"{results['seconds']:.0f} seconds of each (`bench/overload.py`), one worker; answered is "
        "gRPC's OK, in brackets its share of the best; the times are those of the answered calls "
        "of a light caller beside. Calls are begun at a fixed rate until 6,400 are in flight. The "
        "last but one is what the best falls to while a C HTTP/2 server takes the calls that are "
        "too many and gives them a fixed answer: the cost of their traffic alone. On "
        f"{describe(results['machine'])}. The load generator ran on the same cores."
    )
    return "\n".join([*lines, "", note]) + "\n"


def render_metrics(results: Results) -> str:
    """What metrics cost: the table and the machine it was measured on, in Markdown."""
    lines = ["| | | calls/s | share | middle half | worker, us a call |", f"|{'---|' * 6}"]
    for case, servers in results["figures"].items():
        for number, (name, rounds) in enumerate(servers.items()):
            rates = [each["calls_a_second"] for each in rounds]
            plain = [each["calls_a_second"] for each in servers[UNMEASURED]]
            shares = [one / other for one, other in zip(rates, plain, strict=True)]
            low, middle, high = statistics.quantiles(shares, n=4)
            spread = f"{low:.3f} to {high:.3f}" if number else ""
            lines.append(
                f"| {'' if number else case} | {name} | {statistics.median(rates):,.0f} "
                f"| {middle:.3f} | {spread} "
                f"| {statistics.median(each['cpu_us'] for each in rounds):.1f} |"
            )
    count = len(next(iter(next(iter(results["figures"].values())).values())))
    note = (
        f"Medians of {count} rounds (`bench/metrics.py`), the servers in turn, one worker each; a "
        "share is of what the server that counts nothing answered in the same round. On "
        f"{describe(results['machine'])}. The load generator ran on the same cores."
    )
    return "\n".join([*lines, "", note]) + "\n"


def render_capacity(results: Results) -> str:
    """What one core and some memory are good for: the tables and the machine, in Markdown."""
    rates, memory = results["rows_a_second"], results["memory_mb"]
    lines = [f"| rows a second, one core | {' | '.join(rates)} |", f"|{'---|' * (1 + len(rates))}"]
    lines += [
        f"| {case} | {' | '.join(describe_spread(rates[engine][case]) for engine in rates)} |"
        for case in next(iter(rates.values()))
    ]
    lines += ["", f"| MB | {' | '.join(memory)} |", f"|{'---|' * (1 + len(memory))}"]
    lines += [
        f"| {what} | {' | '.join(describe_spread(memory[engine][what]) for engine in memory)} |"
        for what in next(iter(memory.values()))
    ]
    counts = ", ".join(
        f"{engine} {len(next(iter(each.values())))}" for engine, each in memory.items()
    )
    note = (
        f"Medians, least to most, of several starts ({counts}) (`bench/capacity.py`): a server "
        "with one worker on one core, the load on another. Memory is each process's share, which "
        "adds up to what a cgroup is charged; that of 1,000 connections is the worker's, of "
        f"{results['connections']:,} that are open and idle. On "
        f"{describe(results['machine'])}."
    )
    return "\n".join([*lines, "", note]) + "\n"


def describe_spread(values: list[float], form: str = ",.0f") -> str:
    """The median, and how far apart they are."""
    least, middle, most = min(values), statistics.median(values), max(values)
    return f"{middle:{form}} ({least:{form}} to {most:{form}})"


def render_drift(results: Results) -> str:
    """What prediction health says of images: two tables, in Markdown."""
    features = ("input_mean", "ink_share", "confidence", "class")
    lines = [
        f"| PSI | {' | '.join(features)} | confidence below {results['low_confidence']} |",
        f"|{'---|' * (len(features) + 2)}",
    ]
    for kind, found in results["images"].items():
        indices = " | ".join(f"{found[name]:.3f}" for name in features)
        lines.append(f"| {kind} | {indices} | {found['low']:.1%} |")
    lines += [
        "",
        "| rows in the window | expected PSI of chance | mean of the draws | greatest |",
        f"|{'---|' * 4}",
    ]
    for rows, drawn in results["chance"].items():
        lines.append(
            f"| {int(rows):,} | {drawn['expected']:.3f} | {drawn['mean']:.3f} "
            f"| {drawn['most']:.3f} |"
        )
    note = (
        "The first table has all test images of each kind, as `exported_model/1` answers them; the "
        f"second {results['draws']:,} windows of each size, drawn from unchanged ones, and of the "
        f"four features the worst. The reference has {results['reference_rows']:,} rows. "
        "`bench/drift.py` makes both."
    )
    return "\n".join([*lines, "", note]) + "\n"


def render_training(results: Results) -> str:
    """How fast training is: the tables and the machine, in Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    lines = ["| distorted images a second, one core | |", "|---|---|"]
    lines += [
        f"| {name} | {describe_spread(rates)} |"
        for name, rates in results["images_a_second"].items()
    ]
    lines += [
        "",
        "| an epoch of 55,000 images | seconds | of it waiting for images |",
        "|---|---|---|",
    ]
    lines += [
        f"| {name} | {statistics.median(found['epoch_s']):.2f} "
        f"({min(found['epoch_s']):.2f} to {max(found['epoch_s']):.2f}) "
        f"| {statistics.median(found['waited_s']):.3f} "
        f"({min(found['waited_s']):.3f} to {max(found['waited_s']):.3f}) |"
        for name, found in results["epochs"].items()
    ]
    whole = results["standard"]
    note = (
        f"Medians, least to most, in turn (`bench/training.py`). The whole command with the preset "
        f"`standard` took {whole['whole_s']:.0f} s, {whole['fitting_s']:.0f} of them fitting, "
        f"{whole['waited_s']:.1f} of those waiting for images, and reached "
        f"{whole['test_accuracy']:.2%} of the test images. {versions}, on "
        f"{describe(results['machine'])}."
    )
    return "\n".join([*lines, "", note]) + "\n"


def render_distribute(results: Results) -> str:
    """Several workers against one process: the table and the machine, in Markdown."""
    lines = ["| `quick` on MNIST | test images answered rightly | fitting |", "|---|---|---|"]
    for name, runs in results["runs"].items():
        accuracies = ", ".join(f"{run['test_accuracy']:.2%}" for run in runs)
        seconds = describe_spread([run["fitting_s"] for run in runs])
        lines.append(f"| {name} | {accuracies} | {seconds} s |")
    note = (
        "One figure for each seed (`bench/distribute.py`); the workers shared one machine. Both "
        f"models of a seed answered at least {min(results['alike']):.2%} of the test images alike. "
        f"On {describe(results['machine'])}."
    )
    return "\n".join([*lines, "", note]) + "\n"


def render_real_world(results: Results) -> str:
    """Pictures from life: the table, in Markdown."""
    lines = ["| | | pictures | right | 95 % interval |", f"|{'---|' * 5}"]
    unseen = "families that nothing was chosen on"
    for group, parts in results["sets"].items():
        shown = {"": parts}
        if group == "typefaces":
            chosen_on = results["chosen_on"]
            shown[unseen] = {name: part for name, part in parts.items() if name not in chosen_on}
        elif group != "strokes" and len(parts) > 1:
            shown |= {name: {name: part} for name, part in parts.items()}
        for name, counted in shown.items():
            total = share(
                sum(part["correct"] for part in counted.values()),
                sum(part["rows"] for part in counted.values()),
            )
            if total["rows"]:
                # Pictures of one digit are right or wrong together, and no more sure than one.
                is_one = name or len(parts) == 1 or group in ("typefaces", "strokes")
                sure = f"{total['low']:.2%} to {total['high']:.2%}" if is_one else ""
                lines.append(
                    f"| {'' if name else group} | {name} | {total['rows']:,} "
                    f"| {total['accuracy']:.2%} | {sure} |"
                )
    note = (
        f"{results['digits']:,} digits of MNIST, {results['typefaces']} typefaces of "
        f"{results['families']} families, as `{results['weights']}` answers what `prepare_image` "
        "makes of their pictures (`bench/real_world.py`). Pens draw on 280x280, where a digit is "
        "200 pixels long. They follow a trace of the digit, which differs from it by "
        f"{results['traces_differ'] ** 0.5:.3f} where it is as wide (root mean square; full ink is "
        "1). What is refused as blank counts as wrong."
    )
    return "\n".join([*lines, "", note]) + "\n"


def share(correct: int, rows: int) -> Results:
    """A fraction with its interval."""
    interval = wilson(correct, rows)
    return {
        "rows": rows,
        "correct": correct,
        "accuracy": correct / max(1, rows),
        "low": interval.low,
        "high": interval.high,
    }


def render_scaling(results: Results) -> str:
    """What the queues' simulation foretells, beside what was measured: tables, in Markdown."""
    costs, beside_ms = results["costs_us"]["1"], results["beside_ms"]
    call_us = results["call_us"]
    shared = ", ".join(
        f"{us / call_us['1'] - 1:.0%} more where {replicas} replicas share a core"
        for replicas, us in call_us.items()
        if replicas != "1"
    )
    cost = (
        f"Measured: a batch costs a worker {costs['batch']:,.0f} us of processor time, each call "
        f"in it {costs['call']:,.0f} us more, and each row {costs['row']:.2f} us more. So one core "
        f"answers {results['most_calls_per_s']:,.0f} calls of {results['call_rows']} rows a second "
        f"at most. A call alone costs {shared}. What a call takes besides, in the caller, in gRPC "
        f"and in the kernel, is {beside_ms['p50']:.2f} ms (p50), {beside_ms['p99']:.2f} ms (p99), "
        "measured where calls hardly meet."
    )
    note = (
        f"Medians of {results['rounds']} rounds of {results['seconds']:g} s "
        f"(`bench/scaling.py`), on {describe(results['machine'])}. All replicas of a line share "
        "one core, as they do in the simulation; the load has the other one. Load is the share of "
        "what the core can answer. Predicted and measured calls come at the same times. What else "
        f"the machine did meanwhile took {results['others_cores']:.2f} cores."
    )
    title = "**Predicted, not measured:** p99 in the servers, in ms, with a core for each replica:"
    parts = [
        [cost],
        render_compared(results["compared"]),
        [note],
        [title],
        render_foretold(results["foretold"]),
        render_sizes(results["rows_a_second"]),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def render_compared(cases: list[Results]) -> list[str]:
    """Predicted and measured latency side by side."""
    titles = ("calls come", "load", "replicas")
    titles += ("p50 predicted, ms", "measured", "predicted / measured")
    titles += ("p99 predicted, ms", "measured, least to most", "predicted / measured")
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    for case in cases:
        cells = [ARRIVALS[case["arrivals"]], f"{case['load']:.0%}", f"{case['replicas']}"]
        for name in ("p50", "p99"):
            foretold_ms, measured_ms = case["foretold_ms"][name], case["measured_ms"][name]
            middle_ms = statistics.median(measured_ms)
            spread = f" ({min(measured_ms):.1f} to {max(measured_ms):.1f})" if name == "p99" else ""
            cells += [f"{foretold_ms:.2f}", f"{middle_ms:.2f}{spread}"]
            cells += [f"{foretold_ms / middle_ms:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def render_foretold(cases: list[Results]) -> list[str]:
    """Latency at more replicas than there are here."""
    lines = [
        "| calls come | load | replicas | calls/s | one caller, in turn | many callers |",
        f"|{'---|' * 6}",
    ]
    lines += [
        f"| {ARRIVALS[case['arrivals']]} | {case['load']:.0%} | {case['replicas']} "
        f"| {case['calls_a_second']:,.0f} | {case['p99_ms']['in turn']:.2f} "
        f"| {case['p99_ms']['at random']:.2f} |"
        for case in cases
    ]
    return lines


def render_sizes(rows_a_second: dict[str, float]) -> list[str]:
    """What so many cores answer at half of their load, and what the network has to carry for it."""
    titles = (f"{cores:,} core{'s' if cores > 1 else ''}" for cores in SIZES)
    lines = [
        "**Predicted, not measured:** rows a second at half of what each core answers:",
        "",
        f"| each call | {' | '.join(titles)} |",
        f"|{'---|' * (1 + len(SIZES))}",
    ]
    for case, rate in rows_a_second.items():
        row_bits = 8 * PIXELS * (4 if "float32" in case else 1)
        half = [cores * rate / 2 for cores in SIZES]
        cells = (f"{rows:,.0f} rows/s, {rows * row_bits / 1e9:,.2f} Gbit/s" for rows in half)
        lines.append(f"| {case.split(',')[0]} | {' | '.join(cells)} |")
    return lines


def render_replicas(results: Results) -> str:
    """What callers notice of a replica's trouble: the table and the machine, in Markdown."""
    titles = ("what happens", "caller", "calls", "lost", "wrong", "tried again")
    titles += ("p99 before, ms", "slowest, ms", "until as before, s", "until it is back, s")
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    for event, callers in results["events"].items():
        for number, (caller, rounds) in enumerate(callers.items()):
            counts = (sum(each[kind] for each in rounds) for kind in COUNTED)
            back_s = [each["back_s"] for each in rounds if each["back_s"] is not None]
            cells = [
                "" if number else event,
                caller,
                *(f"{count:,}" for count in counts),
                f"{statistics.median(each['p99_before_ms'] for each in rounds):,.1f}",
                f"{max(each['slowest_ms'] for each in rounds):,.0f}",
                describe_times([each["disturbed_s"] for each in rounds]),
                describe_times(back_s) if back_s else "",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    missing = "".join(f" Not measured: {what} ({why})." for what, why in results["absent"].items())
    note = (
        f"{results['rounds']} rounds (`bench/replicas.py`): {results['servers']} servers behind "
        f"one DNS name, one worker each, {results['rate']:g} calls a second of 3 images, an open "
        "loop through the SDK, whose deadline is 10 s. Lost is what raised an error, wrong what "
        "had another answer or order than each image alone; tried again is what gRPC sent once "
        "more. It is as before when the last call has begun that took over 100 ms, and over ten "
        "times p99; a server is back with the first call after it can answer, or has come. "
        f"Medians, least to most. On {describe(results['machine'])}. Client and servers ran on the "
        f"same cores.{missing}"
    )
    return "\n".join([*lines, "", note]) + "\n"


def render_cluster(results: Results) -> str:
    """What ways to serve reach, and what callers notice of Ray's trouble: tables in Markdown."""
    lines = ["| | | rows a second | p50, ms | p99, ms |", "|---|---|---|---|---|"]
    for load, ways in results["loads"].items():
        for number, (name, rounds) in enumerate(ways.items()):
            cells = ["" if number else load, name]
            cells += [
                describe_spread([each[kind] for each in rounds], form)
                for kind, form in (("rows_per_s", ",.0f"), ("p50_ms", ".2f"), ("p99_ms", ".2f"))
            ]
            lines.append(f"| {' | '.join(cells)} |")
    titles = ("what happens", "calls", "lost", "wrong", "tried again by callers")
    titles += ("slowest, ms", "until as before, s", "until it is over, s")
    lines += ["", f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    for name, rounds in results["troubles"].items():
        counts = (sum(each[kind] for each in rounds) for kind in COUNTED)
        cells = [
            name,
            *(f"{count:,}" for count in counts),
            f"{max(each['slowest_ms'] for each in rounds):,.0f}",
            describe_times([each["disturbed_s"] for each in rounds]),
            describe_times([each["over_s"] for each in rounds]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    rounds = len(next(iter(results["troubles"].values())))
    note = (
        "Medians, least to most (`bench/cluster.py`). Above: loads of `flatdense bench`, in which "
        "callers wait for their answers, in turns; the generator is one process, and the limit of "
        f"small calls. Below: {rounds} rounds each, on Ray nodes of this machine, "
        f"{results['cores']} replicas, {results['rate']:g} calls a second of 3 images, an open "
        "loop through the SDK, whose deadline is 10 s; a call whose replica ends is asked of "
        "another one by the proxy. It is over when as many replicas run as there are to be. "
        f"On {describe(results['machine'])}. Client, Ray and servers ran on the same cores."
    )
    return "\n".join([*lines, "", note]) + "\n"


def describe_times(times_s: list[float]) -> str:
    """The median, and how far apart they are."""
    middle_s = statistics.median(times_s)
    return f"{middle_s:.1f} ({min(times_s):.1f} to {max(times_s):.1f})"


def describe_ms(time_ms: float | None) -> str:
    """A time, or that no call was answered that would have one."""
    return "-" if time_ms is None else f"{time_ms:,.0f}"


def describe(machine: dict[str, Any]) -> str:
    """The machine in one line."""
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"Python {machine['python']}, {libraries}"
    )

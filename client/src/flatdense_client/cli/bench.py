"""`flatdense bench`: puts load on a server and says what it was like."""

import math
from pathlib import Path

import click

from flatdense_client._load.crew import Crew
from flatdense_client._load.dialect import DIALECTS, Model
from flatdense_client._load.plan import MAX_CALLS, Arrivals, ClosedLoop, OpenLoop, Plan
from flatdense_client._load.verdict import Verdict, judge
from flatdense_client.cli.findings import Findings
from flatdense_client.cli.options import Connection, connection_options
from flatdense_client.cli.payload import TYPES, most_rows, read_pieces
from flatdense_client.cli.programs import write_json
from flatdense_client.cli.pulse import Pulse
from flatdense_client.cli.screen import stderr_console, stdout_console

EXIT_FAILED = 1
EXIT_MISSED = 3

_MAX_CALLERS = 10_000
_MAX_CONNECTIONS = 1_000
_MAX_PROCESSES = 256


class _Number(click.FloatRange):
    """A float of a range, and neither nan nor inf, which compare as if they were in it."""

    def convert(
        self, value: float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number. Fails as click's types do."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no number to work with.", param, ctx)
        return number


@click.command()
@click.option(
    "--rate",
    type=_Number(min=0, min_open=True, max=1e6),
    metavar="CALLS",
    help="Open loop: begin so many calls a second, whatever becomes of those before.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, _MAX_CALLERS),
    metavar="N",
    show_default="1, unless there is a --rate",
    help="Closed loop: so many callers, each of which calls again when it has its answer.",
)
@click.option(
    "--arrivals",
    type=click.Choice(["poisson", "constant", "bursts"]),
    default="poisson",
    show_default=True,
    help="How the calls of an open loop come: as from independent callers, evenly spaced, or in "
    "bursts of 0.1 s with 0.3 s of silence between them, in the mean.",
)
@click.option(
    "--duration",
    "duration_s",
    type=_Number(min=0, min_open=True, max=86_400),
    metavar="SECONDS",
    default=10.0,
    show_default=True,
    help="How long calls are begun and counted.",
)
@click.option(
    "--warmup",
    "warmup_s",
    type=_Number(0, 3_600),
    metavar="SECONDS",
    default=1.0,
    show_default=True,
    help="How long before that, uncounted.",
)
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    show_default=True,
    help="How many images each call carries.",
)
@click.option(
    "--images",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="An IDX or .npy file of images to send, in turn; left out, pen strokes are made up.",
)
@click.option(
    "--dtype",
    type=click.Choice(list(TYPES)),
    default="uint8",
    show_default=True,
    help="How pixels travel.",
)
@click.option(
    "--protocol",
    type=click.Choice(list(DIALECTS)),
    default="native",
    show_default=True,
    help="flatdense's own, the Open Inference Protocol, or TensorFlow Serving's.",
)
@click.option(
    "--model-name",
    metavar="NAME",
    default="mnist",
    envvar="FLATDENSE_MODEL_NAME",
    show_default=True,
    show_envvar=True,
    help="The model that answers.",
)
@click.option(
    "--connections",
    type=click.IntRange(1, _MAX_CONNECTIONS),
    metavar="N",
    default=4,
    show_default=True,
    help="How many connections the calls take in turn: at least one for each worker of the server.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, _MAX_PROCESSES),
    metavar="N",
    default=1,
    show_default=True,
    help="How many processes make the load: more where one cannot keep up and cores are free.",
)
@click.option(
    "--max-p99",
    "max_p99_ms",
    type=_Number(min=0, min_open=True),
    metavar="MS",
    help="Exit with 3 if the 99th percentile of the latency is above.",
)
@click.option(
    "--min-rate",
    type=_Number(min=0, min_open=True),
    metavar="CALLS",
    help="Exit with 3 if fewer calls a second are answered.",
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@connection_options
@click.pass_context
def bench(  # noqa: PLR0913  # an option each
    context: click.Context,
    *,
    rate: float | None,
    concurrency: int | None,
    arrivals: Arrivals,
    duration_s: float,
    warmup_s: float,
    rows: int,
    file: Path | None,
    dtype: str,
    protocol: str,
    model_name: str,
    connections: int,
    processes: int,
    max_p99_ms: float | None,
    min_rate: float | None,
    as_json: bool,
    connection: Connection,
) -> None:
    """Put load on a server and show how fast it answers.

    With --rate calls begin when they are due, and their latency counts from then on: a server that
    stalls is charged for every call that came meanwhile. With --concurrency callers wait for their
    answers, which shows the most that a server answers, and hides its stalls.

    Percentiles are exact. They hold the calls that were answered, and those that had no answer
    within their timeout. Ctrl-C ends early and shows what was measured.

    \b
    Examples:
      flatdense bench --rate 500 --duration 30
      flatdense bench --concurrency 64 --rows 16
      flatdense bench --rate 200 --max-p99 20 --json      # for CI

    Exits with 0 if every call was answered, with 1 if one failed, and with 3 if --max-p99 or
    --min-rate was missed.
    """  # noqa: D301  # click's mark: these lines stay as they are
    loop = _choose_loop(rate, concurrency, arrivals)
    if isinstance(loop, ClosedLoop):
        connections = min(connections, loop.concurrency)
    _check_size(rate, duration_s, rows, dtype)
    if processes > connections:
        msg = f"--processes {processes} need as many --connections, and callers in a closed loop."
        raise click.UsageError(msg)
    if math.isinf(connection.timeout_s):
        raise click.UsageError("--timeout-s is inf, and a load needs an end: give seconds.")
    connection.open().close()  # nothing is sent, and options that do not go together are said
    model = Model(name=model_name, version=connection.model_version, label=connection.model_label)
    pieces = read_pieces(file, rows=rows, dtype=TYPES[dtype])
    plan = Plan(
        address=connection.server,
        tls=connection.tls,
        token=connection.token,
        protocol=protocol,
        messages=[DIALECTS[protocol].write(piece, model) for piece in pieces],
        rows=rows,
        loop=loop,
        duration_s=duration_s,
        warmup_s=warmup_s,
        timeout_s=connection.timeout_s,
        connections=connections,
    )
    verdict = _measure(plan, processes)
    missed = _judge(verdict, max_p99_ms, min_rate)
    findings = Findings(plan=plan, dtype=dtype, verdict=verdict, missed=missed)
    if as_json:
        write_json(findings.to_json())
    else:
        stdout_console().print(findings)
    if verdict.recording.is_cut:
        raise click.Abort
    if verdict.recording.failed:
        context.exit(EXIT_FAILED)
    if missed:
        context.exit(EXIT_MISSED)


def _choose_loop(
    rate: float | None, concurrency: int | None, arrivals: Arrivals
) -> OpenLoop | ClosedLoop:
    if rate is None:
        return ClosedLoop(concurrency=concurrency or 1)
    if concurrency is not None:
        raise click.UsageError("--rate and --concurrency exclude each other: give one of them.")
    return OpenLoop(rate=rate, arrivals=arrivals)


def _check_size(rate: float | None, duration_s: float, rows: int, dtype: str) -> None:
    if rate is not None and rate * duration_s > MAX_CALLS:
        msg = f"--rate times --duration is at most {MAX_CALLS:,} calls: lower one of them."
        raise click.UsageError(msg)
    if rows > (most := most_rows(TYPES[dtype])):
        msg = f"--rows is at most {most:,} of {dtype}: more do not fit one message."
        raise click.UsageError(msg)


def _measure(plan: Plan, processes: int) -> Verdict:
    stderr = stderr_console()
    pulse = Pulse(
        stderr,
        warmup_s=plan.warmup_s,
        duration_s=plan.duration_s,
        is_wanted=stderr.is_terminal,
    )
    try:
        with pulse, Crew(plan, processes) as crew:
            recording = crew.run(pulse.show)
    except ChildProcessError as error:
        raise click.ClickException(str(error)) from None
    return judge(plan, recording)


def _judge(verdict: Verdict, max_p99_ms: float | None, min_rate: float | None) -> list[str]:
    """What was demanded and not reached, a sentence each."""
    missed = []
    p99_ms = 1e3 * verdict.latency.percentiles["p99"] if verdict.latency else None
    if max_p99_ms is not None and (p99_ms is None or p99_ms > max_p99_ms):
        told = "no call was answered" if p99_ms is None else f"p99 is {p99_ms:.3f} ms"
        missed.append(f"{told}; --max-p99 is {max_p99_ms:g} ms")
    if min_rate is not None and verdict.calls_per_s < min_rate:
        reached = f"{verdict.calls_per_s:,.1f} calls/s were answered"
        missed.append(f"{reached}; --min-rate is {min_rate:,g}")
    return missed

"""The settings: one table of options, each with its flag, its variable, its default and its help.

The only file that knows the environment.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from flatdense_server.engine.cpus import usable_cpus
from flatdense_server.observe.logs.logs import LogFormat
from flatdense_server.observe.traces.journey import Traces

if TYPE_CHECKING:  # the supervisor starts without all that these import
    from flatdense_server.edge.server import LaneChoice
    from flatdense_server.engine.choice import DeviceName, EngineName

PREFIX: Final = "FLATDENSE"

MAX_ROWS: Final = 1 << 16
MAX_PORT: Final = 65_535

MAX_AGE_S: Final = 1e6
"""gRPC counts it in milliseconds, in 32 bits."""

OTLP_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")

SERVICE_LINKS: Final = ("tcp://", "udp://", "sctp://")
"""How a variable begins that Kubernetes makes of a Service's name and `_PORT`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The effective settings. Field by field what OPTIONS says."""

    host: str
    http_host: str | None
    grpc_port: int
    http_port: int
    plaintext_health_port: int | None
    tls_cert: Path | None
    tls_key: Path | None
    tls_client_ca: Path | None
    token_file: Path | None
    model_dir: Path
    model_name: str
    engine: "EngineName"
    device: "DeviceName"
    workers: int
    cache_dir: Path
    poll_interval_s: float
    shadow_version: int | None
    shadow_fraction: float
    max_batch_rows: int
    batch_wait_us: int
    max_request_rows: int
    max_queued_rows: int
    lane: "LaneChoice"
    max_inflight: int
    max_streams: int
    max_connections: int
    max_connection_age_s: float | None
    max_connection_age_grace_s: float
    reflection: bool
    model_control: bool
    page: bool
    prediction_health: bool
    low_confidence: float
    drift_window_s: float
    drain_delay_s: float
    grace_s: float
    log_format: LogFormat
    log_level: str
    access_log_sample: float
    traces: Traces

    def lines(self) -> list[str]:
        """The settings as NAME=value lines: an environment that gives the same settings."""
        return [
            f"{PREFIX}_{field.name.upper()}={getattr(self, field.name)}"
            for field in fields(self)
            if getattr(self, field.name) is not None
        ]


def option(*names: str, kind: Any, default: Any, text: str) -> Callable[..., Any]:  # noqa: ANN401
    """One option with its variable and default in the help."""
    return click.option(
        *names, type=kind, default=default, help=text, show_default=True, show_envvar=True
    )


class Port(click.IntRange):
    """A port's number; 0 picks a free one."""

    def __init__(self) -> None:
        super().__init__(0, MAX_PORT)

    def convert(
        self,
        value: Any,  # noqa: ANN401 -- a text, or the default
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401
        """Says where a value comes from that nobody gave: Kubernetes makes it of a Service."""
        if ctx and param and param.name and str(value).startswith(SERVICE_LINKS):
            variable = f"{PREFIX}_{param.name.upper()}"
            service = variable.removesuffix("_PORT").lower().replace("_", "-")
            if ctx.get_parameter_source(param.name) is ParameterSource.ENVIRONMENT:
                self.fail(
                    f"expected a number, got {value}. Kubernetes sets {variable} to that in every "
                    f"pod beside a Service named {service}. Set `enableServiceLinks: false` in "
                    "the pod's spec, or give the option.",
                    param,
                    ctx,
                )
        return super().convert(value, param, ctx)


def count(top: int) -> click.IntRange:
    """A whole number from 1 to `top`."""
    return click.IntRange(1, top)


OPTIONS: Final = (
    option("--host", kind=str, default="127.0.0.1", text="Address to listen on."),
    click.option(
        "--http-host",
        help="Address to listen on by HTTP, where it is another one.",
        show_default="the same as --host",
        show_envvar=True,
    ),
    option(
        "--grpc-port",
        kind=Port(),
        default=8500,
        text="Port of every gRPC service; 0 picks a free one.",
    ),
    option(
        "--http-port",
        kind=Port(),
        default=8501,
        text="Port of the page, REST, /metrics, /healthz and /readyz; 0 picks a free one.",
    ),
    option(
        "--plaintext-health-port",
        kind=Port(),
        default=None,
        text="Port of /healthz and /readyz alone, never encrypted: for probes, where the HTTP port "
        "has TLS. 0 picks a free one.",
    ),
    option(
        "--tls-cert",
        kind=click.Path(path_type=Path),
        default=None,
        text="PEM file of the server's certificate and those between it and an authority. With it "
        "the gRPC port and the HTTP port speak TLS and nothing else. Like the other files of "
        "certificates and tokens it is read again when it changes.",
    ),
    option(
        "--tls-key",
        kind=click.Path(path_type=Path),
        default=None,
        text="PEM file of its private key.",
    ),
    option(
        "--tls-client-ca",
        kind=click.Path(path_type=Path),
        default=None,
        text="PEM file of authorities. With it callers must show a certificate of one of them.",
    ),
    option(
        "--token-file",
        kind=click.Path(path_type=Path),
        default=None,
        text="File of those who may call and the hashes of their tokens. With it callers must send "
        "`authorization: Bearer ...`.",
    ),
    option(
        "--model-dir",
        kind=click.Path(path_type=Path),
        default=Path("exported_model"),
        text="Folder with the exported versions.",
    ),
    option("--model-name", kind=str, default="mnist", text="Name that requests use."),
    option(
        "--engine",
        kind=click.Choice(["auto", "aot", "jit"]),
        default="auto",
        text="What runs the network: aot is XLA ahead of time, from a library of "
        "flatdense-compile; jit is TensorFlow XLA; auto is aot where a library fits, else jit.",
    ),
    option(
        "--device",
        kind=click.Choice(["auto", "cpu", "gpu"]),
        default="auto",
        text="Where it runs.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(1, 1024),
        help="Worker processes that share the gRPC port. Limits of rows, calls and streams are for "
        "each of them.",
        show_default="one for each usable core; 1 on a GPU",
        show_envvar=True,
    ),
    option(
        "--cache-dir",
        kind=click.Path(path_type=Path),
        default=Path("~/.cache/flatdense"),
        text="Where flatdense-compile keeps its libraries.",
    ),
    option(
        "--poll-interval-s",
        kind=click.FloatRange(0.01),
        default=1.0,
        text="Seconds between two looks for new versions in the model folder.",
    ),
    option(
        "--shadow-version",
        kind=click.IntRange(1),
        default=None,
        text="Version that sees a share of the live batches while nothing waits, is compared, and "
        "answers nobody.",
    ),
    option(
        "--shadow-fraction",
        kind=click.FloatRange(0, 1, min_open=True),
        default=0.1,
        text="The share of the batches that it sees.",
    ),
    option(
        "--max-batch-rows",
        kind=count(MAX_ROWS),
        default=1024,
        text="Biggest compiled batch; the powers of two below it are compiled too.",
    ),
    option(
        "--batch-wait-us",
        kind=click.IntRange(0, 1_000_000),
        default=0,
        text="Microseconds that a batch which is not full waits for more rows. On a CPU 0 is best: "
        "while a batch runs, the next one gathers by itself.",
    ),
    option(
        "--max-request-rows",
        kind=count(MAX_ROWS),
        default=1024,
        text="Most rows of one request.",
    ),
    option(
        "--max-queued-rows",
        kind=count(1 << 24),
        default=16_384,
        text="Most rows that wait; more are refused at once.",
    ),
    option(
        "--lane",
        kind=click.Choice(["auto", "express", "standard"]),
        default="auto",
        text="How unary calls are answered: express is one thread on gRPC's core; standard is "
        "grpcio's public API, with a thread for each call; auto is express where this grpcio can.",
    ),
    option(
        "--max-inflight",
        kind=count(4096),
        default=256,
        text="Most calls at a time on the standard lane, a thread each.",
    ),
    option(
        "--max-streams",
        kind=count(4096),
        default=64,
        text="Most open ClassifyStream calls of a worker.",
    ),
    option(
        "--max-connections",
        kind=count(1 << 20),
        default=16_384,
        text="Most gRPC connections of a worker; more are closed as they come.",
    ),
    click.option(
        "--max-connection-age-s",
        type=click.FloatRange(1, MAX_AGE_S),
        help="A gRPC connection that is so old, give or take a tenth, is ended: its caller makes "
        "another one, and finds servers that have come since. Without it there is no largest age.",
        show_envvar=True,
    ),
    option(
        "--max-connection-age-grace-s",
        kind=click.FloatRange(0, MAX_AGE_S),
        default=30.0,
        text="Seconds that calls on such a connection have to finish; a longer stream is cut.",
    ),
    click.option(
        "--reflection/--no-reflection",
        default=True,
        help="Server reflection.",
        show_default=True,
        show_envvar=True,
    ),
    click.option(
        "--model-control/--no-model-control",
        default=False,
        help="Whether callers may list, load and unload versions by the Open Inference Protocol's "
        "repository RPCs.",
        show_default=True,
        show_envvar=True,
    ),
    click.option(
        "--page/--no-page",
        default=True,
        help="The page at / on the HTTP port, and what it shows of versions: weights, reports.",
        show_default=True,
        show_envvar=True,
    ),
    click.option(
        "--prediction-health/--no-prediction-health",
        default=True,
        help="Whether images and answers are counted for metrics of confidence and drift. No image "
        "is kept.",
        show_default=True,
        show_envvar=True,
    ),
    option(
        "--low-confidence",
        kind=click.FloatRange(0, 1),
        default=0.8,
        text="An answer less probable than this counts as one of low confidence.",
    ),
    option(
        "--drift-window-s",
        kind=click.FloatRange(1),
        default=600.0,
        text="Over the last so many seconds live images are compared with the validation images of "
        "the training run.",
    ),
    option(
        "--drain-delay-s",
        kind=click.FloatRange(0),
        default=0.0,
        text="Seconds between health NOT_SERVING and the first refused call, on SIGTERM.",
    ),
    option(
        "--grace-s",
        kind=click.FloatRange(0),
        default=10.0,
        text="Seconds that accepted calls have to finish, on SIGTERM.",
    ),
    option(
        "--log-format",
        kind=click.Choice(["text", "json"]),
        default="text",
        text="Form of the log lines on standard error.",
    ),
    option(
        "--log-level",
        kind=click.Choice(["debug", "info", "warning", "error"]),
        default="info",
        text="Least level that is logged.",
    ),
    option(
        "--access-log-sample",
        kind=click.FloatRange(0, 1),
        default=0.0,
        text="Share of the calls, and of the requests by HTTP, that have a line in the log each.",
    ),
    option(
        "--traces",
        kind=click.Choice(["off", "otlp"]),
        default="off",
        text="Where traces go: otlp is a collector that speaks OTLP over gRPC. OpenTelemetry's own "
        "variables say which (OTEL_EXPORTER_OTLP_ENDPOINT), what is kept (OTEL_TRACES_SAMPLER) "
        "and what the service is called. Needs flatdense-server[otel].",
    ),
)


def with_settings(run: Callable[..., None]) -> click.Command:
    """Makes a command of a function that takes Settings and its own further parameters."""

    def collect(**values: Any) -> None:  # noqa: ANN401 -- whatever click parsed
        if values["workers"] is None:
            values["workers"] = count_workers(values["engine"], values["device"])
        names = {field.name for field in fields(Settings)}
        settings = Settings(**{name: values.pop(name) for name in names})
        check_tls(settings)
        check_traces(settings)
        run(settings, **values)

    collect.__doc__ = run.__doc__
    collect.__click_params__ = getattr(run, "__click_params__", [])  # type: ignore[attr-defined]
    command: Any = collect
    for add in reversed(OPTIONS):
        command = add(command)
    context = {"auto_envvar_prefix": PREFIX, "max_content_width": 100}
    return click.command(cls=Command, context_settings=context)(command)


class Command(click.Command):
    """Answers flags of other servers by what they are called here."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Raises click.UsageError where an argument cannot be meant."""
        arguments = list(args)  # click empties its list as it goes
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption:
            # Here: who knows the flags needs nothing of it.
            from flatdense_server.migration import explain_arguments  # noqa: PLC0415

            if explained := explain_arguments(arguments):
                raise click.UsageError(explained) from None
            raise


def check_tls(settings: Settings) -> None:
    """Raises click.UsageError where one of the files is there and another one missing."""
    cert, key = settings.tls_cert, settings.tls_key
    if (cert is None) != (key is None):
        given, missing = ("--tls-cert", "--tls-key") if cert else ("--tls-key", "--tls-cert")
        raise click.UsageError(f"{given} needs {missing}.")
    if settings.tls_client_ca and cert is None:
        raise click.UsageError("--tls-client-ca needs --tls-cert and --tls-key.")


def check_traces(settings: Settings) -> None:
    """Raises click.UsageError where there can be no traces."""
    if settings.traces == "off":
        return
    try:
        found = find_spec("opentelemetry.exporter.otlp.proto.grpc")
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise click.UsageError(
            "--traces otlp needs OpenTelemetry: pip install 'flatdense-server[otel]'."
        )
    for name in OTLP_PROTOCOLS:
        protocol = os.environ.get(name, "grpc")  # noqa: TID251 -- where OpenTelemetry has it
        if protocol != "grpc":
            raise click.UsageError(
                f"--traces otlp: {name} is {protocol!r}; traces are sent by grpc alone, to port "
                "4317 of most collectors."
            )


def count_workers(engine: "EngineName", device: "DeviceName") -> int:
    """As many as there are cores to use; one where a GPU does the work."""
    has_gpu = any(Path("/dev").glob("nvidia[0-9]*"))
    if device == "gpu" or (device == "auto" and engine == "jit" and has_gpu):
        return 1
    return usable_cpus()


def quieten_tensorflow() -> None:
    """Keeps TensorFlow's start-up lines out of the log. Before its import, or it is too late.

    What the operator set stays.
    """
    environment = os.environ  # noqa: TID251 -- TensorFlow is told in no other way
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # oneDNN announces itself at every level. XLA's code does not use it: the times are equal.
    environment.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def quieten_grpc() -> None:
    """Keeps a line for each handshake that fails out of the log: strangers could fill it.

    Before grpc's import, or it is too late. What the operator set stays.
    """
    environment = os.environ  # noqa: TID251 -- gRPC is told in no other way
    environment.setdefault("GRPC_VERBOSITY", "ERROR")


def choose_grpc_listener() -> None:
    """Lets gRPC's core read sockets on the threads that wait for calls, not on a pool of its own.

    Before grpc's import, or it is too late; docs/decisions/0006 has what it is worth. A release
    that does not know the experiment ignores its name. What the operator set stays.
    """
    environment = os.environ  # noqa: TID251 -- gRPC is told in no other way
    environment.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")

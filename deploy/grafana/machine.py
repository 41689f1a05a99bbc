"""The rows about what a service takes of its machine, and about whom it lets in."""

from collections.abc import Sequence
from typing import Final

from panels import WIDE, AnyPanel, Named, Steps, lines, listing, number
from queries import growth, rate

DAYS_LEFT: Final[Steps] = ((None, "red"), (3, "orange"), (21, "green"))
SCARCE: Final[Steps] = ((None, "green"), (0.8, "red"))

IN_USE: Final[Named] = {"0": ("refused", "red"), "1": ("in use", "green")}

OURS: Final = 'SERVER,process!=""'
"""Series of the service's own processes."""


def processes() -> Sequence[AnyPanel]:
    """What runs, and what it takes."""
    process = "{{instance}} {{process}}"
    return (
        lines(
            "Workers by server",
            "short",
            ("sum by (instance) (flatdense_workers{SERVER})", "{{instance}}"),
            about="Processes that take calls. Alert: FlatdenseNoWorkers.",
        ),
        lines(
            "Workers that ended",
            "short",
            (growth("flatdense_worker_restarts_total{SERVER}", "instance"), "{{instance}}"),
            about="Unasked; each was replaced. Alert: FlatdenseWorkersRestart.",
        ),
        lines(
            "Memory",
            "bytes",
            (f"process_resident_memory_bytes{{{OURS}}}", process),
            about="Resident; what processes share counts in each.",
        ),
        lines(
            "Processor",
            "percentunit",
            (f"rate(process_cpu_seconds_total{{{OURS}}}[RATE])", process),
            about="100 % is one core.",
        ),
        lines(
            "File descriptors",
            "percentunit",
            (f"process_open_fds{{{OURS}}} / process_max_fds", process),
            most=1,
            steps=SCARCE,
            about="Of those that the process may have. Each connection takes one. Alert: "
            "FlatdenseDescriptorsScarce.",
        ),
        lines(
            "Not written",
            "short",
            (
                growth("flatdense_log_lines_dropped_total{SERVER}", "instance"),
                "log lines {{instance}}",
            ),
            (
                growth("flatdense_trace_spans_dropped_total{SERVER}", "instance"),
                "spans {{instance}}",
            ),
            about="Whoever takes the log, or the traces, is slow or gone. Alerts: "
            "FlatdenseLogLinesDropped, FlatdenseSpansDropped.",
        ),
        listing(
            "What runs",
            "flatdense_build_info{SERVER}",
            width=WIDE,
            about="The versions of the server, of Python and of grpcio.",
        ),
    )


def security() -> Sequence[AnyPanel]:
    """Who is let in, and for how long."""
    return (
        number(
            "Certificate",
            "(min(flatdense_tls_certificate_expiry_timestamp_seconds{SERVER}) - time()) / 86400",
            "d",
            steps=DAYS_LEFT,
            width=4,
            about="How long it is valid; of several, the first to expire. Alert: "
            "FlatdenseCertificateExpires.",
        ),
        number(
            "Certificate's files",
            "min(flatdense_tls_certificate_valid{SERVER})",
            named=IN_USE,
            width=4,
            about="refused: they changed, and the ones before are in use. Alert: "
            "FlatdenseCertificateRefused.",
        ),
        number(
            "Token file",
            "min(flatdense_token_file_valid{SERVER})",
            named=IN_USE,
            width=4,
            about="The same. Alert: FlatdenseTokensRefused.",
        ),
        lines(
            "Turned away",
            "reqps",
            (
                rate(
                    'flatdense_rejected_total{SERVER,reason=~"unauthenticated|forbidden"}',
                    "instance, reason",
                ),
                "{{reason}} {{instance}}",
            ),
            width=12,
            about="Calls without a token that is known, or with one for something else. Alert: "
            "FlatdenseCallersTurnedAway.",
        ),
    )

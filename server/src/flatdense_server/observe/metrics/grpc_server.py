"""What go-grpc-prometheus would say, which common dashboards ask for: what is counted, completed.

A unary call has one message, and one answer where it ends well. So that the hot path counts once
what is there twice, these are added here.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from flatdense_server.observe.metrics.instruments import Writer

GRPC: Final = ("grpc_type", "grpc_service", "grpc_method")

UNARY: Final = "unary"
OK: Final = "OK"
NONE: Final = (0.0,)

Figures: TypeAlias = Mapping[tuple[str, ...], Sequence[float]]
"""Labels -> figures."""


class GrpcServerMetrics:
    """What is counted; the labels of each begin with `labels_of()`."""

    def __init__(self, write: Writer, buckets_s: Sequence[float]) -> None:
        self.started = write.counter(
            "grpc_server_started",
            "RPCs that began. This and the other grpc_server_ metrics are those that "
            "go-grpc-prometheus has.",
            GRPC,
        )
        self.received = write.counter(
            "grpc_server_msg_received", "Messages of RPCs that were received.", GRPC
        )
        self.sent = write.counter("grpc_server_msg_sent", "Messages of RPCs that were sent.", GRPC)
        self.handled = write.counter(
            "grpc_server_handled",
            "RPCs that ended, by gRPC status code, whichever version answered.",
            (*GRPC, "grpc_code"),
        )
        self.handling_s = write.histogram(
            "grpc_server_handling_seconds",
            "From the arrival of an RPC to its end, whichever version answered.",
            GRPC,
            buckets=buckets_s,
        )


def labels_of(method: str, kind: str) -> tuple[str, str, str]:
    """Of `package.Service/Method`, which is `unary` or `bidi_stream`."""
    service, _, name = method.rpartition("/")
    return kind, service, name


def complete(figures: Mapping[str, Figures]) -> Mapping[str, Figures]:
    """All figures, with what follows for unary calls from those that were counted."""
    started, received, sent, handled = (
        figures.get(f"grpc_server_{name}", {})
        for name in ("started", "msg_received", "msg_sent", "handled")
    )
    began = {labels: count for labels, count in received.items() if labels[0] == UNARY}
    answered = {
        (kind, *method): count
        for (kind, *method, code), count in handled.items()
        if (kind, code) == (UNARY, OK)
    }
    return {
        **figures,
        "grpc_server_started": add(started, began),
        "grpc_server_msg_sent": add(sent, answered),
    }


def add(one: Figures, other: Figures) -> Figures:
    """Counters, series by series."""
    return {
        labels: [one.get(labels, NONE)[0] + other.get(labels, NONE)[0]]
        for labels in {**one, **other}
    }

"""What access log and traces cost, beside neither, in turns: `python bench/traces.py`.

The collector takes what it gets and keeps nothing; it runs in this process. Writes
bench/results/traces.json, with the machine's description, and the table of docs/decisions/.
"""

import argparse
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import grpc
from bounds import read_threads_s
from flatdense_proto.v1 import classifier_pb2 as pb
from load import Request, calls_per_second, check_tool
from machine import describe_machine
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as services
from report import TRACES, TRACES_PAGE, publish, render_traces

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "examples"))

from server_process import ServerProcess  # noqa: E402 -- after the path that it is on

ROUNDS = 7

CASES = {
    "1 row, 64 in flight": (Request(1, pb.DATA_TYPE_UINT8), 64, 20_000),
    "64 rows uint8, 8 in flight": (Request(64, pb.DATA_TYPE_UINT8), 8, 4000),
}


class Collector(services.TraceServiceServicer):
    """Counts spans by their names."""

    def __init__(self) -> None:
        self.spans: Counter[str] = Counter()
        self._server = grpc.server(ThreadPoolExecutor(1))
        services.add_TraceServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def Export(  # noqa: N802 -- OpenTelemetry's name
        self, request: otlp.ExportTraceServiceRequest, _context: grpc.ServicerContext
    ) -> otlp.ExportTraceServiceResponse:
        """Takes spans."""
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.spans.update(span.name for span in scope.spans)
        return otlp.ExportTraceServiceResponse()


def traced(share: float, port: int) -> tuple[tuple[str, ...], dict[str, str]]:
    """The options and variables of a server that keeps this share of its traces."""
    return ("--traces", "otlp"), {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": str(share),
    }


def read_worker_s(server: ServerProcess) -> float:
    """The processor time of the worker so far, which others on the machine do not change much."""
    return sum(read_threads_s(server.worker_pids).values())


def main() -> None:
    """Measures, writes, prints."""
    check_tool()
    collector = Collector()
    nothing: dict[str, str] = {}
    variants = {
        "neither": ((), nothing),
        "access log, 1 % of the calls": (("--access-log-sample", "0.01"), nothing),
        "access log, all calls": (("--access-log-sample", "1"), nothing),
        "traces, 1 %": traced(0.01, collector.port),
        "traces, all": traced(1, collector.port),
    }
    figures: dict[str, dict[str, dict[str, list[float]]]] = {
        case: {name: {"calls_a_second": [], "worker_us": []} for name in variants} for case in CASES
    }
    with ExitStack() as stack:
        servers = {}
        for name, (options, variables) in variants.items():
            model = ("--model-dir", str(HERE.parent / "exported_model"), "--workers", "1")
            server = ServerProcess(*model, *options, variables=variables)
            servers[name] = stack.enter_context(server)
            servers[name].ready()
        for number in range(ROUNDS + 1):  # the first is not counted
            for case, (request, in_flight, calls) in CASES.items():
                for name, server in servers.items():
                    before_s = read_worker_s(server)
                    rate = calls_per_second(
                        server.address, request, in_flight=in_flight, calls=calls
                    )
                    spent_s = read_worker_s(server) - before_s
                    if number:
                        figures[case][name]["calls_a_second"].append(rate)
                        figures[case][name]["worker_us"].append(1e6 * spent_s / calls)
    results = {
        "machine": describe_machine(),
        "figures": figures,
        "spans": dict(collector.spans.most_common()),
    }
    section = render_traces(results)
    publish(results, TRACES, TRACES_PAGE, section)
    print(section)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()

"""A worker's gRPC server, and what the HTTP routes know of it."""

from collections.abc import Iterator

import pytest
from flatdense_server.batching.queue import QueueLimits
from flatdense_server.edge.server import EdgeOptions, GrpcServer
from flatdense_server.http.backend import Backend
from flatdense_server.models.registry import Registry
from flatdense_server.observe.metrics import Metrics


@pytest.fixture
def backend(registry: Registry, metrics: Metrics) -> Iterator[Backend]:
    """The one worker of the registry."""
    options = EdgeOptions(
        host="127.0.0.1",
        port=0,
        max_request_rows=32,
        max_inflight=4,
        max_streams=1,
        reflection=False,
        lane="standard",
        queue=QueueLimits(max_rows=64, max_tasks=64),
        max_batch_rows=8,
        batch_wait_s=0,
    )
    server = GrpcServer(options, registry=registry, metrics=metrics)
    server.start()
    with Backend("mnist", lambda: [f"127.0.0.1:{server.port}"]) as backend:
        yield backend
    server.stop(0)

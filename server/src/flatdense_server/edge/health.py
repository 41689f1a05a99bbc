"""grpc.health.v1: whether the server, each service and each model would take a call."""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

import grpc
from grpc_health.v1 import health, health_pb2

CHECK_THREADS: Final = 2
"""Of its own, so that a probe is answered however busy the server is."""


class Health:
    """The state of every name, and the service that tells it.

    Thread-safe. Everything is NOT_SERVING until set_serving() says otherwise, and after drain() for
    good.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = ("", *names)
        self._pool = ThreadPoolExecutor(CHECK_THREADS, thread_name_prefix="health")
        self._servicer = health.HealthServicer(experimental_non_blocking=True)
        self.set_serving(serving=False)

    def set_serving(self, *, serving: bool) -> None:
        """Every name is SERVING, or NOT_SERVING. Not heard after drain()."""
        states = health_pb2.HealthCheckResponse
        status = states.SERVING if serving else states.NOT_SERVING
        for name in self._names:
            self._servicer.set(name, status)

    def drain(self) -> None:
        """Every name is NOT_SERVING and stays so."""
        self._servicer.enter_graceful_shutdown()

    def register(self, server: grpc.Server) -> None:
        """Adds the service to a server."""
        servicer = self._servicer

        def check(
            request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext
        ) -> health_pb2.HealthCheckResponse:
            return servicer.Check(request, context)

        check.experimental_thread_pool = self._pool  # type: ignore[attr-defined]
        handlers = {
            "Check": grpc.unary_unary_rpc_method_handler(
                check,
                health_pb2.HealthCheckRequest.FromString,
                health_pb2.HealthCheckResponse.SerializeToString,
            ),
            "Watch": grpc.unary_stream_rpc_method_handler(
                servicer.Watch,
                health_pb2.HealthCheckRequest.FromString,
                health_pb2.HealthCheckResponse.SerializeToString,
            ),
        }
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(health.SERVICE_NAME, handlers),)
        )

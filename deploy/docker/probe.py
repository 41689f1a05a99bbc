#!/opt/flatdense/bin/python
"""The container's health check: exits with 0 where the server would take a call, else with 1.

It asks gRPC's own health service, on the server's address inside the container. Where the server
was told to keep a port for probes, as with TLS, it asks that one.
"""

import os
import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException

TIMEOUT_S = 3.0

EVERYTHING = b""
"""A HealthCheckRequest of the service as a whole."""

SERVING = b"\x08\x01"
"""The HealthCheckResponse, as it travels: protobuf need not be loaded for two bytes."""


NO_PROXY = (("grpc.enable_http_proxy", 0),)
"""The server is in this container, whatever its variables say about others."""


def is_ready(variables: Mapping[str, str]) -> bool:
    """What the server says; False where nothing answers in time."""
    told = variables.get("FLATDENSE_HOST", "0.0.0.0")  # noqa: S104 -- compared, not bound
    host = "127.0.0.1" if told == "0.0.0.0" else told  # noqa: S104
    port = variables.get("FLATDENSE_PLAINTEXT_HEALTH_PORT")
    if port:
        return answers_http(variables.get("FLATDENSE_HTTP_HOST", host), int(port))
    return answers_grpc(f"{host}:{variables.get('FLATDENSE_GRPC_PORT', '8500')}")


def answers_http(host: str, port: int) -> bool:
    """Whether /readyz is there with 200."""
    connection = HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200  # noqa: PLR2004 -- OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def answers_grpc(address: str) -> bool:
    """Whether grpc.health.v1 says SERVING."""
    import grpc  # noqa: PLC0415 -- the other way does without it

    with grpc.insecure_channel(address, NO_PROXY) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            return bool(check(EVERYTHING, timeout=TIMEOUT_S) == SERVING)
        except grpc.RpcError:
            return False


if __name__ == "__main__":
    sys.exit(not is_ready(os.environ))  # noqa: TID251 -- the container's

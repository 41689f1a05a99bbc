"""How the client connects: the address, the retries, the limits. Nothing here does I/O."""

import json
import re

from flatdense_client._errors import InvalidInput
from flatdense_client._messages import MAX_MESSAGE_BYTES

_MAX_PORT = 65_535
_LOOPBACK = re.compile(r"(localhost|127\.[\d.]+|\[::1\]):")

_SERVICE_CONFIG = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [
            {
                "name": [{}],
                # Classifying changes nothing, so that a call which was cut off may be sent again.
                "retryPolicy": {
                    "maxAttempts": 3,
                    "initialBackoff": "0.1s",
                    "maxBackoff": "0.5s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            },
        ],
        # Retries stop while most calls fail, so that they cannot hold a sick server down.
        "retryThrottling": {"maxTokens": 20, "tokenRatio": 0.5},
    }
)


def check_address(address: str) -> str:
    """Gives a gRPC target back as it is.

    Raises InvalidInput: it is neither `host:port` nor a target with a gRPC scheme such as
    `dns:///host:port`.
    """
    if re.match(r"(dns|ipv4|ipv6|unix|unix-abstract|xds):", address):
        return address
    match = re.fullmatch(r"([^\s:/]+|\[[0-9a-fA-F:.%]+\]):(\d+)", address)
    if match and 0 < int(match[2]) <= _MAX_PORT:
        return address
    msg = f"{address!r} is no address: expected host:port, such as localhost:8500"
    raise InvalidInput(msg)


def channel_options(address: str) -> list[tuple[str, str | int]]:
    """The channel arguments for an address."""
    options: list[tuple[str, str | int]] = [
        ("grpc.service_config", _SERVICE_CONFIG),
        # Whole messages must fit, or gRPC gives up retrying them.
        ("grpc.per_rpc_retry_buffer_size", MAX_MESSAGE_BYTES),
        # The rows that were sent bound what comes back.
        ("grpc.max_receive_message_length", -1),
        # A host that never answers is given up after 5 s, half the default deadline, so that the
        # error can say so.
        ("grpc.min_reconnect_backoff_ms", 5_000),
        # A connection that is cut while it is made, as by a worker that dies, is made anew before
        # the retries of a call are used up: they come after 0.1 s and 0.3 s. A server that comes
        # back is found within seconds; gRPC's default goes up to two minutes.
        ("grpc.initial_reconnect_backoff_ms", 50),
        ("grpc.max_reconnect_backoff_ms", 5_000),
    ]
    if _LOOPBACK.match(address):
        options.append(("grpc.enable_http_proxy", 0))  # no proxy reaches this machine's own ports
    return options

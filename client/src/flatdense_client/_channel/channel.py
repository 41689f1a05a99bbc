"""How the client connects: balancing, retries, keepalive, encryption, and what calls carry."""

import json
from collections.abc import Callable, Sequence
from typing import Any, cast

import grpc
import grpc.aio

from flatdense_client._channel.addresses import Destination, read_destination
from flatdense_client._channel.async_hedged import AsyncHedgedMethod
from flatdense_client._channel.hedged import HedgedMethod
from flatdense_client._channel.hedging import Budget, Hedging
from flatdense_client._channel.tls import Tls, channel_credentials
from flatdense_client._channel.token import Bearer, Token
from flatdense_client._core.messages import MAX_MESSAGE_BYTES
from flatdense_client._core.status import Security

SERVICE = "flatdense.v1.Classifier"

HEALTH_METHOD = "/grpc.health.v1.Health/Check"

HEDGED_METHODS = frozenset({f"/{SERVICE}/Classify", f"/{SERVICE}/Explain"})

KEEPALIVE_S = 20.0
"""After so long a silence of a server that owes an answer, it is pinged.

Twice what flatdense's server allows. A stock gRPC server wants 5 minutes, and ends the connection
at the fourth ping of one silence, which comes after 160 s: later than the deadline of any usual
call. Where no call is under way nothing is pinged, as a stock server would not have it: there the
next call finds out.
"""

KEEPALIVE_TIMEOUT_S = 5.0
"""How long a server may take to acknowledge a ping and, on Linux, any byte that was sent.

Half the default deadline: a call on a connection that had died is tried again on another.
"""

REPLICA_KEEPALIVE_S = 2.0
REPLICA_KEEPALIVE_TIMEOUT_S = 3.0
"""The same where there are several servers, so that another one answers within the deadline.

Together half of the default deadline: that is how long a server that stands still, or to which the
way is cut, keeps a call. The watch over its health is a call that is always under way. Two pings of
one silence come at this pace and the next ones a minute apart, which is gRPC's own default: so a
stock server has the fourth after two minutes.
"""

RETRY_TOKENS = 1000
"""The most that gRPC takes. Half of them are for the calls that one lost connection had at a time.
"""

DNS_PAUSE_S = 5.0
"""Between two look-ups of a name, which follow when a connection ends. gRPC's default is 30 s."""

Interceptor = (
    grpc.UnaryUnaryClientInterceptor
    | grpc.UnaryStreamClientInterceptor
    | grpc.StreamUnaryClientInterceptor
    | grpc.StreamStreamClientInterceptor
)
AsyncInterceptor = (
    grpc.aio.UnaryUnaryClientInterceptor
    | grpc.aio.UnaryStreamClientInterceptor
    | grpc.aio.StreamUnaryClientInterceptor
    | grpc.aio.StreamStreamClientInterceptor
)

_Method = Any
"""gRPC's own, of either API, or one that stands for it."""


class Connector:
    """Where a client connects to and how. Connects nothing by itself.

    Raises InvalidInput: an address is none, or a file of `tls` cannot be used. Raises ValueError:
    the token would travel in the clear, or cannot be one; or it is open which name the certificates
    of several hosts have. Raises TypeError: `tls` is something else.
    """

    def __init__(
        self,
        address: str | Sequence[str],
        *,
        tls: bool | Tls = False,
        token: Token | None = None,
        hedging: Hedging | None = None,
    ) -> None:
        self._destination = read_destination(address)
        self._tls = _read_tls(tls)
        self._credentials = None if self._tls is None else channel_credentials(self._tls)
        self._options = channel_options(self._destination, self._tls)
        self._bearer = None if token is None else Bearer(token)
        self._hedging = hedging
        if token is not None and self._tls is None and not self._destination.is_here:
            msg = (
                f"a token must not travel to {self.address} in the clear: turn TLS on, or leave "
                "the token out"
            )
            raise ValueError(msg)

    @property
    def address(self) -> str:
        """What the caller said."""
        return self._destination.text

    @property
    def security(self) -> Security:
        """What connections are."""
        if self._tls is None:
            return "plain"
        return "tls" if self._tls.certificate is None else "mutual"

    def open(self, interceptors: Sequence[Interceptor]) -> grpc.Channel:
        """A channel that connects with its first call."""
        target, credentials, options = self._destination.target, self._credentials, self._options
        channel = (
            grpc.insecure_channel(target, options)
            if credentials is None
            else grpc.secure_channel(target, credentials, options)
        )
        if interceptors:
            channel = grpc.intercept_channel(channel, *interceptors)
        return cast("grpc.Channel", self._equip(channel, HedgedMethod))

    def open_async(
        self,
        interceptors: Sequence[AsyncInterceptor] = (),
        more_options: Sequence[tuple[str, str | int]] = (),
    ) -> grpc.aio.Channel:
        """A channel of this event loop that connects with its first call."""
        target, credentials = self._destination.target, self._credentials
        options = [*self._options, *more_options]
        channel = (
            grpc.aio.insecure_channel(target, options, interceptors=interceptors)
            if credentials is None
            else grpc.aio.secure_channel(target, credentials, options, interceptors=interceptors)
        )
        return cast("grpc.aio.Channel", self._equip(channel, AsyncHedgedMethod))

    def _equip(
        self, channel: object, hedge: Callable[[_Method, Hedging, Budget], _Method]
    ) -> object:
        bearer, hedging = self._bearer, self._hedging
        if bearer is not None:
            channel = _Equipped(channel, lambda _path, method: bearer.sign(method))
        if hedging is not None:
            budget = Budget(hedging.max_share)
            channel = _Equipped(
                channel,
                lambda path, method: (
                    hedge(method, hedging, budget) if path in HEDGED_METHODS else method
                ),
            )
        return channel


class _Equipped:
    """A channel of either API that gives its methods with something added."""

    def __init__(self, channel: Any, equip: Callable[[str, _Method], _Method]) -> None:  # noqa: ANN401  # of either API
        self._channel = channel
        self._equip = equip

    def unary_unary(self, method: str, *args: object, **kwargs: object) -> _Method:
        return self._equip(method, self._channel.unary_unary(method, *args, **kwargs))

    def stream_stream(self, method: str, *args: object, **kwargs: object) -> _Method:
        return self._equip(method, self._channel.stream_stream(method, *args, **kwargs))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # all else is the channel's own
        return getattr(self._channel, name)


def check_interceptors(interceptors: Sequence[Interceptor]) -> Sequence[Interceptor]:
    """Gives what `grpc.intercept_channel` takes back as it is. Raises TypeError: one is none."""
    for each in interceptors:
        if not _is_one(each, Interceptor):
            hint = "; this one is for AsyncClient" if _is_one(each, AsyncInterceptor) else ""
            msg = f"{each!r} is no interceptor for Client: expected a grpc.*ClientInterceptor{hint}"
            raise TypeError(msg)
    return interceptors


def check_async_interceptors(
    interceptors: Sequence[AsyncInterceptor],
) -> Sequence[AsyncInterceptor]:
    """Gives what `grpc.aio` takes back as it is. Raises TypeError: one is none."""
    for each in interceptors:
        if not _is_one(each, AsyncInterceptor):
            hint = "; this one is for Client" if _is_one(each, Interceptor) else ""
            msg = (
                f"{each!r} is no interceptor for AsyncClient: expected a "
                f"grpc.aio.*ClientInterceptor{hint}"
            )
            raise TypeError(msg)
    return interceptors


def _is_one(interceptor: object, kinds: Any) -> bool:  # noqa: ANN401  # a union has no type
    return isinstance(interceptor, kinds)


def _read_tls(tls: object) -> Tls | None:
    if isinstance(tls, Tls):
        return tls
    if isinstance(tls, bool):
        return Tls() if tls else None
    msg = f"tls is {tls!r}; expected True, False or Tls(...)"
    raise TypeError(msg)


def channel_options(destination: Destination, tls: Tls | None) -> list[tuple[str, str | int]]:
    """The channel arguments. Raises ValueError: several hosts, and no one name for TLS."""
    keepalive_s, keepalive_timeout_s = (
        (REPLICA_KEEPALIVE_S, REPLICA_KEEPALIVE_TIMEOUT_S)
        if destination.is_replicated
        else (KEEPALIVE_S, KEEPALIVE_TIMEOUT_S)
    )
    options: list[tuple[str, str | int]] = [
        ("grpc.service_config", _service_config(destination)),
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
        ("grpc.dns_min_time_between_resolutions_ms", round(DNS_PAUSE_S * 1000)),
        ("grpc.keepalive_time_ms", round(keepalive_s * 1000)),
        ("grpc.keepalive_timeout_ms", round(keepalive_timeout_s * 1000)),
        # What gRPC in fact obeys for pings; without it a minute. The other one is that of bytes.
        ("grpc.http2.ping_timeout_ms", round(keepalive_timeout_s * 1000)),
        ("grpc.keepalive_permit_without_calls", 0),
        # Pings that measure the line would be timed too, behind an upload that fills it. They are
        # for big answers, which there are none of.
        ("grpc.http2.bdp_probe", 0),
    ]
    if destination.is_here:
        options.append(("grpc.enable_http_proxy", 0))  # no proxy reaches this machine's own ports
    if destination.hosts:
        options.append(("grpc.default_authority", destination.hosts[0]))
    if tls is not None and (tls.server_name or destination.hosts):
        name = tls.server_name or _one_name(destination)
        options.append(("grpc.ssl_target_name_override", name))
    return options


def _one_name(destination: Destination) -> str:
    if len(destination.hosts) == 1:
        return destination.hosts[0]
    msg = (
        f"{destination.text} are several hosts: name in Tls(server_name=...) one that the "
        "certificates of all of them have"
    )
    raise ValueError(msg)


def _service_config(destination: Destination) -> str:
    config: dict[str, object] = {
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
        "retryThrottling": {"maxTokens": RETRY_TOKENS, "tokenRatio": 1},
    }
    if destination.is_replicated:
        # Each server says whether it takes calls. One alone says more in its answer to a call.
        config["healthCheckConfig"] = {"serviceName": SERVICE}
    return json.dumps(config)

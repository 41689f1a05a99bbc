"""Where the servers are: what the caller says, and the one gRPC target that it makes."""

import re
import socket
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flatdense_client._errors import InvalidInput

_MAX_PORT = 65_535
_SCHEME = re.compile(r"(dns|ipv4|ipv6|unix|unix-abstract|xds):")
_HOST_PORT = re.compile(r"([^\s:/,]+|\[[0-9a-fA-F:.]+\]):(\d+)")
_HERE = re.compile(r"(localhost|127(\.\d+){1,3}|\[::1\]):\d+")


@dataclass(frozen=True, kw_only=True)
class Destination:
    """One server, or several that serve the same."""

    text: str
    """What the caller said, for messages."""
    target: str
    """What gRPC is told."""
    is_replicated: bool
    """Whether there may be several servers to choose among."""
    is_here: bool
    """Whether all of it is on this machine."""
    hosts: tuple[str, ...]
    """Who the servers are; empty where gRPC takes that from the target."""


def read_destination(address: str | Sequence[str]) -> Destination:
    """Reads one address, or several: a sequence, or one text with commas between them.

    Host names among several are looked up here, once: gRPC itself takes one name alone. Names that
    are not known are left out, with a RuntimeWarning, unless no other is known either: then a call
    will say so.

    Raises InvalidInput: an address is none, or a gRPC target stands among several.
    """
    if not hasattr(address, "__iter__"):
        return _read_one(address)
    addresses = tuple(dict.fromkeys(split(address) if isinstance(address, str) else address))
    if not addresses:
        msg = "no address was given: expected host:port, such as localhost:8500"
        raise InvalidInput(msg)
    for each in addresses:
        check_address(each)
        if len(addresses) > 1 and _SCHEME.match(each):
            msg = f"{each!r} is one of several addresses: each of these is host:port"
            raise InvalidInput(msg)
    return _read_one(addresses[0]) if len(addresses) == 1 else _read_several(addresses)


def split(addresses: str) -> list[str]:
    """The addresses between the commas of a text; a target with a gRPC scheme is one."""
    return [addresses] if _SCHEME.match(addresses) else addresses.split(",")


def check_address(address: object) -> str:
    """Gives a gRPC target back as it is.

    Raises InvalidInput: it is neither `host:port` nor a target with a gRPC scheme such as
    `dns:///host:port`.
    """
    if isinstance(address, str):
        if _SCHEME.match(address):
            return address
        match = _HOST_PORT.fullmatch(address)
        if match and 0 < int(match[2]) <= _MAX_PORT:
            return address
    msg = f"{address!r} is no address: expected host:port, such as localhost:8500"
    raise InvalidInput(msg)


def _read_one(address: object) -> Destination:
    address = check_address(address)
    is_list = re.match(r"(ipv4|ipv6):.*,", address) is not None
    return Destination(
        text=address,
        target=address,
        is_replicated=is_list or address.startswith("dns:"),
        is_here=_is_here(address),
        hosts=(),
    )


def _read_several(addresses: Sequence[str]) -> Destination:
    found = list(dict.fromkeys(ip for address in addresses for ip in _look_up(address)))
    return Destination(
        text=", ".join(addresses),
        target=_join(found) if found else addresses[0],
        is_replicated=True,
        is_here=all(map(_is_here, addresses)),
        hosts=tuple(dict.fromkeys(map(_host, addresses))),
    )


def _look_up(address: str) -> list[tuple[str, int]]:
    """The IP addresses and ports that an address means; none where the name is not known."""
    port = int(address.rpartition(":")[2])
    try:
        infos = socket.getaddrinfo(_host(address), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        told = f"the host name of {address} is not known: this client does without it"
        warnings.warn(told, RuntimeWarning, stacklevel=2)
        return []
    return [(str(info[4][0]), int(info[4][1])) for info in infos]


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def _join(found: Iterable[tuple[str, int]]) -> str:
    """A target of one family for both: IPv4 has a place of its own within IPv6."""
    mapped = [f"[{ip if ':' in ip else f'::ffff:{ip}'}]:{port}" for ip, port in found]
    return f"ipv6:{','.join(mapped)}"


def _is_here(address: str) -> bool:
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    bare = re.sub(r"^(dns:(///)?|ipv4:|ipv6:)", "", address)
    return all(_HERE.fullmatch(each) for each in bare.split(","))

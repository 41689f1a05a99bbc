"""Listening sockets, and why one could not be had."""

import errno
import socket
from ipaddress import ip_address


class PortUnavailable(Exception):
    """An address cannot be listened on. The message says why and what to do."""


def listen(use: str, host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 picks a free one. Raises PortUnavailable.

    `use` is grpc, http or plaintext-health: it names the option to change.
    """
    listener = socket.socket(family_of(host), socket.SOCK_STREAM)
    try:
        # So that a restart need not wait for old connections; it does not share a port in use.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise PortUnavailable(describe(use, host, port, error)) from error
    return listener


def reserve(use: str, host: str, port: int) -> socket.socket:
    """A bound TCP socket that others may share the port of, by SO_REUSEPORT; 0 picks a free one.

    Raises PortUnavailable where somebody has it already, even to share.
    """
    if port:
        check_port(use, host, port)
    holder = socket.socket(family_of(host), socket.SOCK_STREAM)
    try:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind((host, port))
    except OSError as error:
        holder.close()
        raise PortUnavailable(describe(use, host, port, error)) from error
    return holder


def check_port(use: str, host: str, port: int) -> None:
    """Raises PortUnavailable where listen() would: for servers that bind without saying why not."""
    listen(use, host, port).close()


def family_of(host: str) -> socket.AddressFamily:
    """IPv6 where the address is one."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def is_loopback(host: str) -> bool:
    """Whether what is sent to this address stays on the machine. Of a name, only if it must."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def describe(use: str, host: str, port: int, error: OSError) -> str:
    """What is wrong with the address, and what to do."""
    option = f"--{use}-port"
    if error.errno == errno.EADDRINUSE:
        return (
            f"{host}:{port} is in use by another process. Stop it, or choose another port with "
            f"{option} (FLATDENSE_{use.upper().replace('-', '_')}_PORT); 0 picks a free one."
        )
    if error.errno == errno.EACCES:
        return f"{host}:{port} needs more rights. Choose a port above 1023 with {option}."
    reason = error.strerror or str(error)
    hosts = "--host" if use == "grpc" else "--http-host, --host"
    return f"cannot listen on {host}:{port}: {reason}. Check {hosts} and {option}."

"""Listening sockets, and the sentence that says why one could not be had."""

import errno
import socket

import pytest
from flatdense_server.listen import (
    PortUnavailable,
    check_port,
    describe,
    is_loopback,
    listen,
    reserve,
)


def test_port_0_picks_a_free_one() -> None:
    """The socket listens where it says."""
    with listen("http", "127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()


@pytest.mark.parametrize("use", ["grpc", "http"])
def test_a_port_in_use_names_the_option_and_its_variable(use: str) -> None:
    """The message has the address, the flag, the variable, and the way to any free port."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortUnavailable) as caught:
            check_port(use, "127.0.0.1", port)
    assert str(caught.value) == (
        f"127.0.0.1:{port} is in use by another process. Stop it, or choose another port with "
        f"--{use}-port (FLATDENSE_{use.upper()}_PORT); 0 picks a free one."
    )


def test_check_port_leaves_the_port_free() -> None:
    """After the check another socket can have the port."""
    with listen("http", "127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    check_port("http", "127.0.0.1", port)
    listen("http", "127.0.0.1", port).close()


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "a..b"])
def test_an_address_that_is_not_ours_is_a_sentence(host: str) -> None:
    """An address of another machine, or of none, names the options to look at."""
    with pytest.raises(PortUnavailable) as caught:
        listen("grpc", host, 0)
    assert str(caught.value).startswith(f"cannot listen on {host}:0: ")
    assert str(caught.value).endswith("Check --host and --grpc-port.")


def test_a_privileged_port_is_a_sentence() -> None:
    """Where the system denies a low port the message says which ports need no rights."""
    message = describe("http", "0.0.0.0", 80, PermissionError(errno.EACCES, "Permission denied"))
    assert message == "0.0.0.0:80 needs more rights. Choose a port above 1023 with --http-port."


def test_ipv6_is_understood() -> None:
    """An address with colons is IPv6."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with listen("http", "::1", 0) as listener:
        assert listener.family == socket.AF_INET6


def test_a_reserved_port_is_for_those_who_share_it() -> None:
    """Listeners that share it may come and go; one that does not, and a second service, may not."""
    with reserve("grpc", "127.0.0.1", 0) as holder:
        port = holder.getsockname()[1]
        for _ in range(2):
            with socket.create_server(("127.0.0.1", port), reuse_port=True):
                socket.create_connection(("127.0.0.1", port)).close()
        for other in (listen, reserve):
            with pytest.raises(PortUnavailable, match="in use"):
                other("grpc", "127.0.0.1", port)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


@pytest.mark.parametrize(
    ("host", "stays"),
    [
        *((host, True) for host in ("127.0.0.1", "127.8.9.10", "::1", "localhost")),
        *((host, False) for host in ("0.0.0.0", "::", "10.0.0.1", "digits.example", "")),
    ],
)
def test_only_loopback_stays_on_the_machine(host: str, *, stays: bool) -> None:
    """Of a name that may mean anything, it is not assumed."""
    assert is_loopback(host) == stays

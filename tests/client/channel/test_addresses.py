"""Which addresses there are, and what several of them make."""

import socket

import pytest
from flatdense_client import AsyncClient, Client, InvalidInput
from flatdense_client._channel.addresses import check_address, read_destination


@pytest.mark.parametrize(
    "address",
    [
        "localhost:8500",
        "127.0.0.1:1",
        "[::1]:8500",
        "dns:///model.example:8500",
        "unix:/run/f.sock",
    ],
)
def test_addresses(address: str) -> None:
    """host:port and gRPC's own schemes are addresses, and gRPC is told them as they are."""
    assert check_address(address) == address
    for one in (address, [address], (address, address)):
        assert read_destination(one).target == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "localhost",
        "http://localhost:8500",
        "localhost:http",
        "localhost:0",
        "localhost:65536",
        ":8500",
        "a b:8500",
        "::1:8500",
        "a:1,",
        ",",
        "a:1,,b:2",
        None,
        8500,
    ],
)
def test_what_is_no_address(address: str) -> None:
    """Anything else is refused at once, alone or among others, with an example."""
    for kind in (Client, AsyncClient):
        for given in (address, ["localhost:8500", address]):
            with pytest.raises(InvalidInput, match="expected host:port, such as localhost:8500"):
                kind(given)


def test_no_address_at_all() -> None:
    """An empty sequence is refused."""
    with pytest.raises(InvalidInput, match="no address was given"):
        Client([])


def test_a_target_stands_alone() -> None:
    """A scheme of gRPC's is not mixed with other addresses."""
    with pytest.raises(InvalidInput, match="'dns:///a:1' is one of several addresses"):
        Client(["127.0.0.1:1", "dns:///a:1"])


def test_several_addresses_of_both_families_are_one_target() -> None:
    """Each address is in the target once, IPv4 in its place within IPv6, in the caller's order."""
    destination = read_destination(["10.0.0.2:1", "[2001:db8::1]:2", "10.0.0.1:3", "10.0.0.2:1"])
    assert destination.target == "ipv6:[::ffff:10.0.0.2]:1,[2001:db8::1]:2,[::ffff:10.0.0.1]:3"
    assert destination.text == "10.0.0.2:1, [2001:db8::1]:2, 10.0.0.1:3"
    assert destination.is_replicated
    assert not destination.is_here


def test_names_among_several_addresses_are_looked_up() -> None:
    """A host name stands for all that it means."""
    found = {info[4][0] for info in socket.getaddrinfo("localhost", 1, type=socket.SOCK_STREAM)}
    destination = read_destination(["localhost:1", "127.0.0.9:2"])
    for ip in found:
        assert f"[{ip if ':' in str(ip) else f'::ffff:{ip}'}]:1" in destination.target
    assert destination.target.endswith("[::ffff:127.0.0.9]:2")
    assert destination.is_here


def test_a_list_may_be_one_text() -> None:
    """Commas stand between addresses, but within a target of gRPC's."""
    listed = ["10.0.0.1:1", "[2001:db8::1]:2"]
    assert read_destination(",".join(listed)) == read_destination(listed)
    assert read_destination("ipv4:10.0.0.1:1,10.0.0.2:1").target == "ipv4:10.0.0.1:1,10.0.0.2:1"
    with pytest.raises(InvalidInput, match="'dns:///b:1' is one of several addresses"):
        read_destination("a:1,dns:///b:1")


def test_an_unknown_name_is_left_out_and_told() -> None:
    """One name that is not known stops nobody from using the others."""
    with pytest.warns(RuntimeWarning, match=r"no-such-host\.invalid:1 is not known"):
        destination = read_destination(["no-such-host.invalid:1", "10.0.0.1:2"])
    assert destination.target == "ipv6:[::ffff:10.0.0.1]:2"


@pytest.mark.parametrize(
    ("address", "is_here"),
    [
        ("localhost:8500", True),
        ("127.0.0.9:1", True),
        ("[::1]:1", True),
        ("unix:/run/f.sock", True),
        ("dns:///localhost:1", True),
        ("ipv4:127.0.0.1:1,127.0.0.2:1", True),
        ("ipv6:[::1]:1", True),
        ("ipv4:127.0.0.1:1,10.0.0.1:1", False),
        ("localhost.example:1", False),
        ("127.0.0.1.example:1", False),
        ("dns://10.0.0.1/localhost:1", False),
        ("[::2]:1", False),
    ],
)
def test_what_is_on_this_machine(address: str, is_here: bool) -> None:
    """Loopback and sockets in files are here, and nothing that only looks like them."""
    assert read_destination(address).is_here is is_here


@pytest.mark.parametrize(
    ("address", "is_replicated"),
    [
        ("localhost:1", False),
        ("unix:/run/f.sock", False),
        ("ipv4:10.0.0.1:1", False),
        ("ipv4:10.0.0.1:1,10.0.0.2:1", True),
        ("dns:///model.example:1", True),
    ],
)
def test_what_may_be_several_servers(address: str, is_replicated: bool) -> None:
    """A list, or a name that is asked to be resolved, may be several servers."""
    assert read_destination(address).is_replicated is is_replicated

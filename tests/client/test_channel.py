"""Which addresses there are."""

import pytest
from flatdense_client import Client, InvalidInput
from flatdense_client._channel import channel_options, check_address


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
    """host:port and gRPC's own schemes are addresses."""
    assert check_address(address) == address


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
    ],
)
def test_what_is_no_address(address: str) -> None:
    """Anything else is refused at once, with an example of what was expected."""
    with pytest.raises(InvalidInput, match="expected host:port, such as localhost:8500"):
        Client(address)


@pytest.mark.parametrize(
    ("address", "is_direct"),
    [
        ("localhost:8500", True),
        ("127.0.0.9:1", True),
        ("[::1]:1", True),
        ("localhost.example:1", False),
    ],
)
def test_no_proxy_for_this_machine(address: str, is_direct: bool) -> None:
    """A proxy of the environment is used for other machines alone."""
    assert (("grpc.enable_http_proxy", 0) in channel_options(address)) is is_direct

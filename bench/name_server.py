"""A DNS server for a test or a measurement: its names change while they are asked for."""

import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

MOST_BYTES = 4096
"""Of a question."""


class NameServer:
    """Answers questions for the IPv4 addresses of its names, by UDP on a free port of 127.0.0.1.

    Used as a context manager. Another name does not exist. Answers may not be kept: their time to
    live is 0.
    """

    def __init__(self) -> None:
        self._addresses: dict[str, tuple[str, ...]] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._answer_all, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        port = self._socket.getsockname()[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", ("127.0.0.1", port))
        self._thread.join()
        self._socket.close()

    def set(self, name: str, addresses: Iterable[str]) -> None:
        """From now on a name means these, and no others."""
        self._addresses[f"{name}."] = tuple(addresses)

    def target(self, name: str, port: int) -> str:
        """What to tell gRPC, so that it asks here."""
        return f"dns://127.0.0.1:{self._socket.getsockname()[1]}/{name}:{port}"

    def _answer_all(self) -> None:
        while question := (received := self._socket.recvfrom(MOST_BYTES))[0]:
            with suppress(dns.exception.DNSException):  # whatever else comes is left alone
                self._socket.sendto(self._answer(question), received[1])

    def _answer(self, question: bytes) -> bytes:
        query = dns.message.from_wire(question)
        answer = dns.message.make_response(query, recursion_available=True)
        (asked,) = query.question
        addresses = self._addresses.get(asked.name.to_text())
        if addresses is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif addresses and asked.rdtype == dns.rdatatype.A:
            answer.answer.append(dns.rrset.from_text(asked.name, 0, "IN", "A", *addresses))
        return answer.to_wire()

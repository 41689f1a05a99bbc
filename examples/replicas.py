"""Calls all the servers behind one name in turn, and shows how many images each classified.

    python examples/replicas.py --server dns:///server:8500

Behind a headless service of Kubernetes, or a service of docker-compose.yml scaled by
`--scale server=3`, a name has an address for each replica: a client with `dns:///` in front of it
connects to all of them. Who answered is read from each server's metrics.
"""

import re
import socket
import urllib.request
from collections import Counter
from pathlib import Path

import click
from flatdense_client import Client

FOLDER = Path(__file__).parent
PICTURES = (FOLDER / "seven.png", FOLDER / "photo_of_a_three.png")

ANSWERED = re.compile(r"^flatdense_rows_total\{.*\} (\S+)", re.MULTILINE)


@click.command()
@click.option("--server", envvar="FLATDENSE_SERVER", default="dns:///localhost:8500")
@click.option("--http-port", default=8501, help="Where each server has its metrics.")
@click.option("--calls", default=1000, help="How many to make.")
def main(*, server: str, http_port: int, calls: int) -> None:
    """Raises what the client raises where a call fails."""
    with Client(server) as client:
        before = count_rows(server, http_port)
        seen = Counter(
            client.classify(PICTURES[number % len(PICTURES)])[0].label for number in range(calls)
        )
    for label, count in sorted(seen.items()):
        click.echo(f"{count} pictures of a {label}")
    for address, count in count_rows(server, http_port).items():
        click.echo(f"{address} classified {count - before.get(address, 0)}")


def count_rows(server: str, http_port: int) -> dict[str, int]:
    """Address -> the images that the server there classified so far."""
    host = server.removeprefix("dns:///").rpartition(":")[0]
    found = socket.getaddrinfo(host, http_port, socket.AF_INET, socket.SOCK_STREAM)
    answers = {}
    for *_, (address, port) in sorted(found):
        with urllib.request.urlopen(f"http://{address}:{port}/metrics") as page:
            counts = ANSWERED.findall(page.read().decode())
        answers[address] = sum(map(round, map(float, counts)))
    return answers


if __name__ == "__main__":
    main()

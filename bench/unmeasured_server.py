"""flatdense-server that counts and times nothing on the way of a call that ends well.

To see what metrics cost: bench/metrics.py. Worker processes are spawned, and import this file too.
"""

from flatdense_server.settings import choose_grpc_listener

choose_grpc_listener()

from flatdense_server.__main__ import main  # noqa: E402 -- after the choice, too late otherwise
from flatdense_server.edge.express import Express  # noqa: E402
from flatdense_server.edge.ledger import Ledger  # noqa: E402
from flatdense_server.models.servable import Servable  # noqa: E402

COUNTING = {
    Express: ("_count",),
    Ledger: ("begin", "receive", "send", "succeed"),
    Servable: ("record",),
}


def do_nothing(*_given: object) -> None:
    """In their place."""


for counting, names in COUNTING.items():
    for name in names:
        if not hasattr(counting, name):
            raise SystemExit(f"{counting.__name__}.{name} is not there any more")
        setattr(counting, name, do_nothing)

if __name__ == "__main__":
    main()

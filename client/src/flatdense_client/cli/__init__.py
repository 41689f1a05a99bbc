"""The `flatdense` command: classify files and look at a server from a terminal.

Nothing of the SDK imports this package, so that programs need neither click nor rich at run time.
"""

from flatdense_client.cli.command import main

__all__ = ["main"]

"""What people bring from TensorFlow Serving and from Triton: flags, files and folders.

None of it is imported before such a thing is met. docs/migration.md has the same tables.
"""

from collections.abc import Sequence
from typing import Final

from flatdense_server.migration import tensorflow_serving, triton
from flatdense_server.migration.flags import explain_flags
from flatdense_server.migration.layout import explain_model_dir

SERVERS: Final = (tensorflow_serving.SERVER, triton.SERVER)


def explain_arguments(arguments: Sequence[str]) -> str | None:
    """One line that says what to give instead of another server's flags; None where none is."""
    return explain_flags(arguments, SERVERS)


__all__ = ["SERVERS", "explain_arguments", "explain_model_dir"]

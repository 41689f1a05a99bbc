"""What a served version is, for whoever describes it: an RPC, a page, a log line."""

from dataclasses import dataclass

from flatdense_artifact import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSummary:
    """One served version of one model, and how it is served."""

    name: str
    version: int
    available_versions: tuple[int, ...]
    """Every version of this model that answers now, ascending."""
    manifest: Manifest
    engine: str
    """jit or aot."""
    device: str
    """cpu or gpu."""
    ladder_rows: tuple[int, ...]
    """The batch sizes compiled before ready, ascending."""
    max_request_rows: int

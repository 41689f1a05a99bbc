"""What was read of a user's own data, whatever form it had."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flatdense_training.data.idx import UInt8


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Images and labels that can be learnt from."""

    arrays: Mapping[str, UInt8]
    """By their IDX names, images before their labels. Without test images: two, else four."""
    class_names: tuple[str, ...]
    files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Of image arrays whose rows were files of their own: the name of each."""
    remarks: tuple[str, ...] = ()
    """What the user should know, one sentence each."""

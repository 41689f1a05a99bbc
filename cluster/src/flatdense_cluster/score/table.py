"""The table: its columns, and one part of it as a file."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from flatdense_server.tensors import Outputs

from flatdense_cluster.score.plan import Plan
from flatdense_cluster.score.source import Images

PART_PATTERN: Final = "part-*.parquet"
PLAN_KEY: Final = b"flatdense.plan"
REJECTED_KEY: Final = b"flatdense.rejected"

SCHEMA: Final = pa.schema(
    [
        pa.field("index", pa.int64(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("class_index", pa.int32()),
        pa.field("class_name", pa.string()),
        pa.field("confidence", pa.float32()),
        pa.field("probabilities", pa.list_(pa.float32())),
        pa.field("version", pa.int64(), nullable=False),
        pa.field("error", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows a part has."""

    rows: int
    rejected: int
    """Of these."""


def part_name(part: int) -> str:
    """Sorted by name they are in order, up to a million."""
    return f"part-{part:06d}.parquet"


def count_try(folder: Path, part: int) -> int:
    """How often the part was begun, with this time. Raises OSError."""
    with tries_file(folder, part).open("ab") as file:
        file.write(b".")
        return file.tell()


def tries_file(folder: Path, part: int) -> Path:
    """Where tries are counted: beside the part, for it outlives the worker."""
    return folder / f".{part_name(part)}.tries"


def make_table(
    plan: Plan, part: int, images: Images, outputs: Outputs, class_names: tuple[str, ...]
) -> pa.Table:
    """The rows of one part; those with an error have no answer."""
    rows = len(images.sources)
    bad = np.array([error is not None for error in images.errors])
    probabilities, classes = outputs.probabilities, outputs.classes
    first = part * plan.part_rows
    names = np.array(class_names, dtype=object)[classes]
    width = probabilities.shape[1]
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * width)
    columns = [
        pa.array(np.arange(first, first + rows)),
        pa.array(images.sources, pa.string()),
        pa.array(classes.astype(np.int32), mask=bad),
        pa.array(names, pa.string(), mask=bad),
        pa.array(probabilities.max(axis=1), mask=bad),
        pa.ListArray.from_arrays(offsets, pa.array(probabilities.ravel()), mask=pa.array(bad)),
        pa.array(np.full(rows, plan.version)),
        pa.array(images.errors, pa.string()),
    ]
    known_by = {PLAN_KEY: plan.digest, REJECTED_KEY: str(int(bad.sum()))}
    return pa.table(columns, SCHEMA.with_metadata(known_by))


def write_part(folder: Path, part: int, table: pa.Table) -> None:
    """The file is there whole or not at all, whoever else writes the same. Raises OSError."""
    name = part_name(part)
    unfinished = folder / f".{name}.{secrets.token_hex(4)}"
    try:
        with unfinished.open("xb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(folder / name)
        tries_file(folder, part).unlink(missing_ok=True)
    finally:
        unfinished.unlink(missing_ok=True)


def count_part(folder: Path, part: int, plan: Plan) -> Count | None:
    """What a part holds; None where there is none of this plan yet, or a damaged one."""
    try:
        found = pq.read_metadata(folder / part_name(part))
    except (OSError, pa.ArrowInvalid):
        return None
    known_by = found.metadata or {}
    if known_by.get(PLAN_KEY) != plan.digest.encode() or found.num_rows != plan.rows_of(part):
        return None
    return Count(found.num_rows, int(known_by[REJECTED_KEY]))

"""What a job will do, written down before it begins: the same plan gives the same parts."""

import hashlib
from pathlib import Path
from typing import Final

import msgspec

from flatdense_cluster.errors import ClusterError

PLAN_NAME: Final = "plan.json"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows make which part, of what, scored by what."""

    source: str
    """The path, for people."""
    kind: str
    fingerprint: str
    """Of the source."""
    rows: int
    part_rows: int
    """Part k has the rows from k * part_rows on; the last one may have fewer."""
    version: int
    sha256: str
    """Of the version's files."""

    @property
    def parts(self) -> int:
        """How many there are."""
        return -(-self.rows // self.part_rows)

    @property
    def digest(self) -> str:
        """By which parts know their plan."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()

    def rows_of(self, part: int) -> int:
        """How many rows a part has."""
        return min(self.part_rows, self.rows - part * self.part_rows)

    def check_same(self, other: "Plan", output: Path) -> None:
        """Raises ClusterError where the other would give another table, and says why."""
        differences = [
            (self.fingerprint, other.fingerprint, "the source is not what it was then"),
            (
                (self.version, self.sha256),
                (other.version, other.sha256),
                f"version {self.version} scored then, and now it is version {other.version}"
                if self.version != other.version
                else f"the files of version {self.version} are not what they were then",
            ),
            (
                self.part_rows,
                other.part_rows,
                f"it had --part-rows {self.part_rows} then, and now {other.part_rows}",
            ),
        ]
        reasons = [reason for then, now, reason in differences if then != now]
        if reasons:
            raise ClusterError(
                f"{output} was begun by another job: {', and '.join(reasons)}. Give the same "
                f"arguments to go on with it (it scored {self.source}), or name a new folder."
            )


def write_plan(folder: Path, plan: Plan) -> None:
    """Raises OSError."""
    text = msgspec.json.format(msgspec.json.encode(plan), indent=2)
    (folder / PLAN_NAME).write_bytes(text + b"\n")


def read_plan(folder: Path) -> Plan:
    """Raises OSError; ClusterError where it is damaged."""
    file = folder / PLAN_NAME
    try:
        return msgspec.json.decode(file.read_bytes(), type=Plan)
    except msgspec.DecodeError as error:
        raise ClusterError(f"{file} is damaged ({error}). Name a new folder.") from error

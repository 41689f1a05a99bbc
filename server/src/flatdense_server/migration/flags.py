"""Another server's flags, and what there is here in their place."""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from flatdense_server.migration.answer import Answer, merge
from flatdense_server.migration.textproto import ConfigUnreadable

Given: TypeAlias = Mapping[str, str]
"""What stands on a command line: flags without their dashes, and their values."""

Carry: TypeAlias = Callable[[str, Given], Answer]
"""Gives what a value means here, among all that is given. It may raise ConfigUnreadable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """Flags with one answer: a row of a table in docs/migration.md."""

    names: tuple[str, ...]
    """Without their dashes."""
    here: str = ""
    """The option that takes the same value; with `carry`, all that it may give."""
    remark: str = ""
    """A sentence, where something is `here`; else why there is nothing: `not needed: ...`."""
    carry: Carry | None = None
    """Where the value itself does not do."""

    @property
    def are_ours(self) -> bool:
        """Whether the option here has the same name."""
        return self.names == (self.here.removeprefix("--"),)

    def answer(self, value: str, given: Given) -> Answer:
        """What there is here in place of one of them with this value."""
        if not self.here:
            return Answer()
        try:
            answer = (
                self.carry(value, given) if self.carry else Answer(options=((self.here, value),))
            )
        except ConfigUnreadable as error:
            return Answer(remarks=(str(error),))
        remarks = (self.remark,) if self.remark and answer.options else ()
        return merge([answer, Answer(remarks=remarks)])

    def describe(self, names: Sequence[str]) -> Answer:
        """Why there is nothing in place of these of them."""
        if self.here:
            return Answer()
        subject = join([f"--{name}" for name in names])
        return Answer(remarks=(f"{subject} {'is' if len(names) == 1 else 'are'} {self.remark}",))


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherServer:
    """A server that people come from."""

    owner: str
    """As in: that flag is `Triton's`."""
    table: tuple[Flags, ...]


def explain_flags(arguments: Sequence[str], servers: Sequence[OtherServer]) -> str | None:
    """One line that says what to give instead; None where no argument is another server's."""
    flags = list(read_flags(arguments))
    given = dict(flags)
    rows = {
        name: row
        for server in servers
        for row in server.table
        for name in row.names
        if not row.are_ours
    }
    theirs = [(name, value) for name, value in flags if name in rows]
    if not theirs:
        return None
    used = list(dict.fromkeys(rows[name] for name, _ in theirs))
    answer = merge(
        [
            *(rows[name].answer(value, given) for name, value in theirs),
            *(row.describe([name for name in row.names if name in given]) for row in used),
        ]
    )
    shown = [shlex.quote(f"--{name}={value}" if value else f"--{name}") for name, value in theirs]
    owners = [server.owner for server in servers if not set(server.table).isdisjoint(used)]
    verb = "that is" if len(shown) == 1 else "those are"
    return f"{' '.join(shown)}: {verb} {join(owners)}. {answer.text() or 'Leave it out.'}"


def read_flags(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The name and value of each `--name=value`, `--name value` and `--name`."""
    for argument, following in pairwise([*arguments, "--"]):
        if argument.startswith("--"):
            name, sign, value = argument.removeprefix("--").partition("=")
            yield name, value if sign or following.startswith("--") else following


def join(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))

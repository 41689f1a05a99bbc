"""What there is here in place of something of another server."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Options to start with, commands to run once before, and what else there is to say."""

    options: Sequence[tuple[str, str]] = ()
    """Such as ("--model-dir", "/models/mnist"); a switch has an empty value."""
    steps: Sequence[str] = ()
    """Commands for a shell, without an end of line in them."""
    remarks: Sequence[str] = ()
    """Sentences without their full stop."""

    @property
    def command_line(self) -> str:
        """The options, as they are typed."""
        words = [word for option in self.options for word in option if word]
        return " ".join(shlex.quote(word) for word in words)

    def text(self) -> str:
        """All of it on one line. The options end it, where no full stop is copied with them."""
        sentences = [f"{remark}." for remark in self.remarks]
        if self.steps:
            sentences.append(f"First run `{' && '.join(self.steps)}`.")
        if self.options:
            sentences.append(f"Here it is {self.command_line}")
        return " ".join(sentences)


def merge(answers: Iterable[Answer]) -> Answer:
    """All of them as one. An option has one value: the first; of another one it says so."""
    options: dict[str, str] = {}
    steps: list[str] = []
    remarks: list[str] = []
    for answer in answers:
        for name, value in answer.options:
            if options.setdefault(name, value) != value:
                remarks.append(
                    f"{name} has one value, so start another server for {shlex.quote(value)}"
                )
        steps += answer.steps
        remarks += answer.remarks
    return Answer(
        options=tuple(options.items()),
        steps=tuple(dict.fromkeys(steps)),
        remarks=tuple(dict.fromkeys(remarks)),
    )


def one_each(source: str, models: Sequence[Answer]) -> Answer:
    """For several models in one place: a server has one."""
    if len(models) == 1:
        return models[0]
    together = merge(Answer(steps=model.steps, remarks=model.remarks) for model in models)
    lines = " or ".join(f"`{model.command_line}`" for model in models)
    remark = (
        f"{source} has {len(models)} models, and a server has one: start one for each, with ports "
        f"of its own: {lines}"
    )
    return Answer(steps=together.steps, remarks=(remark, *together.remarks))

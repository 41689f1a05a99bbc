"""Another server's version policy and labels, as the text of versions.toml."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
from flatdense_proto.twin.inference_pb2 import ModelVersionPolicy
from flatdense_proto.twin.tensorflow_serving_config_pb2 import ServableVersionPolicy

from flatdense_server.migration.answer import Answer
from flatdense_server.models.policy import DEFAULT_LABEL, POLICY_NAME, Policy

EVERY: Final = 1000
"""Stands for all versions, which versions.toml has no word for."""

VersionPolicy: TypeAlias = ServableVersionPolicy | ModelVersionPolicy
"""TensorFlow Serving's, or Triton's: they say the same."""


def carry_policy(folder: str, policy: VersionPolicy, labels: Mapping[str, int]) -> Answer:
    """The command that writes `folder`/versions.toml, where one is needed."""
    wanted = translate(policy) | ({"labels": dict(sorted(labels.items()))} if labels else {})
    if wanted == {"versions": []}:
        return Answer(remarks=("Its policy `specific` names no version: name one",))
    try:
        msgspec.convert(wanted, Policy)
    except msgspec.ValidationError as error:
        return Answer(remarks=(f"{POLICY_NAME} cannot have its versions and labels: {error}",))
    remarks = []
    if policy.WhichOneof("policy_choice") == "all":
        remarks.append(f"latest = {EVERY} stands for all versions")
    if DEFAULT_LABEL in labels:
        remarks.append(
            f"A request that names no version gets the one with the label {DEFAULT_LABEL}, which "
            "need not be the newest"
        )
    return Answer(steps=(write(folder, wanted),) if wanted else (), remarks=remarks)


def translate(policy: VersionPolicy) -> dict[str, Any]:
    """What versions.toml says for a policy; nothing for the newest version."""
    match policy.WhichOneof("policy_choice"):
        case "all":
            return {"latest": EVERY}
        case "specific":
            return {"versions": list(policy.specific.versions)}
    newest = max(policy.latest.num_versions, 1)
    return {"latest": newest} if newest > 1 else {}


def write(folder: str, wanted: Mapping[str, object]) -> str:
    """The command that writes these into `folder`/versions.toml."""
    lines = " ".join(f"'{key} = {render(value)}'" for key, value in wanted.items())
    return rf"printf '%s\n' {lines} > {shlex.quote(str(Path(folder, POLICY_NAME)))}"


def render(value: object) -> str:
    """A value of versions.toml on one line. Its strings are labels, which need no escapes."""
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{json.dumps(label)} = {version}" for label, version in value.items())
        return f"{{{pairs}}}"
    return str(value)

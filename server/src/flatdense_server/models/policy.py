"""Which versions are served, and what their labels are: the operator's file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec

POLICY_NAME: Final = "versions.toml"

DEFAULT_LABEL: Final = "stable"
"""The label of the version that a request gets which names neither version nor label."""

Count = Annotated[int, msgspec.Meta(ge=1)]
Label = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")]


class PolicyInvalid(Exception):
    """versions.toml cannot be read, or says something that cannot be done."""


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """versions.toml in the model folder. Without the file: the newest version, and no label."""

    latest: Count | None = None
    """Serve so many of the newest versions; 1 where `versions` does not say otherwise."""
    versions: Sequence[Count] | None = None
    """Or serve exactly these."""
    labels: Mapping[Label, Count] = {}
    """Label -> version, which is served besides."""


def read_policy(model_dir: Path) -> Policy:
    """Reads `versions.toml`. Raises PolicyInvalid, which says what was expected."""
    path = model_dir / POLICY_NAME
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return Policy()
    except OSError as error:
        raise PolicyInvalid(
            f"{path} cannot be read: {error.strerror}. Check its permissions."
        ) from error
    if not text.strip():
        # Not the same as no file: an editor may be writing it just now.
        raise PolicyInvalid(f"{path} is empty. Remove it to serve the newest version.")
    try:
        policy = msgspec.toml.decode(text, type=Policy)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PolicyInvalid(
            f"{path} is not as expected: {error}. It may have `latest` or `versions`, and a table "
            "`labels` of names and versions."
        ) from error
    if policy.latest is not None and policy.versions is not None:
        raise PolicyInvalid(f"{path} has both `latest` and `versions`. Keep one of them.")
    if policy.versions is not None and not (policy.versions or policy.labels):
        raise PolicyInvalid(f"{path} names no version: `versions` is empty. Name one.")
    return policy

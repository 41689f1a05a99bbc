"""The files of this package that are no code."""

from importlib import resources


def resource(name: str) -> str:
    """The text of one of them."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")

"""The public names."""

from types import UnionType

import flatdense_client


def test_every_public_name_is_exported_and_sorted() -> None:
    """`__all__` is sorted, complete, and each name says that it lives in the package."""
    assert sorted(flatdense_client.__all__) == flatdense_client.__all__
    names = vars(flatdense_client).items()
    made = {name for name, value in names if callable(value)}
    unions = {name for name, value in names if isinstance(value, UnionType)}
    assert made | unions == set(flatdense_client.__all__)
    for name in made:
        assert getattr(flatdense_client, name).__module__ == "flatdense_client"

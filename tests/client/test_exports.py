"""The public names."""

import flatdense_client


def test_every_public_name_is_exported_and_sorted() -> None:
    """`__all__` is sorted, complete, and each name says that it lives in the package."""
    assert sorted(flatdense_client.__all__) == flatdense_client.__all__
    public = {name for name, value in vars(flatdense_client).items() if callable(value)}
    assert public == set(flatdense_client.__all__)
    for name in flatdense_client.__all__:
        assert getattr(flatdense_client, name).__module__ == "flatdense_client"

"""Which version the protocol's two strings mean."""

from functools import lru_cache

from flatdense_server.selector import Selector


@lru_cache(maxsize=256)
def select(model_name: str, model_version: str) -> Selector:
    """A version's number, or else a label; empty is what a request that names none gets."""
    if model_version.isascii() and model_version.isdecimal():
        return Selector(model_name, int(model_version))
    return Selector(model_name, None, model_version)

"""The token that calls carry."""

from collections.abc import Callable, Sequence
from typing import Any

Token = str | Callable[[], str]
"""A token, or what gives the one of the moment."""

_Header = tuple[str, str]


class Bearer:
    """Gives calls an `authorization` header.

    gRPC's own call credentials would do the same, and start a thread for each call.

    Raises ValueError: the token is none that a header may carry.
    """

    def __init__(self, token: Token) -> None:
        if callable(token):
            self._header: Callable[[], _Header] = lambda: _read(token())
        else:
            header = _read(token)
            self._header = lambda: header

    def sign(self, method: Any) -> "SignedMethod":  # noqa: ANN401  # gRPC has eight types of them
        """The method, with the header on each of its calls."""
        return SignedMethod(method, self._header)


class SignedMethod:
    """A method of either gRPC API that adds a header to its calls. Raises what gives the header."""

    def __init__(self, method: Any, header: Callable[[], _Header]) -> None:  # noqa: ANN401  # as above
        self._method = method
        self._header = header

    def __call__(
        self, *args: object, metadata: Sequence[_Header] | None = None, **kwargs: object
    ) -> Any:  # noqa: ANN401  # as above
        """See the method."""
        return self._method(*args, metadata=self._extend(metadata), **kwargs)

    def future(
        self, *args: object, metadata: Sequence[_Header] | None = None, **kwargs: object
    ) -> Any:  # noqa: ANN401  # as above
        """See the method."""
        return self._method.future(*args, metadata=self._extend(metadata), **kwargs)

    def with_call(
        self, *args: object, metadata: Sequence[_Header] | None = None, **kwargs: object
    ) -> Any:  # noqa: ANN401  # as above
        """See the method."""
        return self._method.with_call(*args, metadata=self._extend(metadata), **kwargs)

    def _extend(self, metadata: Sequence[_Header] | None) -> tuple[_Header, ...]:
        return (*(metadata or ()), self._header())


def _read(token: object) -> _Header:
    if not isinstance(token, str):
        msg = f"the token is of type {type(token).__name__}; expected a str"
        raise ValueError(msg)  # noqa: TRY004  # as every option that makes no sense
    if not (token.isascii() and token.isprintable() and " " not in token and token):
        msg = "the token is empty, or has a blank, a line end or a letter beyond ASCII"
        raise ValueError(msg)
    return ("authorization", f"Bearer {token}")

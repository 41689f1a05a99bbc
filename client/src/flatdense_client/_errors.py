"""What can go wrong, as a caller sees it.

    FlatdenseError
    ├── InvalidInput       the images, a file or the address are wrong: the same will fail again
    ├── NotFound           no such model, version or label
    ├── Overloaded         the server's queue is full: try again after `retry_after_s`
    ├── Unavailable        nothing answers there, or not yet: try again after `retry_after_s`
    ├── DeadlineExceeded   no answer within `timeout_s`
    ├── Unauthenticated    no credential, or a wrong one
    ├── PermissionDenied   a good credential that may not do this
    ├── ServerError        the server failed, or is no flatdense server
    └── Closed             the client was closed before or during the call

The message of each tells a person what was wrong, what was expected and what to do.
"""

from dataclasses import dataclass


class FlatdenseError(Exception):
    """Any failure of this SDK."""

    request_id: str | None = None
    """By which the server's log knows the call; None where no server answered it."""


@dataclass(frozen=True)
class Violation:
    """One thing that was wrong with a request."""

    field: str
    """What was refused: `images`, or the server's name for the part of the request."""
    description: str
    """What came and what was expected."""


class InvalidInput(FlatdenseError):
    """The images, a file or the address are wrong. Trying again with the same will fail again."""

    def __init__(self, message: str, violations: tuple[Violation, ...] = ()) -> None:
        super().__init__(message)
        self.violations = violations
        """One for each thing that was wrong; empty where the message is all there is to say."""


class NotFound(FlatdenseError):
    """The server has no such model, version or label. The message names what it has."""


class Overloaded(FlatdenseError):
    """The server's queue is full: it refused the call before doing any work."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """How long the server asks callers to wait; None where it did not say."""


class Unavailable(FlatdenseError):
    """Nothing answers at the address, or the server is still loading or already draining."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """How long the server asks callers to wait; None where it did not say."""


class DeadlineExceeded(FlatdenseError):
    """No complete answer came within `timeout_s`."""


class Unauthenticated(FlatdenseError):
    """The server wants a credential, or did not accept the one it got."""


class PermissionDenied(FlatdenseError):
    """The credential is good, but may not do this."""


class ServerError(FlatdenseError):
    """The server failed, or what answers is no flatdense server."""


class Closed(FlatdenseError):
    """The client was closed before or during the call."""

"""What can go wrong with a request, in terms of the domain. No transport is named here.

RequestError
├── InvalidInput      the tensor is not what the model takes
├── NotFound          no such model, version or label
├── NoSignature       the model has no such signature
├── NotAllowed        the operator has not allowed it
├── Unauthenticated   the caller has no credential that is known
├── Forbidden         the caller's credential is not for this
├── LoadFailed        the model could not be loaded
├── NotReady          the model is still loading
├── Draining          the server is stopping
├── QueueFull         more work is waiting than the server takes on
├── DeadlineExpired   the answer would come too late
└── InferenceFailed   the engine failed: not the caller's fault

edge/status.py turns each into a gRPC status.
"""


class RequestError(Exception):
    """A request that is not answered. The message is for the caller."""


class InvalidInput(RequestError):
    """The tensor is not what the model takes. The same request would be refused again."""

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field}: {description}")
        self.field = field
        self.description = description


class NotFound(RequestError):
    """No such model, version or label. The message names what there is."""

    def __init__(self, kind: str, name: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.name = name


class NoSignature(RequestError):
    """The model has no such signature. The message names those that there are."""


class NotAllowed(RequestError):
    """The operator has not allowed it. The message says how that is done."""


class Unauthenticated(RequestError):
    """The caller has no credential that is known. The message says nothing more."""


class Forbidden(RequestError):
    """The caller's credential is known, and not for this. The message says nothing more."""


class LoadFailed(RequestError):
    """The model could not be loaded. The message says why."""


class NotReady(RequestError):
    """The model is still loading: the same request will be answered later."""

    retry_after_s = 1.0


class Draining(RequestError):
    """The server is stopping: another one, or the same one restarted, will answer."""

    retry_after_s = 1.0


class QueueFull(RequestError):
    """More work is waiting than the server takes on. Refused at once; nothing was queued."""

    retry_after_s = 0.1


class DeadlineExpired(RequestError):
    """The answer would come after the caller's deadline. The engine never saw the request."""


class InferenceFailed(RequestError):
    """The engine failed. The cause is in the server's log, not in the message."""

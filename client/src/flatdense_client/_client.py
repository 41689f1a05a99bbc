"""The synchronous client: it calls the server, and waits on the caller's thread."""

from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType

from flatdense_client._calls.connection import Connection
from flatdense_client._calls.pieces import Pieces, Progress
from flatdense_client._calls.session import Session
from flatdense_client._channel.channel import Connector, Interceptor, check_interceptors
from flatdense_client._channel.fork import ANCESTRY
from flatdense_client._channel.hedging import Hedging
from flatdense_client._channel.tls import Tls
from flatdense_client._channel.token import Token
from flatdense_client._core.classify import CLASSIFY
from flatdense_client._core.deadline import Deadline
from flatdense_client._core.explain import Explain
from flatdense_client._core.messages import Method, Part, Request, Response, Result
from flatdense_client._core.selector import select_model
from flatdense_client._errors import Closed, DeadlineExceeded, NotFound, Unavailable
from flatdense_client._images.inputs import check_images, check_stream
from flatdense_client._images.kinds import ImagesLike
from flatdense_client._results.explanations import Explanations
from flatdense_client._results.model import ModelInfo
from flatdense_client._results.predictions import Predictions


class Client:
    """A connection to a flatdense server.

        with Client("localhost:8500") as client:
            for prediction in client.classify(images):
                print(prediction.label, prediction.confidence)

    - Any number of threads may share one client, and should: it holds one connection to each server
      behind the address, and deals its calls out to them in turn (`dns:///` addresses may name
      several).
    - Nothing connects before the first call. A server that is not there is an `Unavailable` at
      once, not a wait.
    - Every call ends within `timeout_s`, and raises only the errors of `FlatdenseError`'s tree.
    - A call that ends with UNAVAILABLE is tried up to three times in all, within its deadline.
    - After a fork the child may use the client too: it makes a connection of its own. Fork while no
      call is under way. Where gRPC does not survive a fork, which is after `AsyncClient` was used
      or with GRPC_ENABLE_FORK_SUPPORT=0, each call in the child is a `RuntimeError` at once.
    """

    def __init__(  # noqa: PLR0913  # an option each, and all by name
        self,
        address: str | Sequence[str],
        *,
        model_name: str = "",
        model_version: int | None = None,
        model_label: str | None = None,
        timeout_s: float = 10.0,
        rows_per_message: int = 512,
        messages_in_flight: int = 4,
        coalesce: bool = False,
        tls: bool | Tls = False,
        token: Token | None = None,
        hedging: Hedging | None = None,
        interceptors: Sequence[Interceptor] = (),
    ) -> None:
        """Prepares a client for one server, or for several that serve the same.

        - `address`: `host:port`, several of these (a sequence, or a text with commas between them),
          or any gRPC target such as `dns:///host:port`. Calls go to each server in turn, but to
          none that is not there, stands still, or says by `grpc.health.v1` that it loads or drains.
          The addresses behind one DNS name are followed as they change; names among several
          addresses are looked up here, once.
        - `model_name`, and `model_version` or `model_label`: which model answers, and which version
          of it; left out, the ones that the server serves by default. The server's operator sets
          labels, such as `stable`, and may move one to another version at any time, even between
          the messages of one call.
        - `timeout_s`: of each whole call unless the call brings its own; `math.inf` for no limit.
        - `rows_per_message`: into what pieces bigger arrays are cut; fewer where 4 MiB would not
          hold them.
        - `messages_in_flight`: how many pieces of one call travel at a time.
        - `coalesce`: whether calls of up to 64 rows that threads make at a time share messages. Of
          these, too, at most `messages_in_flight` travel at a time: while so many do, calls gather.
          A call that comes when none is under way is sent at once. Interceptors see a shared
          message once, in the context of the caller whose thread sends it.
        - `tls`: whether connections are encrypted; a `Tls` says more, as which authority to trust
          or which certificate to show.
        - `token`: sent with each call as `authorization: Bearer ...`. A function is asked before
          each call, so that tokens may change; what it raises, the call raises.
        - `hedging`: whether and when a message that is slow to be answered is sent a second time.
        - `interceptors`: gRPC's own, the first outermost, around each message that is sent.

        Raises InvalidInput: an address is none, or a file of `tls` cannot be used. Raises
        ValueError: a number is out of its range, a version and a label are both given, the label is
        no name, the token cannot be one, or would travel in the clear to another machine. Raises
        TypeError: an interceptor is of no kind of gRPC's.
        """
        self._session = Session(
            Connector(address, tls=tls, token=token, hedging=hedging),
            model=select_model(model_name, model_version, model_label),
            timeout_s=timeout_s,
            rows_per_message=rows_per_message,
            messages_in_flight=messages_in_flight,
        )
        self._interceptors = check_interceptors(interceptors)
        self._coalesce = coalesce
        self._connections: dict[int, Connection] = {}
        """By process: see Ancestry.forks."""
        """By the process: one for this one, once it has called, and those that it inherited."""

    @property
    def address(self) -> str:
        """Where the server is."""
        return self._session.address

    def classify(
        self,
        images: ImagesLike,
        *,
        timeout_s: float | None = None,
        progress: Progress | None = None,
    ) -> Predictions:
        """Classifies one image or many, and gives one prediction for each, in their order.

        `images` is one image or a list of them, which may be of several kinds:

        - numbers of the shape (28, 28) or (784,), as an array, a nested list or a tensor of any
          library; many, also as one array of the shape (N, 28, 28) or (N, 784). Integers are 0
          (ground) to 255 (ink), floats the same scaled to 0..1, and a true boolean is ink.
        - a picture of one digit in any size: the path of a PNG or JPEG, its bytes, or an image of
          PIL's. It goes through `prepare_image`.

        One image gives `Predictions` of length 1. No image may change during the call.

        There may be any number: they are cut to messages, a few of which travel at a time. Either
        every row is answered or the call raises and the messages under way are cancelled.

        `progress` is called after each message, on the caller's thread, with the rows answered by
        then and the rows in all. What it raises ends the call like any other error.

        The first answer of each version costs one `GetModel` call more, for the names of the
        classes.

        Raises InvalidInput before a byte is sent: a shape, type or value is wrong, or a picture is
        none. Raises any other FlatdenseError. Raises ImportError: a picture came, and Pillow is
        missing.
        """
        deadline = self._session.deadline(timeout_s)
        rows = check_images(images)
        connection = self._connect()
        if self._coalesce and connection.coalescer.takes(rows):
            answers = [connection.coalescer.ask(rows, deadline)]
            if progress is not None:
                progress(len(rows), len(rows))
        else:
            pieces = Pieces(self._session, CLASSIFY, rows, progress)
            answers = connection.ask(pieces, connection.classifier.Classify, deadline)
        return self._join(connection, CLASSIFY, answers, deadline)

    def explain(
        self,
        images: ImagesLike,
        *,
        class_index: int | None = None,
        timeout_s: float | None = None,
        progress: Progress | None = None,
    ) -> Explanations:
        """Classifies images and takes apart why: one explanation for each, in their order.

        `class_index` is the class whose logit is taken apart into what each pixel adds to it, the
        same for each image; left out, the most probable class of each.

        All else is as in `classify`. An answer is about 4 kB a row, so that more than a few
        thousand images cost memory and time.

        Raises InvalidInput before a byte is sent: a shape, type or value is wrong. Raises any other
        FlatdenseError; a model whose layers the server does not know cannot be explained.
        """
        method = Explain(class_index)
        deadline = self._session.deadline(timeout_s)
        rows = check_images(images)
        connection = self._connect()
        pieces = Pieces(self._session, method, rows, progress)
        answers = connection.ask(pieces, connection.classifier.Explain, deadline)
        return self._join(connection, method, answers, deadline)

    def classify_stream(
        self, images: Iterable[ImagesLike], *, timeout_s: float | None = None
    ) -> Iterator[Predictions]:
        """Classifies arrays as they come, over one call: one `Predictions` for each, in order.

        Each array is what `classify` takes. They are read on another thread, at most
        `messages_in_flight` messages ahead of the predictions that were taken. `timeout_s` bounds
        the wait for each answer, not the whole stream. Leaving the iterator, or closing it, cancels
        the call.

        Raises, at the array that it concerns, after the predictions of all before it: any
        FlatdenseError, and whatever `images` raises.
        """
        check_stream(images)
        return self._stream(images, self._session.timeout_or(timeout_s))

    def model(self, *, timeout_s: float | None = None) -> ModelInfo:
        """Describes the model that answers this client's calls.

        Raises any FlatdenseError.
        """
        deadline = self._session.deadline(timeout_s)
        return self._connect().get_model(self._session.model, deadline)

    def ready(self, *, timeout_s: float | None = None) -> bool:
        """Whether the server classifies now: false while it loads, drains, or cannot be reached.

        Raises any FlatdenseError but Unavailable and DeadlineExceeded.
        """
        deadline = self._session.deadline(timeout_s)
        try:
            return self._connect().is_serving(deadline)
        except (Unavailable, DeadlineExceeded, NotFound):
            return False

    def close(self) -> None:
        """Closes the connection: calls under way raise Closed. May be called again."""
        self._session.is_closed = True
        connection = self._connections.get(ANCESTRY.forks)
        if connection is not None:
            connection.close()

    def __enter__(self) -> "Client":  # noqa: PYI034  # typing.Self is newer than 3.10
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._session.address!r})"

    def _connect(self) -> Connection:
        """The connection of this process; it connects by itself."""
        self._check_open()
        process = ANCESTRY.forks
        connection = self._connections.get(process)
        if connection is None:
            made = Connection(self._session, self._interceptors)
            # No lock: a child would inherit it, perhaps held. Of two threads one has to let go.
            connection = self._connections.setdefault(process, made)
            if connection is not made:
                made.close()
            self._check_open()  # close() has seen the connection, or this sees that it was called
        return connection

    def _check_open(self) -> None:
        if self._session.is_closed:
            raise Closed(f"this client of {self._session.address} is closed")

    def _stream(self, images: Iterable[ImagesLike], timeout_s: float) -> Iterator[Predictions]:
        connection = self._connect()
        for answers in connection.stream(images, timeout_s):
            deadline = self._session.deadline(timeout_s)
            yield self._join(connection, CLASSIFY, answers, deadline)

    def _join(
        self,
        connection: Connection,
        method: Method[Request, Response, Part, Result],
        answers: Sequence[Part],
        deadline: Deadline,
    ) -> Result:
        connection.look_up(answers, deadline)
        return self._session.join(method, answers)

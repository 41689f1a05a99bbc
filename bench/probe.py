"""A light caller beside a load: what one of many callers sees, by gRPC's own status."""

import contextlib
import threading
import time
from collections import Counter
from typing import Self

import grpc
from load import METHOD, Request

ANSWER_S = 30.0
"""Longer than any answer is waited for in a measurement."""


class Probe(threading.Thread):
    """Begins a call at a fixed rate, however slow the answers are, until the context ends.

    The context's end waits for the answers to all calls that were begun.
    """

    def __init__(self, address: str, request: Request, *, calls_a_second: float) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._message = request.message()
        self._pause_s = 1 / calls_a_second
        self._ending = threading.Event()
        self._outcomes: list[tuple[str, float]] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ending.set()
        self.join()

    def run(self) -> None:
        """On its own thread."""
        calls = []
        with grpc.insecure_channel(self._address) as channel:
            classify = channel.unary_unary(METHOD)
            next_s = time.monotonic()
            while not self._ending.wait(max(0.0, next_s - time.monotonic())):
                calls.append(self._begin(classify))
                next_s += self._pause_s
            for call in calls:
                with contextlib.suppress(grpc.RpcError):
                    call.result()
            # A callback may run just after its call's result is there.
            while len(self._outcomes) < len(calls):
                time.sleep(self._pause_s)

    @property
    def codes(self) -> dict[str, int]:
        """How many calls ended with each status. When the context has ended."""
        return dict(Counter(code for code, _took_s in self._outcomes))

    def quantile_ms(self, share: float) -> float | None:
        """Of the times of the calls that were answered; None where none was."""
        times_s = sorted(took_s for code, took_s in self._outcomes if code == "OK")
        return 1e3 * times_s[int(share * len(times_s))] if times_s else None

    def _begin(self, classify: grpc.UnaryUnaryMultiCallable) -> grpc.Future:
        began_s = time.perf_counter()

        def note(call: grpc.Future) -> None:
            self._outcomes.append((call.code().name, time.perf_counter() - began_s))

        call = classify.future(self._message, timeout=ANSWER_S)
        call.add_done_callback(note)
        return call

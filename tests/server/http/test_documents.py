"""JSON that strangers sent: deep, wide, cut; 400 or 413, and the next request is answered."""

import tracemalloc
from collections.abc import Callable

import msgspec
import pytest
from flatdense_server.http.documents import check_parts
from flatdense_server.http.limits import Limits

Refusal = Callable[..., tuple[int, str]]

PATHS = [
    "/v2/models/mnist/infer",
    "/v1/models/mnist:predict",
    "/v1/models/mnist:classify",
    "/v2/repository/index",
    "/v2/repository/models/mnist/load",
]

DEEP = [
    pytest.param(b"[", b"]", id="lists"),
    pytest.param(b'{"a":', b"}", id="objects"),
    pytest.param(b'{"inputs":', b"}", id="inputs"),
    pytest.param(b'{"instances":', b"}", id="instances"),
]


@pytest.mark.parametrize(("opening", "closing"), DEEP)
@pytest.mark.parametrize(
    ("path", "depth"), [*((path, 20_000) for path in PATHS), *((path, 100) for path in PATHS[:3])]
)
def test_deep_json_is_refused(
    refusal: Refusal, path: str, depth: int, opening: bytes, closing: bytes
) -> None:
    """Alone and as the value of a field; with its end and without."""
    for middle in (b"1", b""):
        for end in (closing * depth, b""):
            deep = opening * depth + middle + end
            for field in (b"inputs", b"instances", b"examples", b"parameters", b"else"):
                for body in (deep, b'{"%s": %s, "examples": 1}' % (field, deep)):
                    status, _ = refusal(path, content=body)
                    assert status in {400, 413}


@pytest.mark.parametrize("value", [b"0", b"[]", b"{}", b"1.5", b'""', b"null"])
@pytest.mark.parametrize("path", PATHS[:3])
def test_wide_json_takes_memory_in_proportion_to_the_biggest_request(
    refusal: Refusal, path: str, value: bytes
) -> None:
    """Each value in memory takes many times the bytes of its text: they are counted before."""
    limits = Limits(max_request_rows=32)
    count = limits.body_bytes // (len(value) + 1) - 100
    wide = b"[" + b",".join([value] * count) + b"]"
    for field in (b"inputs", b"instances", b"examples"):
        body = b'{"%s": %s}' % (field, wide)
        assert len(body) <= limits.body_bytes
        status, message = refusal(path, content=body)
        assert status == 413
        assert "values, lists and objects, got " in message


def test_as_much_as_is_let_in_is_little() -> None:
    """The worst that is decoded takes less than ten times the text of the biggest request."""
    limits = Limits(max_request_rows=32)
    for value, parts in ((b"[]", 2), (b"{}", 2), (b"1.5", 1)):
        count = limits.json_parts // parts - 1
        body = b"[" + b",".join([value] * count) + b"]"
        check_parts(body, limits.json_parts)
        tracemalloc.start()
        try:
            decoded = msgspec.json.decode(body)
            used, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(decoded) == count
        assert used < 10 * limits.body_bytes


def test_the_biggest_request_is_within_every_limit() -> None:
    """Written in the widest way there is."""
    for rows in (1, 32, 1024):
        limits = Limits(max_request_rows=rows)
        line = b"[" + b",\n        ".join([b"-1.2345678901234567e-300"] * 28) + b"]"
        row = b"[" + b",\n      ".join([line] * 28) + b"]"
        body = b'{"instances": [' + b",\n".join([b'{"images": %s}' % row] * rows) + b"]}"
        check_parts(body, limits.json_parts)
        assert len(body) < 1.2 * limits.body_bytes
        assert rows * 784 * 8 < limits.message_bytes

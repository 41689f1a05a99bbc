"""The header by which callers say which trace their call belongs to."""

import pytest
from flatdense_server.observe.traces.traceparent import TraceContext, find_trace, parse_traceparent
from hypothesis import given
from hypothesis import strategies as st

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"

IDS = TraceContext(int(TRACE, 16), int(SPAN, 16), sampled=True)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (GOOD, IDS),
        (f"00-{TRACE}-{SPAN}-00", TraceContext(IDS.trace_id, IDS.span_id, sampled=False)),
        (f"00-{TRACE}-{SPAN}-fe", TraceContext(IDS.trace_id, IDS.span_id, sampled=False)),
        (f"00-{TRACE}-{SPAN}-03", IDS),
        (f"cc-{TRACE}-{SPAN}-01", IDS),
        (f"cc-{TRACE}-{SPAN}-01-what-may-come", IDS),
    ],
)
def test_what_the_standard_allows_is_understood(header: str, expected: TraceContext) -> None:
    """Any flags; and of versions that are not known yet, what is the same in all."""
    assert parse_traceparent(header) == expected


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01-",
        f"cc-{TRACE}-{SPAN}-01more",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f" {GOOD}",
        f"{GOOD}\n",
        f"00-{'٣' * 32}-{SPAN}-01",
    ],
)
def test_what_it_forbids_is_no_trace(header: str) -> None:
    """Version ff, ids of nothing but 0, capitals, other lengths, anything behind version 00."""
    assert parse_traceparent(header) is None


@given(
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.integers(0, 255),
    st.integers(0, 254),
)
def test_every_id_is_read_as_it_was_written(
    trace_id: int, span_id: int, flags: int, version: int
) -> None:
    """The numbers are those of the text."""
    header = f"{version:02x}-{trace_id:032x}-{span_id:016x}-{flags:02x}"
    assert parse_traceparent(header) == TraceContext(trace_id, span_id, sampled=bool(flags % 2))


@given(st.text(max_size=80) | st.from_regex(r"[0-9a-f-]{50,60}", fullmatch=True))
def test_no_text_is_a_fault(header: str) -> None:
    """Whatever a stranger sends is a trace or none."""
    found = parse_traceparent(header)
    assert found is None or (found.trace_id and found.span_id)


def test_it_is_found_among_a_calls_metadata() -> None:
    """By its key, wherever it stands; bytes are none."""
    agent = ("user-agent", "x")
    assert find_trace([agent, ("traceparent", GOOD)]) == IDS
    assert find_trace([agent]) is None
    assert find_trace([("traceparent", GOOD.encode())]) is None

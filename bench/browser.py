"""How fast the page is, and what it costs those who call by gRPC: `python bench/browser.py`.

A real Chromium opens it and draws; then calls are counted with the requests of an open page beside
them and without, in turns. Writes bench/results/page.json, with the machine's description, and the
tables of docs/page.md.
"""

import argparse
import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http import HTTPStatus
from http.client import HTTPConnection
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from flatdense_proto.v1 import classifier_pb2 as pb
from load import Request, calls_per_second, check_tool
from machine import describe_machine
from playwright.sync_api import Browser, ViewportSize, sync_playwright
from playwright.sync_api import Request as PageRequest
from report import NO_PAGE, PAGE, PAGE_PAGE, publish, render_page

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "examples"))

from draw_digits import SEVEN, THREE  # noqa: E402 -- after the path that it is on
from server_process import ServerProcess  # noqa: E402

OPENINGS = 15

STROKES = 12

STEPS = 8
"""Points of a stroke between two of the way."""

TALL: ViewportSize = {"width": 1280, "height": 2400}
"""A screen that shows the network too: it is explained only while it is seen."""

POINT_MS = 1000 / 60
"""As often as screens and mice tell of a pen."""

ROUNDS = 15

CALLS = 40_000

ROW = [0] * 784
INFER = {"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, 784], "data": ROW}]}
EXPLAIN = {"instances": [ROW], "signature_name": "serving_uint8"}

SUMMARY, METRICS = "v1/models/mnist/summary", "metrics"

ASKED = {SUMMARY: 1 / 3, METRICS: 1 / 2}
"""How often a second an open page asks for what."""

POSTED = {
    "v2/models/mnist/infer": json.dumps(INFER).encode(),
    "v1/models/mnist:explain": json.dumps(EXPLAIN).encode(),
}
"""What a page asks besides, where somebody draws."""

JSON = {"content-type": "application/json"}

PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"

ANSWERED = """
  window.answered = [];
  document.addEventListener("answered", ({ detail }) => {
    window.answered.push(detail.shownMs - detail.pointMs);
  });
"""


def open_page(browser: Browser, url: str) -> float:
    """Milliseconds until something was painted, with nothing cached."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(url)
        page.wait_for_selector("#version:enabled")
        return float(page.evaluate(PAINTED))


def draw(browser: Browser, url: str) -> tuple[list[float], dict[str, float]]:
    """Milliseconds from points of strokes to the bars that answer them.

    And how often a second the page asked for what, as somebody drew all the time.
    """
    with browser.new_context(viewport=TALL) as context:
        page = context.new_page()
        page.add_init_script(ANSWERED)
        page.goto(url)
        page.wait_for_selector("#version:enabled")
        box = page.locator("#pad").bounding_box()
        assert box  # noqa: S101 -- it is shown
        asked = dict.fromkeys(POSTED, 0)

        def count(request: PageRequest) -> None:
            path = request.url.removeprefix(url)
            if path in asked:
                asked[path] += 1

        page.on("request", count)
        began_s = time.monotonic()
        for number in range(STROKES):
            for stroke in (SEVEN, THREE)[number % 2]:
                places = [
                    (box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke
                ]
                page.mouse.move(*places[0])
                page.mouse.down()
                for before, after in pairwise(places):
                    for step in range(1, STEPS + 1):
                        page.wait_for_timeout(POINT_MS)
                        page.mouse.move(*between(before, after, step / STEPS))
                page.mouse.up()
            page.wait_for_selector("#answer[aria-busy=false]")
            page.locator("#clear").click()
        lasted_s = time.monotonic() - began_s
        times: list[float] = page.evaluate("window.answered")
        return times, {path: number / lasted_s for path, number in asked.items() if number}


def between(
    before: tuple[float, float], after: tuple[float, float], share: float
) -> tuple[float, float]:
    """A place on the way."""
    (from_x, from_y), (to_x, to_y) = before, after
    return from_x + (to_x - from_x) * share, from_y + (to_y - from_y) * share


@contextmanager
def keep_open(url: str, asked_a_second: dict[str, float]) -> Iterator[None]:
    """Asks what an open page asks, as often, until the context is left."""
    ended = threading.Event()

    def ask() -> None:
        """Each thing at its pace, with little work of its own: that is not what is measured."""
        parts = urlsplit(url)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        due_s = dict.fromkeys(asked_a_second, time.monotonic())
        while True:
            path = min(due_s, key=lambda path: due_s[path])
            if ended.wait(max(0.0, due_s[path] - time.monotonic())):
                break
            due_s[path] = max(due_s[path] + 1 / asked_a_second[path], time.monotonic())
            body = POSTED.get(path)
            connection.request("POST" if body else "GET", f"/{path}", body, JSON if body else {})
            answer = connection.getresponse()
            answer.read()
            if answer.status != HTTPStatus.OK:
                raise RuntimeError(f"{path}: {answer.status}")
        connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def count_calls(
    server: ServerProcess, rounds: int, drawing: dict[str, float]
) -> dict[str, list[float]]:
    """Calls a second, in each round without a page, beside an open one, and beside a drawing."""
    asked = {NO_PAGE: {}, "an open page": ASKED, "somebody draws": {**ASKED, **drawing}}
    rates: dict[str, list[float]] = {name: [] for name in asked}
    request = Request(1, pb.DATA_TYPE_UINT8)
    for number in range(rounds + 1):  # the first is not counted
        for name, pace in asked.items():
            with keep_open(server.page, pace) if pace else nullcontext():
                rate = calls_per_second(server.address, request, in_flight=64, calls=CALLS)
            if number:
                rates[name].append(rate)
    return rates


def main() -> None:
    """Measures, writes, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of gRPC calls")
    rounds = parser.parse_args().rounds
    check_tool()
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("bench needs a browser: install Debian's package chromium.")
    model = ("--model-dir", str(HERE.parent / "exported_model"), "--workers", "1")
    with ServerProcess(*model) as server:
        server.ready()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            open_page(browser, server.page)  # the browser's own start is not counted
            paints = [open_page(browser, server.page) for _ in range(OPENINGS)]
            answers, drawing = draw(browser, server.page)
            browser.close()
        results = {
            "machine": describe_machine(),
            "browser_ms": {"first paint": paints, "a point of a stroke, answered": answers},
            "asked_a_second": drawing,
            "calls_a_second": count_calls(server, rounds, drawing),
        }
    section = render_page(results)
    publish(results, PAGE, PAGE_PAGE, section)
    print(section)


if __name__ == "__main__":
    main()

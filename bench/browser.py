"""How fast the page is, and what it costs those who call by gRPC: `python bench/browser.py`.

A real Chromium opens it and draws; then calls are counted with the requests of an open page beside
them and without, in turns. Writes bench/results/page.json, with the machine's description, and the
tables of docs/page.md.
"""

import argparse
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from flatdense_proto.v1 import classifier_pb2 as pb
from load import Request, calls_per_second, check_tool
from machine import describe_machine
from playwright.sync_api import Browser, sync_playwright
from report import NO_PAGE, PAGE, PAGE_PAGE, publish, render_page

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "examples"))

from draw_digits import SEVEN, THREE  # noqa: E402 -- after the path that it is on
from server_process import ServerProcess  # noqa: E402

OPENINGS = 15

STROKES = 12

STEPS = 8
"""Points of a stroke between two of the way."""

POINT_S = 1 / 60
"""As often as screens and mice tell of a pen."""

ROUNDS = 15

CALLS = 40_000

ROW = [0] * 784
INFER = {"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, 784], "data": ROW}]}
EXPLAIN = {"instances": [ROW], "signature_name": "serving_uint8"}

WATCH_S, SCRAPE_S = 3.0, 2.0
"""How often an open page asks for the summary, and for the metrics."""

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


def draw(browser: Browser, url: str) -> list[float]:
    """Milliseconds from points of strokes to the bars that answer them."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.add_init_script(ANSWERED)
        page.goto(url)
        page.wait_for_selector("#version:enabled")
        box = page.locator("#pad").bounding_box()
        assert box  # noqa: S101 -- it is shown
        for number in range(STROKES):
            for stroke in (SEVEN, THREE)[number % 2]:
                places = [
                    (box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke
                ]
                page.mouse.move(*places[0])
                page.mouse.down()
                for place in places[1:]:
                    page.mouse.move(*place, steps=STEPS)
                page.mouse.up()
            page.wait_for_selector("#answer[aria-busy=false]")
            page.locator("#clear").click()
        times: list[float] = page.evaluate("window.answered")
        return times


@contextmanager
def keep_open(url: str, *, draws: bool) -> Iterator[None]:
    """Asks what an open page asks, until the context is left; all of it, where somebody draws."""
    ended = threading.Event()

    def ask() -> None:
        """Each thing at its pace."""
        with httpx.Client(base_url=url, timeout=60) as client:
            due_s = {"summary": 0.0, "metrics": 0.0}
            while not ended.is_set():
                now_s = time.monotonic()
                if now_s >= due_s["summary"]:
                    client.get("v1/models/mnist/summary").raise_for_status()
                    due_s["summary"] = now_s + WATCH_S
                if now_s >= due_s["metrics"]:
                    client.get("metrics").raise_for_status()
                    due_s["metrics"] = now_s + SCRAPE_S
                if draws:
                    client.post("v2/models/mnist/infer", json=INFER).raise_for_status()
                    client.post("v1/models/mnist:explain", json=EXPLAIN).raise_for_status()
                ended.wait(POINT_S)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def count_calls(server: ServerProcess, rounds: int) -> dict[str, list[float]]:
    """Calls a second, in each round without a page, beside an open one, and beside a drawing."""
    rates: dict[str, list[float]] = {NO_PAGE: [], "an open page": [], "somebody draws": []}
    request = Request(1, pb.DATA_TYPE_UINT8)
    for number in range(rounds + 1):  # the first is not counted
        for name, measured in rates.items():
            if name == NO_PAGE:
                rate = calls_per_second(server.address, request, in_flight=64, calls=CALLS)
            else:
                with keep_open(server.page, draws=name == "somebody draws"):
                    rate = calls_per_second(server.address, request, in_flight=64, calls=CALLS)
            if number:
                measured.append(rate)
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
            browser_ms = {
                "first paint": [open_page(browser, server.page) for _ in range(OPENINGS)],
                "a point of a stroke, answered": draw(browser, server.page),
            }
            browser.close()
        results = {
            "machine": describe_machine(),
            "browser_ms": browser_ms,
            "calls_a_second": count_calls(server, rounds),
        }
    section = render_page(results)
    publish(results, PAGE, PAGE_PAGE, section)
    print(section)


if __name__ == "__main__":
    main()

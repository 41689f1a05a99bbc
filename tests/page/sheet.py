"""The page in a browser, and what people do with it."""

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from page.handwriting import Handwritten, Stroke
from playwright.sync_api import ConsoleMessage, Page, Request

NOTHING: Final = "\N{EN DASH}"
"""What stands where there is nothing to show."""

MINUS: Final = "\N{MINUS SIGN}"

TIMES: Final = "\N{MULTIPLICATION SIGN}"

NETWORK: Final = "Failed to load resource"
"""How the browser notes what the server did not answer, or refused: no fault of the page."""

READY: Final = "#version:enabled"

PATIENCE_S: Final = 60.0
"""A machine that does much else is waited for; who waits goes on as soon as it can."""

WINDOW: Final = {"width": 1280, "height": 900}
"""Pixels: the whole of the drawing is in it, so that nothing scrolls under the hand."""

RECORD: Final = """
  window.told = { answered: [], explained: [] };
  for (const name of ["answered", "explained"]) {
    document.addEventListener(name, (event) => window.told[name].push(event.detail));
  }
"""
"""Keeps what the page was told, beside what it shows."""


@dataclass
class Sheet:
    """The page in a browser, and what people do with it."""

    page: Page
    origin: str
    faults: list[str] = field(default_factory=list)
    """Errors on the console, but for those of the network."""
    strangers: list[str] = field(default_factory=list)
    """What was asked of others than the server."""

    def draw(self, *strokes: Stroke, steps: int = 2) -> None:
        """Strokes of the mouse, in fractions of the pad."""
        pad = self.page.locator("#pad")
        pad.scroll_into_view_if_needed()
        box = pad.bounding_box()
        assert box

        def at(point: tuple[float, float]) -> tuple[float, float]:
            """In the window."""
            return box["x"] + point[0] * box["width"], box["y"] + point[1] * box["height"]

        mouse = self.page.mouse
        for first, *others in strokes:
            mouse.move(*at(first))
            mouse.down()
            for point in others:
                mouse.move(*at(point), steps=steps)
            mouse.up()

    def write(self, digit: Handwritten) -> str:
        """Draws a digit on an empty pad, and gives what the page says of it."""
        self.clear()
        self.set_pen(digit.pen)
        self.draw(*digit.strokes, steps=1)
        self.settle()
        return self.text("#best")

    def set_pen(self, width: int) -> None:
        """Moves the slider."""
        self.page.locator("#width").fill(str(width))

    def clear(self) -> None:
        """Empties the pad, where there is something on it."""
        if self.page.locator("#clear").is_enabled():
            self.page.locator("#clear").click()

    def settle(self) -> None:
        """Waits until the answer that is shown is that to what is drawn."""
        self.page.wait_for_selector("#answer[aria-busy=false]")

    def wait_for_answers(self, count: int) -> None:
        """Until so many were told of.

        Asked from here: what waits in the page itself is evaluated there, which its policy forbids.
        """
        end_s = time.monotonic() + PATIENCE_S
        while self.page.evaluate("window.told.answered.length") < count:
            assert time.monotonic() < end_s
            self.page.wait_for_timeout(20)

    def look_inside(self) -> dict[str, Any]:
        """Goes there, waits until it is about what is drawn, and gives the explanation."""
        self.settle()
        self.page.locator("#circuit").scroll_into_view_if_needed()
        self.page.wait_for_selector("#circuit[aria-busy=false]")
        return self.last("explained")

    def wait_for_text(self, selector: str, text: str, timeout_s: float = PATIENCE_S) -> None:
        """Waits until it stands there."""
        self.page.locator(selector).filter(has_text=text).wait_for(timeout=1e3 * timeout_s)

    def text(self, selector: str) -> str:
        """What stands there."""
        return self.page.locator(selector).inner_text().strip()

    def values(self, selector: str) -> dict[str, str]:
        """A list of facts, by their names."""
        names = self.page.locator(f"{selector} dt").all_inner_texts()
        return dict(zip(names, self.page.locator(f"{selector} dd").all_inner_texts(), strict=True))

    def last(self, name: str) -> dict[str, Any]:
        """What the page was told last: `answered` or `explained`."""
        told: dict[str, Any] = self.page.evaluate(f"window.told.{name}.at(-1)")
        return told

    def colours(self, selector: str) -> npt.NDArray[np.int64]:
        """The pixels of a canvas, [height, width, 4]: red, green, blue, alpha."""
        data, width = self.page.evaluate(
            """(selector) => {
              const { width, height } = document.querySelector(selector);
              const copy = new OffscreenCanvas(width, height);
              const context = copy.getContext("2d", { willReadFrequently: true });
              context.drawImage(document.querySelector(selector), 0, 0);
              const { data } = context.getImageData(0, 0, width, height);
              let text = "";
              for (let at = 0; at < data.length; at += 32768) {
                text += String.fromCharCode(...data.subarray(at, at + 32768));
              }
              return [btoa(text), width];
            }""",
            selector,
        )
        levels = np.frombuffer(base64.b64decode(data), np.uint8)
        return levels.astype(np.int64).reshape(-1, width, 4)

    def watch(self) -> None:
        """Notes from now on what goes wrong."""
        self.page.on("console", self._note_message)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", self._note_request)

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(NETWORK):
            self.faults.append(message.text)

    def _note_request(self, request: Request) -> None:
        if not request.url.startswith(self.origin):
            self.strangers.append(request.url)


OpenPage: TypeAlias = Callable[..., Sheet]

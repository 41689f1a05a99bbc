"""The page for everybody: tokens, labels, contrast, no strangers, little to load."""

from importlib.resources import files
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from flatdense_server.security.tokens import make_token, write_line
from page.handwriting import write_digits
from page.reported import Reported
from page.sheet import OpenPage
from page.write_samples import FILE, render
from server_process import ServerProcess

pytestmark = pytest.mark.xdist_group("page")

SEVEN = next(digit for digit in write_digits() if digit.label == 7)

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}

SERIOUS = {"serious", "critical"}

MOST_BYTES = 200_000


@pytest.mark.parametrize(
    "options",
    [{"color_scheme": "light"}, {"color_scheme": "dark"}, PHONE],
    ids=["light", "dark", "phone"],
)
def test_axe_finds_nothing_serious(
    open_page: OpenPage, reported: Reported, options: dict[str, object]
) -> None:
    """On the whole page with everything shown, in either theme and on a phone."""
    sheet = open_page(reported.page, reduced_motion="reduce", **options)
    sheet.write(SEVEN)
    sheet.look_inside()
    sheet.page.locator("#report").wait_for()
    sheet.page.locator("#operate").scroll_into_view_if_needed()
    sheet.wait_for_text("#workers", "workers that take calls")
    found = Axe().run(sheet.page).response["violations"]
    assert [
        (each["id"], [node["html"] for node in each["nodes"]])
        for each in found
        if each["impact"] in SERIOUS
    ] == []


def test_a_phone_scrolls_in_one_direction(open_page: OpenPage, reported: Reported) -> None:
    """Nothing is wider than its window."""
    sheet = open_page(reported.page, **PHONE)
    sheet.write(SEVEN)
    sheet.page.locator("#report").wait_for()
    assert sheet.page.evaluate("document.documentElement.scrollWidth") == 390


def test_the_whole_page_is_reached_by_the_tab_key(open_page: OpenPage) -> None:
    """Pad, tools, samples, signal, a neuron, an output, in the order that they have."""
    sheet = open_page()
    sheet.draw(*SEVEN.strokes)
    reached: list[str] = [sheet.page.evaluate("document.activeElement.id")]
    for _ in range(70):
        sheet.page.keyboard.press("Tab")
        name = sheet.page.evaluate(
            "(document.activeElement.closest('[id]') ?? document.activeElement).id"
        )
        if name not in reached:
            reached.append(name)
    wanted = ["pad", "undo", "clear", "width", "file", "samples", "signal", "again", "board"]
    assert [name for name in reached if name in {*wanted, "outputs"}] == [*wanted, "outputs"]


def test_nothing_jumps(open_page: OpenPage) -> None:
    """What is answered, and what is loaded, moves nothing that was there before."""
    sheet = open_page()
    sheet.page.evaluate(
        """() => {
          window.shifts = 0;
          new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) window.shifts += entry.value;
          }).observe({ type: "layout-shift", buffered: true });
        }"""
    )
    for digit in list(write_digits())[::20]:
        sheet.write(digit)
    assert sheet.page.evaluate("window.shifts") < 0.02


def test_the_page_is_small(page_server: ServerProcess) -> None:
    """All of its files together, uncompressed, are less than 200 KB."""
    folder = files("flatdense_server.http.page").joinpath("static")
    assert sum(len(file.read_bytes()) for file in folder.iterdir()) < MOST_BYTES
    for file in folder.iterdir():
        assert httpx.get(f"{page_server.page}page/{file.name}").status_code == 200


def test_the_samples_are_those_of_scikit_learn() -> None:
    """The file is what its script writes: no digit of another data set."""
    assert FILE.read_text() == render()


def test_a_token_is_asked_for_and_kept_in_memory_alone(
    open_page: OpenPage,
    exported_model: Path,
    tmp_path: Path,
    compiled: Path,  # noqa: ARG001
) -> None:
    """A wrong one is refused in words, a good one works, and nothing is stored."""
    token, file = make_token(), tmp_path / "tokens"
    file.write_text(write_line("alice", "inference", token))
    options = ("--model-dir", str(exported_model), "--engine", "aot", "--workers", "1")
    with ServerProcess(*options, "--token-file", str(file)) as server:
        server.ready()
        sheet = open_page(server.page, until="#token[open]")
        text = sheet.page.locator("#token-text")
        text.fill("wrong")
        text.press("Enter")
        sheet.wait_for_text("#token-note", "a valid token is required.")
        text.fill(token)
        text.press("Enter")
        sheet.page.wait_for_selector("#version:enabled")
        assert sheet.write(SEVEN) == "7"
        kept = sheet.page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]")
        assert kept == [0, 0, ""]
        assert token not in sheet.page.content()
        sheet.page.reload()
        sheet.page.wait_for_selector("#token[open]")


def test_no_page_turns_it_off(exported_model: Path, compiled: Path) -> None:  # noqa: ARG001
    """No page, no parts of it, no weights, no report; REST is as it was."""
    options = ("--model-dir", str(exported_model), "--engine", "aot", "--workers", "1")
    with ServerProcess(*options, "--no-page") as server:
        server.ready()
        gone = [
            "",
            "page/main.js",
            *(f"v1/models/mnist/versions/1/{name}" for name in ("weights", "report")),
        ]
        assert {httpx.get(server.page + path).status_code for path in gone} == {404}
        assert httpx.get(f"{server.page}v1/models/mnist/summary").status_code == 200
        assert "/" not in httpx.get(f"{server.page}openapi.json").json()["paths"]

"""A real browser, and a server whose page it opens."""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from flatdense_artifact import Weights
from flatdense_artifact.weights import read_weights
from page.reported import Reported, make_model_dir, make_report
from page.sheet import PATIENCE_S, READY, RECORD, WINDOW, OpenPage, Sheet
from playwright.sync_api import Browser, sync_playwright
from server_process import ServerProcess


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("the page is tested in a browser: install Debian's package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page_server(exported_model: Path, compiled: Path) -> Iterator[ServerProcess]:  # noqa: ARG001
    """The repository's model, served by one worker."""
    options = ("--model-dir", str(exported_model), "--engine", "aot", "--workers", "1")
    with ServerProcess(*options) as process:
        process.ready()
        yield process


@pytest.fixture(scope="module")
def weights(exported_model: Path) -> Weights:
    """Of the repository's model, read without the server."""
    manifest = json.loads((exported_model / "1" / "manifest.json").read_text())
    layers = manifest["architecture"]["layers"]
    names = [layer["name"] for layer in layers if layer["kind"] == "Dense"]
    return read_weights(exported_model / "1", names)


@pytest.fixture
def open_page(browser: Browser, page_server: ServerProcess) -> Iterator[OpenPage]:
    """Opens the page of a server; in the end no script failed, and nobody else was asked."""
    sheets: list[Sheet] = []
    with ExitStack() as opened:

        def open_page(
            url: str = page_server.page, *, until: str = READY, **options: object
        ) -> Sheet:
            """In a window of its own, ready."""
            context = opened.enter_context(browser.new_context(**{"viewport": WINDOW, **options}))
            page = context.new_page()
            page.set_default_timeout(1e3 * PATIENCE_S)
            sheet = Sheet(page, url)
            page.add_init_script(RECORD)
            sheet.watch()
            page.goto(url)
            if until:
                page.wait_for_selector(until)
            sheets.append(sheet)
            return sheet

        yield open_page
        for sheet in sheets:
            assert sheet.faults == []
            assert sheet.strangers == []


@pytest.fixture(scope="module")
def reported(
    exported_model: Path,
    compiled: Path,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Reported]:
    """A server with a version that has a report, and one that has none."""
    model_dir = tmp_path_factory.mktemp("reported")
    report, initial = make_report(), np.random.default_rng(1).uniform(-1, 1, (784, 256))
    make_model_dir(exported_model, model_dir, report, initial)
    options = ("--model-dir", str(model_dir), "--engine", "aot", "--workers", "1")
    with ServerProcess(*options) as process:
        process.ready()
        yield Reported(process.page, model_dir, report, initial)

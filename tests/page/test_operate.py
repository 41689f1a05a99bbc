"""What the page reads out of /metrics is what Prometheus would."""

import re

import httpx
import numpy as np
import pytest
from page.handwriting import write_digits
from page.sheet import NOTHING, OpenPage
from prometheus_client.parser import text_string_to_metric_families
from server_process import ServerProcess

pytestmark = pytest.mark.xdist_group("page")

SEVEN = next(digit for digit in write_digits() if digit.label == 7)

READ = """async (text) => {
  const { between, quantile, Scrape, shares } = await import("/page/metrics.js");
  const scrape = new Scrape(text, 0);
  const times = scrape.buckets("flatdense_request_duration_seconds");
  return {
    calls: scrape.sum("flatdense_requests_total"),
    workers: scrape.sum("flatdense_workers"),
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    none: quantile(between(scrape, scrape, "flatdense_request_duration_seconds"), 0.5),
    shares: shares(scrape.buckets("flatdense_batch_rows")).map(({ value }) => value),
  };
}"""


def read_buckets(text: str, name: str) -> list[tuple[float, float]]:
    """A histogram over all labels: `le` and how many, cumulative."""
    sums: dict[float, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == f"{name}_bucket":
                le = float(sample.labels["le"])
                sums[le] = sums.get(le, 0) + sample.value
    return sorted(sums.items())


def test_metrics_are_read_as_prometheus_reads_them(
    open_page: OpenPage, page_server: ServerProcess
) -> None:
    """Sums over labels, and quantiles by histogram_quantile's rule."""
    sheet = open_page()
    sheet.write(SEVEN)
    text = httpx.get(f"{page_server.page}metrics", headers={"accept": "text/plain"}).text
    told = sheet.page.evaluate(READ, text)
    samples = [
        sample for family in text_string_to_metric_families(text) for sample in family.samples
    ]

    def total(name: str) -> float:
        """Over all labels."""
        return sum(sample.value for sample in samples if sample.name == name)

    assert told["calls"] == total("flatdense_requests_total") > 0
    assert told["workers"] == 1
    buckets = read_buckets(text, "flatdense_request_duration_seconds")
    edges, counts = np.array(buckets).T
    for share in (0.5, 0.99):
        at = int(np.searchsorted(counts, share * counts[-1]))
        low, before = (edges[at - 1], counts[at - 1]) if at else (0, 0)
        wanted = low + (edges[at] - low) * (share * counts[-1] - before) / (counts[at] - before)
        assert told[f"p{share * 100:.0f}"] == pytest.approx(wanted)
    assert told["none"] != told["none"]
    assert sum(told["shares"]) == pytest.approx(1)


def test_the_dials_move_while_somebody_looks(open_page: OpenPage) -> None:
    """Calls are counted; workers, versions and their states are told."""
    sheet = open_page()
    sheet.page.locator("#operate").scroll_into_view_if_needed()
    sheet.wait_for_text("#workers", "workers that take calls")
    assert sheet.values("#workers")["workers that take calls"] == "1"
    assert sheet.values("#workers")["compiled while serving"] == "0"
    row = sheet.page.locator("#versions tbody tr")
    assert row.locator("th, td").all_inner_texts() == ["1", "ready", NOTHING]
    dial = sheet.page.locator(".dial", has_text="calls a second").locator("b")
    dial.filter(has_text=re.compile(r"\d")).wait_for()
    for chart in ("batch", "confidence"):
        sheet.page.locator(f"#{chart}-chart svg").wait_for()


def test_nothing_is_read_while_nobody_looks(open_page: OpenPage) -> None:
    """With the dials out of sight /metrics is left alone."""
    sheet = open_page()
    asked: list[str] = []
    sheet.page.on("request", lambda request: asked.append(request.url))
    with sheet.page.expect_response("**/summary"):
        sheet.write(SEVEN)
    assert not [url for url in asked if url.endswith("/metrics")]

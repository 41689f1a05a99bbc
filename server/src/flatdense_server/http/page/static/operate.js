// What the server does now: read from /metrics while somebody looks.

import { drawBars, drawSpark } from "./charts.js";
import { byId, count, fillFacts, make, percent } from "./elements.js";
import { between, quantile, Scrape, shares } from "./metrics.js";

const EVERY_MS = 2000;
const KEPT = 60; // scrapes: two minutes
const WINDOW = 15; // of them count for a quantile: half a minute

const DIALS = {
  calls: "calls a second",
  p50: "p50, ms",
  p99: "p99, ms",
  rows: "rows in a batch",
  sure: "mean confidence",
  workers: "workers",
};

const FEATURES = { input_mean: "brightness", ink_share: "ink", confidence: "confidence", class: "answers" };

export class Operate {
  /** `read()` gives the text of /metrics. */
  constructor(read) {
    this.read = read;
    this.scrapes = [];
    this.course = Object.fromEntries(Object.keys(DIALS).map((name) => [name, []]));
    this.dials = Object.fromEntries(Object.entries(DIALS).map(([name, label]) => [name, makeDial(label)]));
    byId("dials").replaceChildren(...Object.values(this.dials).map(({ card }) => card));
    this.looked = false;
    this.timer = 0;
    new IntersectionObserver(([entry]) => {
      this.looked = entry.isIntersecting;
      this.go();
    }).observe(byId("operate"));
    document.addEventListener("visibilitychange", () => this.go());
  }

  async go() {
    clearTimeout(this.timer);
    if (!this.looked || document.hidden) return;
    const turn = (this.turn = {});
    try {
      const text = await this.read();
      this.add(new Scrape(text, performance.now()));
    } catch {
      // Whoever watches the server says so, and this asks again.
    }
    if (turn === this.turn) this.timer = setTimeout(() => this.go(), EVERY_MS);
  }

  add(scrape) {
    const last = this.scrapes.at(-1);
    // A server that was started again counts from 0.
    if (last && scrape.sum("flatdense_requests_total") < last.sum("flatdense_requests_total")) this.scrapes = [];
    this.scrapes = [...this.scrapes, scrape].slice(-KEPT);
    this.showDials();
    this.showHistograms();
    this.showDrift(scrape);
    this.showVersions(scrape);
  }

  showDials() {
    const now = this.scrapes.at(-1);
    const last = this.scrapes.at(-2);
    const early = this.scrapes.at(-WINDOW) ?? this.scrapes[0];
    const since = early === now ? null : early;
    const times = between(since, now, "flatdense_request_duration_seconds");
    const grew = (name) => now.sum(name) - (since?.sum(name) ?? 0);
    const mean = (name) => grew(`${name}_sum`) / grew(`${name}_count`);
    const values = {
      calls: last ? (1000 * (now.sum("flatdense_requests_total") - last.sum("flatdense_requests_total"))) / (now.atMs - last.atMs) : NaN,
      p50: 1000 * quantile(times, 0.5),
      p99: 1000 * quantile(times, 0.99),
      rows: mean("flatdense_batch_rows"),
      sure: mean("flatdense_confidence"),
      workers: now.sum("flatdense_workers"),
    };
    const write = { calls: (v) => (v < 10 ? v.toFixed(1) : count(v)), p50: (v) => v.toFixed(2), p99: (v) => v.toFixed(2), rows: (v) => v.toFixed(1), sure: (v) => percent(v), workers: count };
    for (const [name, value] of Object.entries(values)) {
      this.course[name] = [...this.course[name], value].slice(-KEPT);
      this.dials[name].number.textContent = Number.isFinite(value) ? write[name](value) : "–";
      drawSpark(this.dials[name].spark, this.course[name], KEPT);
    }
  }

  showHistograms() {
    const now = this.scrapes.at(-1);
    const charts = {
      "batch-chart": ["flatdense_batch_rows", "Rows in a batch", ({ from, le }) => (from + 1 >= le ? `${le}` : `≤${le}`)],
      "confidence-chart": ["flatdense_confidence", "Confidence", ({ le }) => `${Math.round(10000 * Math.min(1, le)) / 100}`],
    };
    for (const [id, [name, title, label]] of Object.entries(charts)) {
      const latest = shares(between(this.scrapes[0] === now ? null : this.scrapes[0], now, name));
      const parts = latest.length ? latest : shares(now.buckets(name));
      const note = !parts.length ? "Nothing yet." : latest.length && this.scrapes.length > 1 ? "In the last two minutes." : "Since the server started.";
      drawBars(byId(id), { title, note, bars: parts.map((part) => ({ name: label(part), value: part.value })) });
    }
  }

  showDrift(scrape) {
    const facts = {};
    for (const { labels, value } of scrape.all("flatdense_drift_psi")) {
      if (Number.isNaN(value)) continue;
      const verdict = value > 0.25 ? " – look" : value > 0.1 ? " – some" : "";
      facts[`${FEATURES[labels.feature] ?? labels.feature}, version ${labels.version}`] = value.toFixed(3) + verdict;
    }
    const rows = scrape.sum("flatdense_drift_window_rows");
    if (!Object.keys(facts).length) facts["not told yet"] = `${count(rows)} of 500 images`;
    fillFacts(byId("drift"), facts);
  }

  showVersions(scrape) {
    const labels = (version) => scrape.all("flatdense_model_label").filter((each) => each.value && each.labels.version === version).map((each) => each.labels.label);
    const states = scrape.all("flatdense_model_state").filter(({ value }) => value);
    const unique = new Map(states.map(({ labels: { version, state } }) => [version, state]));
    byId("versions").tBodies[0].replaceChildren(...[...unique].sort(([a], [b]) => a - b).map(([version, state]) => make("tr", {},
      make("th", { scope: "row", textContent: version }),
      make("td", { textContent: state }),
      make("td", { textContent: labels(version).join(", ") || "–" }),
    )));
    fillFacts(byId("workers"), {
      "workers that take calls": count(scrape.sum("flatdense_workers")),
      "replaced since the start": count(scrape.sum("flatdense_worker_restarts_total")),
      "calls refused": count(scrape.sum("flatdense_rejected_total")),
      "compiled while serving": count(scrape.all("flatdense_xla_compilations_total").filter(({ labels: { phase } }) => phase === "serving").reduce((sum, { value }) => sum + value, 0)),
    });
  }
}

function makeDial(label) {
  const number = make("b", { textContent: "–" });
  const spark = make("svg:svg", { viewBox: "0 0 100 28", preserveAspectRatio: "none", "aria-hidden": "true" });
  return { card: make("div", { className: "dial" }, make("span", { textContent: label }), number, spark), number, spark };
}

// What the version is and how it was trained: layers, figures, curves, mistakes, weights.

import { drawLines } from "./charts.js";
import { css, inked, onTheme, paint, readSigned, signed } from "./colours.js";
import { byId, count, fillFacts, make, percent } from "./elements.js";
import { SIDE } from "./prepare.js";
import { tiles, weightsOf } from "./weights.js";

export class ModelView {
  constructor() {
    this.summary = null;
    this.report = null;
    onTheme(() => this.repaint());
  }

  showSummary(summary) {
    this.summary = summary;
    const { training } = summary;
    byId("model-lead").textContent =
      `${summary.name}, version ${summary.version}: ${count(summary.parameters)} numbers, and nothing else.` +
      (training ? ` They were learnt from ${count(training.train_rows)} labelled images of ${training.dataset}.` : "");
    const shape = (layer) => layer.output_shape.map(count).join(" × ");
    const rows = summary.layers.map((layer) => make("tr", {},
      make("th", { scope: "row" }, layer.kind, layer.activation ? make("small", { textContent: ` ${layer.activation}` }) : ""),
      make("td", { textContent: shape(layer) }),
      make("td", { className: "number", textContent: count(layer.parameters) }),
    ));
    const total = make("tr", { className: "total" }, make("th", { scope: "row", textContent: "Together" }), make("td"), make("td", { className: "number", textContent: count(summary.parameters) }));
    byId("layers").tBodies[0].replaceChildren(...rows, total);
    this.showQuality();
  }

  /** The report of the training; null where the version has none. */
  showReport(report) {
    this.report = report;
    byId("report").hidden = !report;
    byId("report-note").textContent = report
      ? ""
      : "This version came without a report of its training, so there are no curves and no mistakes to show. flatdense-train writes one with each version.";
    this.showQuality();
    if (!report) return;
    this.showCurves(report.epochs);
    this.showConfusion(report.confusion);
    this.showHardest(report.hardest);
  }

  /** All weights after training, and before it where there is a picture of them. */
  showWeights(weights, initial) {
    this.weights = weights;
    this.initial = initial;
    byId("mosaics").hidden = !weights;
    byId("mosaics-title").textContent = initial ? "Before training, and after" : "What all neurons look for";
    if (!weights) return;
    const across = Math.ceil(Math.sqrt(weights.hidden.units)) * SIDE;
    const canvas = byId("mosaic");
    canvas.width = canvas.height = across;
    const context = canvas.getContext("2d");
    const tile = new OffscreenCanvas(SIDE, SIDE);
    // One scale for all, as in the picture beside it. A few far weights would leave the others pale.
    const reach = weights.hidden.kernel.map(Math.abs).sort().at(-Math.ceil(weights.hidden.kernel.length / 1000));
    for (const { unit, left, top } of tiles(weights.hidden, SIDE)) {
      paint(tile, weightsOf(weights.hidden, unit), (weight) => signed(weight / reach));
      context.drawImage(tile, left, top);
    }
    const before = byId("mosaic-initial");
    before.parentElement.hidden = !initial;
    if (!initial) return;
    before.width = initial.width;
    before.height = initial.height;
    paint(before, readSigned(initial), signed);
  }

  repaint() {
    if (this.weights) this.showWeights(this.weights, this.initial);
    if (!this.report) return;
    this.showHardest(this.report.hardest);
    this.showConfusion(this.report.confusion);
  }

  showQuality() {
    const { training } = this.summary ?? {};
    const test = this.report?.test;
    const facts = {};
    if (test) {
      facts["right on test digits"] = percent(test.accuracy, 2);
      facts["95 % likely between"] = `${percent(test.accuracy_low, 2)} and ${percent(test.accuracy_high, 2)}`;
      facts.mistakes = `${count(test.rows - test.correct)} of ${count(test.rows)}`;
    } else if (training) {
      facts["right on test digits"] = percent(training.metrics.test_accuracy, 2);
      facts["test digits"] = count(training.test_rows);
    }
    if (training) {
      facts["right on validation digits"] = percent(training.metrics.validation_accuracy, 2);
      facts["trained for"] = `${training.epochs} epochs`;
      facts["trained on"] = new Date(1000 * training.created_at.seconds).toLocaleDateString("en-GB", { dateStyle: "long" });
    } else facts["not known"] = "The version does not say how it was trained.";
    fillFacts(byId("quality"), facts);
  }

  showCurves(epochs) {
    const column = (name) => epochs.map((epoch) => epoch[name]);
    drawLines(byId("loss-chart"), {
      title: "Loss",
      write: (value) => value.toFixed(2),
      series: [
        { name: "training", values: column("loss"), className: "quiet-line" },
        { name: "validation", values: column("validation_loss"), className: "main-line" },
      ],
    });
    drawLines(byId("accuracy-chart"), {
      title: "Accuracy",
      write: (value) => percent(value),
      series: [
        { name: "training", values: column("accuracy"), className: "quiet-line" },
        { name: "validation", values: column("validation_accuracy"), className: "main-line" },
      ],
    });
  }

  showConfusion(confusion) {
    const names = this.summary.class_names;
    const most = Math.max(1, ...confusion.flatMap((row, i) => row.filter((_, j) => i !== j)));
    const head = make("tr", {}, make("td"), ...names.map((name) => make("th", { scope: "col", textContent: name })));
    const rows = confusion.map((row, i) => make("tr", {}, make("th", { scope: "row", textContent: names[i] }), ...row.map((value, j) => {
      const cell = make("td", { textContent: value || "·" });
      if (i === j) cell.className = "right";
      else if (value) cell.style.backgroundColor = css("for", 0.08 + 0.4 * (value / most));
      return cell;
    })));
    byId("confusion").replaceChildren(make("caption", { className: "unseen", textContent: "Rows: the label. Columns: the answer." }), make("thead", {}, head), make("tbody", {}, ...rows));
  }

  showHardest(hardest) {
    byId("hardest-card").hidden = !hardest.length;
    const names = this.summary.class_names;
    byId("hardest").replaceChildren(...hardest.slice(0, 24).map(({ label, answer, confidence, pixels }) => {
      const told = `A ${names[label]}, taken for ${names[answer]}, ${percent(confidence, 0)} sure`;
      const canvas = make("canvas", { className: "pixels", width: SIDE, height: SIDE, role: "img", "aria-label": told });
      paint(canvas, Uint8Array.from(atob(pixels), (letter) => letter.charCodeAt(0)), (value) => inked(value / 255));
      const note = make("p", { "aria-hidden": "true" }, make("b", { textContent: names[answer] }), make("small", { textContent: ` is ${names[label]}` }));
      return make("li", {}, canvas, note);
    }));
  }
}

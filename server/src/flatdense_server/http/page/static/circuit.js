// 256 hidden neurons and the ten outputs: how each lights up, and what pulls at what.

import { css, onTheme, paint, readSigned, signed } from "./colours.js";
import { byId, fillFacts, make, percent, signedText } from "./elements.js";
import { SIDE } from "./prepare.js";
import { sumOf, weightsOf } from "./weights.js";

const ACROSS = 16;
const LINES = 56; // to the chosen output
const FAINT_LINES = 2; // to each other one

export class Circuit {
  /** `wish(index)` is told which class people look at; null for the most probable one. */
  constructor(wish) {
    this.wish = wish;
    this.isSeen = false; // what nobody looks at is not drawn, and not asked for
    this.cells = [];
    this.outputs = [];
    this.pinned = null;
    this.neuron = null; // the one that people chose
    this.weights = null;
    this.initial = null;
    this.pixels = null;
    this.explanation = null;
    this.links = byId("links");
    byId("board").addEventListener("keydown", (event) => this.walk(event));
    new ResizeObserver(() => this.drawLinks()).observe(byId("circuit"));
    this.sight = new IntersectionObserver((entries) => {
      this.isSeen = entries.at(-1).isIntersecting;
      if (this.isSeen) this.wish(this.pinned);
      this.refresh();
    }, { rootMargin: "25%" });
    this.sight.observe(byId("circuit").parentElement);
    onTheme(() => this.refresh());
  }

  /** As many neurons and outputs as the version has. */
  setShape(neurons, names) {
    if (neurons === this.cells.length && names.join() === this.outputs.map(({ name }) => name).join()) return;
    this.neuron = null;
    this.cells = Array.from({ length: neurons }, (_, i) => this.makeCell(i));
    const rows = [];
    for (let at = 0; at < neurons; at += ACROSS) {
      const row = make("div", { role: "row" }, ...this.cells.slice(at, at + ACROSS));
      rows.push(row);
    }
    byId("board").replaceChildren(...rows);
    this.outputs = names.map((name, i) => this.makeOutput(name, i));
    byId("outputs").replaceChildren(...this.outputs.map(({ button }) => button));
    const pulls = names.map((name) => make("li", {}, make("b", { textContent: name }), make("span", { className: "beam" }, make("i")), make("span", { className: "share", textContent: "–" })));
    byId("neuron-pulls").replaceChildren(...pulls);
    // Its place is taken before anybody looks, so that nothing moves when they do.
    this.showNeuron();
    this.showAttribution();
    this.refresh();
  }

  setWeights(weights) {
    this.weights = weights;
    this.refresh();
  }

  /** The picture of all weights before training, if there is one. */
  setInitial(bitmap) {
    this.initial = bitmap;
    this.refresh();
  }

  /** Where the logits of these pixels come from; null where there is nothing to say. */
  show(pixels, explanation) {
    this.pixels = pixels;
    this.explanation = explanation;
    this.refresh();
  }

  get chosenNeuron() {
    if (this.neuron !== null) return this.neuron;
    const pulls = this.pulls();
    return pulls ? pulls.indexOf(Math.max(...pulls)) : 0;
  }

  /** What each neuron adds to the logit that is explained. */
  pulls(output = this.explanation?.explained_class) {
    if (!this.explanation || !this.weights) return null;
    const { kernel, units } = this.weights.output;
    return this.explanation.hidden.map((lit, j) => lit * kernel[j * units + output]);
  }

  refresh() {
    if (!this.cells.length || !this.isSeen) return;
    const hidden = this.explanation?.hidden;
    const brightest = Math.max(1e-6, ...(hidden ?? [0]));
    this.cells.forEach((cell, i) => cell.style.setProperty("--lit", hidden ? (hidden[i] / brightest).toFixed(3) : 0));
    this.showOutputs();
    this.showNeuron();
    this.showAttribution();
    this.drawLinks();
  }

  // ---- Neurons.

  makeCell(index) {
    const cell = make("button", { type: "button", role: "gridcell", tabIndex: index ? -1 : 0, "aria-label": `Neuron ${index + 1}` });
    for (const name of ["pointerenter", "focus", "click"]) {
      cell.addEventListener(name, () => this.choose(index));
    }
    return cell;
  }

  choose(index) {
    if (this.neuron === index) return;
    this.neuron = index;
    this.showNeuron();
    this.drawLinks();
  }

  walk(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -ACROSS, ArrowDown: ACROSS };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const to = this.cells.indexOf(document.activeElement) + step;
    this.cells[to]?.focus();
  }

  showNeuron() {
    const index = this.chosenNeuron;
    this.cells.forEach((cell, i) => {
      cell.classList.toggle("chosen", i === index);
      cell.tabIndex = i === index ? 0 : -1;
    });
    const lit = this.explanation?.hidden[index];
    byId("neuron-title").textContent = `Neuron ${index + 1}`;
    this.cells[index].setAttribute("aria-label", lit === undefined ? `Neuron ${index + 1}` : `Neuron ${index + 1}, activation ${lit.toFixed(3)}`);
    const facts = { "signals × weights": "–", "bias": "–", "sum": "–" };
    if (this.weights) {
      const { hidden, output } = this.weights;
      const weights = weightsOf(hidden, index);
      const most = weights.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-9);
      paint(byId("neuron-weights"), weights, (weight) => signed(weight / most));
      const sum = this.pixels && lit !== undefined ? sumOf(hidden, index, this.pixels) : NaN;
      const bias = hidden.bias[index];
      facts["signals × weights"] = Number.isNaN(sum) ? "–" : signedText(sum - bias, 3);
      facts.bias = signedText(bias, 3);
      facts.sum = Number.isNaN(sum) ? "–" : signedText(sum, 3);
      this.showPulls(row(output, index));
    }
    facts.activation = lit === undefined ? "–" : lit.toFixed(3);
    fillFacts(byId("neuron-facts"), facts);
    this.showInitial(index);
  }

  showPulls(weights) {
    const most = Math.max(...weights.map(Math.abs), 1e-9);
    [...byId("neuron-pulls").children].forEach((item, i) => {
      const beam = item.querySelector("i");
      beam.style.transform = `scaleX(${weights[i] / most})`;
      beam.className = weights[i] < 0 ? "against" : "for";
      item.lastChild.textContent = signedText(weights[i], 3);
    });
  }

  showInitial(index) {
    byId("neuron-before").hidden = !this.initial;
    if (!this.initial) return;
    const left = (index % ACROSS) * SIDE;
    const top = Math.floor(index / ACROSS) * SIDE;
    paint(byId("neuron-initial"), readSigned(this.initial, left, top, SIDE, SIDE), signed);
  }

  // ---- Outputs.

  makeOutput(name, index) {
    const logit = make("span", { className: "logit", textContent: "–" });
    const share = make("span", { className: "share", textContent: "–" });
    const button = make("button", { type: "button", "aria-pressed": "false" }, make("b", { textContent: name }), logit, share);
    for (const event of ["pointerenter", "focus"]) button.addEventListener(event, () => this.wish(index));
    for (const event of ["pointerleave", "blur"]) button.addEventListener(event, () => this.wish(this.pinned));
    button.addEventListener("click", () => {
      this.pinned = this.pinned === index ? null : index;
      this.outputs.forEach(({ button: each }, i) => each.setAttribute("aria-pressed", i === this.pinned));
      this.wish(this.pinned ?? index);
    });
    return { name, button, logit, share };
  }

  showOutputs() {
    const told = this.explanation;
    this.outputs.forEach(({ name, button, logit, share }, i) => {
      logit.textContent = told ? signedText(told.logits[i], 1) : "–";
      share.textContent = told ? percent(told.probabilities[i], 0) : "–";
      button.classList.toggle("best", told?.class === i);
      button.classList.toggle("chosen", told?.explained_class === i);
      button.setAttribute("aria-label", told ? `Output ${name}, logit ${told.logits[i].toFixed(2)}, ${percent(told.probabilities[i])}` : `Output ${name}`);
    });
  }

  showAttribution() {
    const told = this.explanation;
    const canvas = byId("attribution");
    if (!told) {
      byId("output-title").textContent = "Output";
      fillFacts(byId("output-facts"), { "for": "–", "against": "–", "biases": "–", "sum, the logit": "–", "probability": "–" });
      paint(canvas, new Float32Array(SIDE * SIDE), signed);
      return;
    }
    const index = told.explained_class;
    const name = this.outputs[index]?.name ?? index;
    const most = Math.max(...told.contributions.map(Math.abs), 1e-9);
    paint(canvas, told.contributions, (value) => signed(value / most));
    const pixels = told.contributions.reduce((a, b) => a + b, 0);
    const spoke = told.contributions.filter((value) => value > 0).reduce((a, b) => a + b, 0);
    byId("output-title").textContent = `Output ${name}`;
    canvas.setAttribute("aria-label", `Pixels that spoke for ${name} and against it: ${signedText(spoke)} and ${signedText(pixels - spoke)}`);
    fillFacts(byId("output-facts"), {
      "for": make("span", { className: "for", textContent: signedText(spoke) }),
      "against": make("span", { className: "against", textContent: signedText(pixels - spoke) }),
      "biases": signedText(told.bias_contribution),
      "sum, the logit": signedText(told.logits[index]),
      "probability": percent(told.probabilities[index], 2),
    });
  }

  // ---- Lines between them.

  drawLinks() {
    cancelAnimationFrame(this.waiting);
    this.waiting = requestAnimationFrame(() => this.paintLinks());
  }

  paintLinks() {
    const { links } = this;
    const frame = byId("circuit").getBoundingClientRect();
    const ratio = devicePixelRatio;
    links.width = Math.round(frame.width * ratio);
    links.height = Math.round(frame.height * ratio);
    const context = links.getContext("2d");
    context.scale(ratio, ratio);
    if (!this.explanation || !this.weights) return;
    const board = byId("board").getBoundingClientRect();
    const targets = this.outputs.map(({ button }) => button.getBoundingClientRect());
    const isBelow = targets[0].top > board.bottom;
    const rows = Math.ceil(this.cells.length / ACROSS);
    const from = (j) => [
      board.left - frame.left + ((j % ACROSS) + 0.5) * (board.width / ACROSS),
      board.top - frame.top + (Math.floor(j / ACROSS) + 0.5) * (board.height / rows),
    ];
    const to = (c) => isBelow
      ? [(targets[c].left + targets[c].right) / 2 - frame.left, targets[c].top - frame.top]
      : [targets[c].left - frame.left, (targets[c].top + targets[c].bottom) / 2 - frame.top];
    const chosen = this.explanation.explained_class;
    const order = this.outputs.map((_, c) => c).sort((a, b) => (a === chosen) - (b === chosen));
    const most = Math.max(...this.pulls(chosen).map(Math.abs), 1e-9);
    for (const c of order) {
      const pulls = this.pulls(c);
      const strongest = pulls.map((_, j) => j).sort((a, b) => Math.abs(pulls[b]) - Math.abs(pulls[a]));
      for (const j of strongest.slice(0, c === chosen ? LINES : FAINT_LINES).reverse()) {
        const share = Math.min(1, Math.abs(pulls[j]) / most);
        if (share < 0.02) continue;
        context.strokeStyle = c === chosen
          ? css(pulls[j] < 0 ? "against" : "for", j === this.neuron ? 1 : 0.15 + 0.6 * share)
          : css("soft", 0.12);
        context.lineWidth = c === chosen ? 0.6 + 3 * share : 0.8;
        const [x, y] = from(j);
        const [endX, endY] = to(c);
        const middle = isBelow ? (board.bottom - frame.top + endY) / 2 : (board.right - frame.left + endX) / 2;
        context.beginPath();
        context.moveTo(x, y);
        if (isBelow) context.bezierCurveTo(x, middle, endX, middle, endX, endY);
        else context.bezierCurveTo(middle, y, middle, endY, endX, endY);
        context.stroke();
      }
    }
  }
}

/** What one unit's activation is multiplied by on its way to each unit of a layer. */
function row({ kernel, units }, unit) {
  return Array.from(kernel.subarray(unit * units, (unit + 1) * units));
}

// The 28x28 pixels, and the same pixels in one line of 784: row after row flies to its place.

import { css, inked, onTheme } from "./colours.js";
import { byId } from "./elements.js";
import { SIDE } from "./prepare.js";

const PIXELS = SIDE * SIDE;
const ROW_MS = 620;
const DELAY_MS = 60;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Unroll {
  constructor() {
    this.canvas = byId("unroll");
    this.context = this.canvas.getContext("2d");
    this.range = byId("signal");
    this.pixels = new Uint8Array(PIXELS);
    this.began = null; // when the rows began to fly
    this.range.addEventListener("input", () => this.draw());
    byId("again").addEventListener("click", () => this.play());
    for (const name of ["pointermove", "pointerdown"]) {
      this.canvas.addEventListener(name, (event) => this.point(event));
    }
    new ResizeObserver(() => this.fit()).observe(this.canvas);
    this.isSeen = false; // what nobody looks at is not drawn
    this.wasPlayed = false;
    this.sight = new IntersectionObserver((entries) => {
      const { isIntersecting, intersectionRatio } = entries.at(-1);
      this.isSeen = isIntersecting;
      if (intersectionRatio > 0.6 && !this.wasPlayed && this.pixels.some(Boolean)) this.play();
      this.draw();
    }, { threshold: [0, 0.61] });
    this.sight.observe(this.canvas);
    onTheme(() => this.draw());
  }

  show(pixels) {
    this.pixels = pixels ?? new Uint8Array(PIXELS);
    this.draw();
  }

  play() {
    this.wasPlayed = true;
    this.began = calm.matches ? null : performance.now();
    this.draw();
  }

  fit() {
    const { width, height } = this.canvas.getBoundingClientRect();
    const ratio = devicePixelRatio;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.size = { width, height };
    const strip = 30;
    const cell = Math.floor((height - strip - 44) / SIDE);
    this.grid = { cell, left: Math.round((width - cell * SIDE) / 2), top: 1 };
    this.strip = { cell: width / PIXELS, height: strip, top: height - strip - 1 };
    this.draw();
  }

  /** The signal under the pointer becomes the one that is told of. */
  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left;
    const y = event.clientY - box.top;
    const column = Math.floor((x - this.grid.left) / this.grid.cell);
    const row = Math.floor((y - this.grid.top) / this.grid.cell);
    let signal = -1;
    if (column >= 0 && column < SIDE && row >= 0 && row < SIDE) signal = row * SIDE + column;
    else if (y >= this.strip.top - 8) signal = Math.floor(x / this.strip.cell);
    if (signal < 0 || signal >= PIXELS) return;
    this.range.value = signal + 1;
    this.draw();
  }

  draw() {
    if (!this.grid || !this.isSeen || this.waiting) return;
    this.waiting = requestAnimationFrame((now) => {
      this.waiting = 0;
      this.paint(now);
    });
  }

  paint(now) {
    const { context, grid, strip } = this;
    context.clearRect(0, 0, this.size.width, this.size.height);
    const elapsed = this.began === null ? Infinity : now - this.began;
    const flying = elapsed < ROW_MS + DELAY_MS * SIDE;
    this.paintFrames();
    for (let row = 0; row < SIDE; row++) {
      this.paintRow(row, 0, flying && elapsed > row * DELAY_MS ? 0.35 : 1);
      const share = ease(Math.min(1, Math.max(0, (elapsed - row * DELAY_MS) / ROW_MS)));
      if (share > 0) this.paintRow(row, share, 1);
    }
    const signal = this.range.value - 1;
    const row = Math.floor(signal / SIDE);
    const column = signal % SIDE;
    byId("signal-note").textContent =
      `Row ${row + 1}, column ${column + 1} is signal ${signal + 1} of ${PIXELS}. ` +
      `Its ink is ${(this.pixels[signal] / 255).toFixed(2)}.`;
    if (flying) this.draw();
    else this.paintSignal(signal, row, column, grid, strip);
  }

  paintFrames() {
    const { context, grid, strip } = this;
    context.strokeStyle = css("line");
    context.lineWidth = 1;
    context.strokeRect(grid.left - 0.5, grid.top - 0.5, grid.cell * SIDE + 1, grid.cell * SIDE + 1);
    context.strokeRect(0.5, strip.top - 0.5, this.size.width - 1, strip.height + 1);
  }

  /** One row, `share` of its way from the grid (0) to the line (1). */
  paintRow(row, share, alpha) {
    const { context, grid, strip } = this;
    const between = (from, to) => from + (to - from) * share;
    const left = between(grid.left, row * SIDE * strip.cell);
    const top = between(grid.top + row * grid.cell, strip.top);
    const wide = between(grid.cell, strip.cell);
    const high = between(grid.cell, strip.height);
    context.globalAlpha = alpha;
    for (let column = 0; column < SIDE; column++) {
      const ink = this.pixels[row * SIDE + column];
      if (!ink && (share === 0 || share === 1)) continue;
      context.fillStyle = `rgb(${inked(ink / 255).join(" ")})`;
      context.fillRect(left + column * wide, top, wide + (share ? 0.3 : 0), high);
    }
    context.globalAlpha = 1;
  }

  paintSignal(signal, row, column, grid, strip) {
    const { context } = this;
    const x = grid.left + (column + 0.5) * grid.cell;
    const y = grid.top + (row + 0.5) * grid.cell;
    const end = (signal + 0.5) * strip.cell;
    context.strokeStyle = css("accent");
    context.lineWidth = 2;
    context.strokeRect(x - grid.cell / 2, y - grid.cell / 2, grid.cell, grid.cell);
    context.beginPath();
    context.moveTo(x, y + grid.cell / 2);
    context.bezierCurveTo(x, strip.top - 8, end, grid.top + grid.cell * SIDE, end, strip.top);
    context.lineTo(end, strip.top + strip.height);
    context.lineWidth = 1.5;
    context.stroke();
  }
}

function ease(share) {
  return share < 0.5 ? 4 * share ** 3 : 1 - (-2 * share + 2) ** 3 / 2;
}

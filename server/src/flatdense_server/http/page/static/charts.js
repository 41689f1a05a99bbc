// Small charts: lines over epochs, bars of a histogram, a spark of the last minutes.

import { make } from "./elements.js";

const WIDE = 320;
const HIGH = 150;
const WIDEST_BAR = 44;
const EDGE = { left: 40, right: 8, top: 10, bottom: 22 };

/** Lines over 1, 2, 3 ... Each of `series` is {name, values, className}. */
export function drawLines(figure, { title, series, write }) {
  const values = series.flatMap((each) => each.values);
  const low = Math.min(...values);
  const high = Math.max(...values, low + 1e-9);
  const length = Math.max(...series.map((each) => each.values.length));
  const x = (i) => EDGE.left + (i / Math.max(1, length - 1)) * (WIDE - EDGE.left - EDGE.right);
  const y = (value) => EDGE.top + ((high - value) / (high - low)) * (HIGH - EDGE.top - EDGE.bottom);
  const lines = series.map(({ values: own, className }) =>
    make("svg:polyline", { class: className, points: own.map((value, i) => `${x(i)},${y(value)}`).join(" ") }),
  );
  const last = series.map(({ name, values: own }) => `${name} ${write(own.at(-1))}`).join(", ");
  const picture = frame(`${title}: after ${length} epochs ${last}`, [
    ...[low, high].flatMap((value) => [rule(y(value)), label(EDGE.left - 6, y(value) + 4, write(value), "end")]),
    label(x(0), HIGH - 4, "1", "start"),
    label(WIDE - EDGE.right, HIGH - 4, `epoch ${length}`, "end"),
    ...lines,
  ]);
  const legend = make("figcaption", {}, `${title}: `, ...series.flatMap(({ name, className }) => [
    make("span", { className: `key ${className}` }), `${name} `,
  ]));
  figure.replaceChildren(picture, legend);
}

/** A bar for each of `bars`: {name, value}. */
export function drawBars(figure, { title, bars, note }) {
  const most = Math.max(...bars.map(({ value }) => value), 1e-9);
  const step = Math.min(WIDEST_BAR, (WIDE - 2 * EDGE.right) / Math.max(1, bars.length));
  const high = HIGH - EDGE.top - EDGE.bottom;
  const every = Math.ceil(bars.length / 12);
  const parts = bars.flatMap(({ name, value }, i) => {
    const tall = (value / most) * high;
    const left = EDGE.right + i * step;
    const bar = make("svg:rect", { x: left + 1, y: EDGE.top + high - tall, width: Math.max(1, step - 2), height: tall, rx: 2 });
    return i % every ? [bar] : [bar, label(left + step / 2, HIGH - 6, name, "middle")];
  });
  const told = bars.filter(({ value }) => value).map(({ name, value }) => `${name}: ${Math.round(100 * value)} %`).join(", ");
  figure.replaceChildren(
    frame(`${title}. ${told || "nothing yet"}`, [rule(EDGE.top + high, EDGE.right), ...parts]),
    make("figcaption", { textContent: note }),
  );
}

/** The course of a number, newest on the right; gaps where it was not known. */
export function drawSpark(svg, values, length) {
  const most = Math.max(...values.filter(Number.isFinite), 1e-9);
  const points = values
    .map((value, i) => [100 - ((values.length - 1 - i) / (length - 1)) * 100, 26 - (value / most) * 23])
    .filter(([, y]) => Number.isFinite(y))
    .map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`);
  svg.replaceChildren(make("svg:polyline", { points: points.join(" ") }));
}

function frame(told, parts) {
  return make("svg:svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": told }, ...parts);
}

function rule(y, left = EDGE.left) {
  return make("svg:line", { x1: left, x2: WIDE - EDGE.right, y1: y, y2: y });
}

function label(x, y, text, anchor) {
  return make("svg:text", { x, y, "text-anchor": anchor }, text);
}

// Colours of numbers: ink, and weights from blue (below 0) over nothing to red (above 0).

// How far the strongest colours of a report's pictures are from white, in green.
const REPORT_BLUE = 255 - 102;
const REPORT_RED = 255 - 24;

const themes = matchMedia("(prefers-color-scheme: dark)");

let palette = readPalette();

/** Calls back when the theme changes, and all that was painted must be painted anew. */
export function onTheme(repaint) {
  themes.addEventListener("change", () => {
    palette = readPalette();
    repaint();
  });
}

/** A colour of the style sheet, as [red, green, blue]. */
export function colour(name) {
  return palette[name];
}

/** The same for a style. */
export function css(name, alpha = 1) {
  return `rgb(${palette[name].join(" ")} / ${alpha})`;
}

/** The colour of a number from -1 to 1. */
export function signed(value) {
  return mix(palette.surface, value < 0 ? palette.against : palette.for, Math.min(1, Math.abs(value)));
}

/** The colour of a number from 0 to 1. */
export function inked(value) {
  return mix(palette.surface, palette.ink, value);
}

/** The numbers behind a report's picture of weights: its red is above 0, its blue below. */
export function readSigned(bitmap, left = 0, top = 0, width = bitmap.width, height = bitmap.height) {
  const copy = new OffscreenCanvas(width, height);
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, left, top, width, height, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  return Float32Array.from({ length: width * height }, (_, i) => {
    const [red, green, blue] = data.subarray(4 * i, 4 * i + 3);
    return red < blue ? (green - 255) / REPORT_BLUE : (255 - green) / REPORT_RED;
  });
}

/** Paints one pixel of the canvas for each value. */
export function paint(canvas, values, choose) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  values.forEach((value, i) => {
    image.data.set(choose(value), 4 * i);
    image.data[4 * i + 3] = 255;
  });
  context.putImageData(image, 0, 0);
}

function mix(from, to, share) {
  return from.map((value, i) => Math.round(value + (to[i] - value) * share));
}

function readPalette() {
  const style = getComputedStyle(document.documentElement);
  const names = ["surface", "ink", "soft", "line", "accent", "for", "against"];
  return Object.fromEntries(names.map((name) => [name, readHex(style.getPropertyValue(`--${name}`))]));
}

function readHex(text) {
  const digits = text.trim().slice(1);
  return [0, 2, 4].map((at) => parseInt(digits.slice(at, at + 2), 16));
}

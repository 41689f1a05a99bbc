// A picture of one digit, brought to the form of MNIST's images, as prepare_image of the Python SDK
// does it: 28x28, light ink on a dark ground.
//
//     picture -> ink, freed of its ground -> cropped -> 20 pixels long -> centred in 28x28
//
// A picture is {data, width, height}: brightness, 0 (black) to 255 (white), as a Float32Array.

export const SIDE = 28;

const DIGIT = 20; // the longest side of the digit inside the 28x28, as in MNIST
const WORKING = 256; // the longest side at which ink is looked for: averaging quiets grain
const SPECK_CELLS = 64; // specks, unlike the digit, fill none of so many cells
const FAINTEST_INK = 24; // the least difference from the ground that is ink and not grain
const GRAIN_REACH = 5; // how many times the median grain the strongest grain may be
const SHADE = 64; // how far the light on the ground may differ from its middle
const STROKE_PART = 4; // the widest stroke in a sharp shadow: the longest side, divided by this
const BORDER_PART = 0.05; // how much of the border may be ink before a sharp shadow is suspected
const MIDDLE_GREY = 128;
const FULL = 255;

/** There is no ink in the picture. */
export class Blank extends Error {}

/**
 * The picture in MNIST's form.
 *
 * Gives {pixels: Uint8Array(784), asIs, isInverted, scale}. Raises Blank.
 */
export function prepare(picture) {
  if (isMnist(picture)) {
    return { pixels: freeze(picture.data), asIs: true, isInverted: false, scale: 1 };
  }
  const [ink, isInverted] = findInk(shrink(picture, WORKING));
  const box = findDigit(ink);
  const digit = fit(cut(ink, box));
  const ratio = Math.max(picture.width, picture.height) / Math.max(ink.width, ink.height);
  const longest = Math.max(box.right - box.left, box.bottom - box.top) * ratio;
  return { pixels: freeze(centre(digit).data), asIs: false, isInverted, scale: DIGIT / longest };
}

/** Brightness of RGBA bytes: over white where they are transparent, or white ink over black. */
export function toGrey(rgba, width, height) {
  for (const ground of [255, 0]) {
    const data = new Float32Array(width * height);
    let low = 255;
    let high = 0;
    for (let i = 0; i < data.length; i++) {
      const at = 4 * i;
      const alpha = rgba[at + 3];
      let [red, green, blue] = [rgba[at], rgba[at + 1], rgba[at + 2]];
      if (alpha < 255) {
        const under = ground * (255 - alpha);
        red = Math.round((red * alpha + under) / 255);
        green = Math.round((green * alpha + under) / 255);
        blue = Math.round((blue * alpha + under) / 255);
      }
      const grey = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >>> 16;
      data[i] = grey;
      if (grey < low) low = grey;
      if (grey > high) high = grey;
    }
    // Else the ink is of the ground's own colour.
    if (low !== high || ground === 0) return { data, width, height };
  }
}

function isMnist(picture) {
  if (picture.width !== SIDE || picture.height !== SIDE) return false;
  if (median(border(picture)) >= MIDDLE_GREY) return false;
  if (greatest(picture.data) - least(picture.data) < FAINTEST_INK) throw blank();
  return true;
}

// ---- The ink: what stands out from its ground, light or dark, evenly lit or not.

function findInk(grey) {
  const ground = smoothGround(grey);
  let found = standOut(withData(grey, (value, i) => value - ground[i]));
  const part = found === null ? 1 : borderPart(found[0]);
  if (part > BORDER_PART) {
    // Where as much is on the border as before, it is a digit that fills the picture.
    found = findInShadow(grey, part / 2) ?? found;
  }
  if (found === null) throw blank();
  return found;
}

function standOut(difference, contrast = 2) {
  let lightPower = 0;
  let darkPower = 0;
  for (let i = 0; i < difference.data.length; i++) {
    const value = difference.data[i];
    if (value > 0) lightPower += value * value;
    else darkPower += value * value;
  }
  const isDark = lightPower <= darkPower;
  const ink = withData(difference, (value) => Math.max(isDark ? -value : value, 0));
  // The median, for ink that touches the border is not grain.
  const grain = median(border(difference).map(Math.abs));
  const strongest = greatest(ink.data);
  const floor = Math.max(GRAIN_REACH * grain, strongest / 8);
  if (strongest < Math.max(FAINTEST_INK, contrast * floor)) return null;
  const span = strongest - floor;
  return [withData(ink, (value) => clip((value - floor) / span, 0, 1) * FULL), isDark];
}

/** A smooth surface through the picture's border: a soft shadow across the paper is ground. */
function smoothGround(grey) {
  const { width, height } = grey;
  const along = (i, count) => (count > 1 ? -1 + (2 * i) / (count - 1) : -1);
  const terms = (i) => {
    const x = along(i % width, width);
    const y = along(Math.floor(i / width), height);
    return [1, x, y, x * y, x * x, y * y];
  };
  const places = borderPlaces(width, height);
  const middle = median(places.map((i) => grey.data[i]));
  // A stroke that runs off the picture is on the border too, and stands out.
  const near = places.filter((i) => Math.abs(grey.data[i] - middle) <= SHADE);
  const [a, b, c, d, e, f] = leastSquares(near.map(terms), near.map((i) => grey.data[i]));
  const surface = new Float32Array(grey.data.length);
  for (let i = 0; i < surface.length; i++) {
    const x = along(i % width, width);
    const y = along(Math.floor(i / width), height);
    surface[i] = a + b * x + c * y + d * x * y + e * x * x + f * y * y;
  }
  return surface;
}

/** Dark ink on paper where the edge of a shadow is sharp: what is too narrow to be ground. */
function findInShadow(grey, mostOnBorder) {
  const reach = Math.floor(Math.max(grey.width, grey.height) / STROKE_PART) | 1;
  const paper = spread(spread(grey, reach, Math.max), reach, Math.min);
  // Ink takes the same part of much light as of little.
  const difference = withData(grey, (v, i) => (v / Math.max(paper.data[i], 1) - 1) * FULL);
  // Grain alone parts the paper from the middle of it, and more so in the dark.
  const middle = median(difference.data);
  const found = standOut(withData(difference, (value) => value - middle), 4);
  if (found === null || borderPart(found[0]) > mostOnBorder) return null;
  const [ink, isDark] = found;
  // Where a shadow leaves the picture, its edge is left over.
  const reached = reachBorder(ink);
  const free = withData(ink, (value, i) => (reached[i] ? 0 : value));
  return isDark && greatest(free.data) > FULL / 4 ? [free, isDark] : null;
}

function borderPart(ink) {
  const values = border(ink);
  return values.filter((value) => value > 0).length / values.length;
}

/** Which inked pixels hang together with the border. */
function reachBorder({ data, width, height }) {
  const reached = new Uint8Array(data.length);
  const open = [];
  const visit = (x, y) => {
    const i = y * width + x;
    if (x < 0 || y < 0 || x >= width || y >= height || reached[i] || !(data[i] > 0)) return;
    reached[i] = 1;
    open.push([x, y]);
  };
  for (const i of borderPlaces(width, height)) visit(i % width, Math.floor(i / width));
  while (open.length) {
    const [x, y] = open.pop();
    for (let dy = -1; dy <= 1; dy++) for (let dx = -1; dx <= 1; dx++) visit(x + dx, y + dy);
  }
  return reached;
}

/** The most or the least of the `reach` pixels square around each. */
function spread(grey, reach, choose) {
  const { width, height } = grey;
  const half = reach >> 1;
  let { data } = grey;
  for (const [count, lines, step, next] of [[height, width, width, 1], [width, height, 1, width]]) {
    const wide = new Float32Array(data.length);
    const line = new Float32Array(count + reach - 1);
    for (let l = 0; l < lines; l++) {
      for (let i = 0; i < line.length; i++) {
        line[i] = data[l * next + clip(i - half, 0, count - 1) * step];
      }
      for (let seen = 1; seen < reach; ) {
        const by = Math.min(seen, reach - seen);
        for (let i = 0; i + by < line.length; i++) line[i] = choose(line[i], line[i + by]);
        seen += by;
      }
      for (let i = 0; i < count; i++) wide[l * next + i * step] = line[i];
    }
    data = wide;
  }
  return { data, width, height };
}

// ---- The digit: found in its ink, scaled, placed.

/** Where the digit is: specks of dust and grain lie outside. */
function findDigit(ink) {
  const coarse = shrink(ink, SPECK_CELLS);
  const cell = Math.max(ink.width, ink.height) / Math.max(coarse.width, coarse.height);
  const most = greatest(coarse.data) / 4;
  const rough = bounds(coarse, most);
  const x = Math.max(0, Math.floor((rough.left - 1) * cell));
  const y = Math.max(0, Math.floor((rough.top - 1) * cell));
  const near = cut(ink, {
    left: x,
    top: y,
    right: Math.min(ink.width, Math.ceil((rough.right + 1) * cell)),
    bottom: Math.min(ink.height, Math.ceil((rough.bottom + 1) * cell)),
  });
  const fine = bounds(near, 0);
  return { left: x + fine.left, top: y + fine.top, right: x + fine.right, bottom: y + fine.bottom };
}

function bounds({ data, width, height }, above) {
  const box = { left: width, top: height, right: 0, bottom: 0 };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!(data[y * width + x] > above)) continue;
      box.left = Math.min(box.left, x);
      box.right = Math.max(box.right, x + 1);
      box.top = Math.min(box.top, y);
      box.bottom = Math.max(box.bottom, y + 1);
    }
  }
  return box;
}

function cut({ data, width }, { left, top, right, bottom }) {
  const rows = [];
  for (let y = top; y < bottom; y++) rows.push(data.subarray(y * width + left, y * width + right));
  const joined = new Float32Array((right - left) * (bottom - top));
  rows.forEach((row, y) => joined.set(row, y * row.length));
  return { data: joined, width: right - left, height: bottom - top };
}

/** Scales the longest side to 20 pixels and the strongest ink to 255. */
function fit(ink) {
  const scale = DIGIT / Math.max(ink.width, ink.height);
  const side = (length) => Math.max(1, roundEven(length * scale));
  const digit = resize(ink, side(ink.width), side(ink.height), BILINEAR);
  const strongest = greatest(digit.data);
  return withData(digit, (value) => value * (FULL / strongest));
}

/** The 28x28 with the digit's centre of mass in the middle, as far as it fits. */
function centre(digit) {
  const { data, width, height } = digit;
  let mass = 0;
  let sumX = 0;
  let sumY = 0;
  data.forEach((value, i) => {
    mass += value;
    sumX += ((i % width) + 0.5) * value;
    sumY += (Math.floor(i / width) + 0.5) * value;
  });
  const corner = (sum, side) => clip(roundEven(SIDE / 2 - sum / mass), 0, SIDE - side);
  const left = corner(sumX, width);
  const top = corner(sumY, height);
  const whole = new Float32Array(SIDE * SIDE);
  for (let y = 0; y < height; y++) {
    whole.set(data.subarray(y * width, (y + 1) * width), (top + y) * SIDE + left);
  }
  return { data: whole, width: SIDE, height: SIDE };
}

function freeze(data) {
  return Uint8Array.from(data, roundEven);
}

// ---- Scaling, as Pillow does it: a weighted mean of the pixels under the filter.

const BOX = { reach: 0.5, weigh: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) };
const BILINEAR = { reach: 1, weigh: (x) => Math.max(0, 1 - Math.abs(x)) };

function shrink(grey, longest) {
  const scale = longest / Math.max(grey.width, grey.height);
  if (scale >= 1) return grey;
  const side = (length) => Math.max(1, roundEven(length * scale));
  return resize(grey, side(grey.width), side(grey.height), BOX);
}

function resize(grey, width, height, filter) {
  let { data } = grey;
  if (width !== grey.width) {
    data = resample(data, findTaps(grey.width, width, filter), {
      lines: grey.height, from: [grey.width, 1], to: [width, 1],
    });
  }
  if (height !== grey.height) {
    data = resample(data, findTaps(grey.height, height, filter), {
      lines: width, from: [1, width], to: [1, width], size: width * height,
    });
  }
  return { data, width, height };
}

function resample(data, taps, { lines, from, to, size = lines * taps.length }) {
  const scaled = new Float32Array(size);
  for (let line = 0; line < lines; line++) {
    for (let out = 0; out < taps.length; out++) {
      const { first, weights } = taps[out];
      let sum = 0;
      for (let k = 0; k < weights.length; k++) {
        sum += weights[k] * data[line * from[0] + (first + k) * from[1]];
      }
      scaled[line * to[0] + out * to[1]] = sum;
    }
  }
  return scaled;
}

/** Which pixels make each new one, and how much each counts. */
function findTaps(before, after, filter) {
  const scale = before / after;
  const wide = Math.max(scale, 1);
  const reach = filter.reach * wide;
  return Array.from({ length: after }, (_, out) => {
    const middle = (out + 0.5) * scale;
    const first = Math.max(0, Math.trunc(middle - reach + 0.5));
    const last = Math.min(before, Math.trunc(middle + reach + 0.5));
    const weights = [];
    for (let i = first; i < last; i++) weights.push(filter.weigh((i - middle + 0.5) / wide));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

// ---- Numbers.

/** What comes nearest to `rows` times it being `values`; the smallest such, where there are many. */
function leastSquares(rows, values) {
  const count = rows[0].length;
  const matrix = Array.from({ length: count }, () => new Float64Array(count + 1));
  rows.forEach((row, r) => {
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < count; j++) matrix[i][j] += row[i] * row[j];
      matrix[i][count] += row[i] * values[r];
    }
  });
  for (let i = 0; i < count; i++) matrix[i][i] += 1e-9 * rows.length;
  for (let i = 0; i < count; i++) {
    for (let r = i + 1; r < count; r++) {
      const factor = matrix[r][i] / matrix[i][i]; // positive definite: no pivot is needed
      for (let c = i; c <= count; c++) matrix[r][c] -= factor * matrix[i][c];
    }
  }
  const found = new Float64Array(count);
  for (let i = count - 1; i >= 0; i--) {
    let sum = matrix[i][count];
    for (let c = i + 1; c < count; c++) sum -= matrix[i][c] * found[c];
    found[i] = sum / matrix[i][i];
  }
  return found;
}

function borderPlaces(width, height) {
  const places = [];
  for (let i = 0; i < width; i++) places.push(i);
  for (let i = 0; i < width; i++) places.push((height - 1) * width + i);
  for (let y = 1; y < height - 1; y++) places.push(y * width, y * width + width - 1);
  return places;
}

function border(picture) {
  return borderPlaces(picture.width, picture.height).map((i) => picture.data[i]);
}

function withData({ data, width, height }, change) {
  const changed = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) changed[i] = change(data[i], i);
  return { data: changed, width, height };
}

function median(values) {
  const sorted = Float32Array.from(values).sort();
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

function greatest(values) {
  let most = -Infinity;
  for (let i = 0; i < values.length; i++) if (values[i] > most) most = values[i];
  return most;
}

function least(values) {
  return -greatest(values.map((value) => -value));
}

function clip(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** To the nearest whole number; halves to the even one, as Python does. */
function roundEven(value) {
  const near = Math.round(value);
  return Math.abs(value % 1) === 0.5 && near % 2 ? near - 1 : near;
}

function blank() {
  return new Blank("the picture is blank: no ink stands out from its ground");
}

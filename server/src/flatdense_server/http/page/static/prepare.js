// A picture of one digit, brought to the form of MNIST's images, as prepare_image of the Python SDK
// does it: 28x28, light ink on a dark ground.
//
//     picture -> ink, freed of its ground -> cropped -> 20 pixels long, at least 2.5 thick -> centred
//
// A picture is {data, width, height}: brightness, 0 (black) to 255 (white), as a Float32Array.

export const SIDE = 28;

const WORKING = 128; // the longest side at which ink is looked for: averaging quiets grain
const MARGIN = 0.25; // how far around the digit is looked at again from near
const SPECK_CELLS = 32; // into so many cells the longest side is cut to tell the digit from specks
const SPECK_PART = 0.125; // how much of a cell a speck fills at most
const FINE = 4; // pixels of the fine grid, on which the digit is laid out, in one of the 28
const DIGIT = 20; // the longest side of the digit inside the 28x28, as in MNIST
const CENTRE = 14.5; // where MNIST's images have their centre of mass
const PEN = 2.5; // the least thickness of the strokes

const FAINTEST_INK = 24; // the least difference from the ground that is ink and not grain
const GRAIN_REACH = 5; // how many times the median grain the strongest grain may be
const FAINTEST_PART = 0.3; // below which part of its strength nothing is ink: where a stroke ends
const GROUND_PART = 0.5; // below which part of it the ground may differ from place to place
const CONTRAST = 1.5; // how many times as strong as the strongest grain ink is, at least
const SHADOW_CONTRAST = 3;
const FULL_PART = 0.7; // from which part of its strength ink is full
const BLOTCHES = 8; // into so many cells the longest side is cut to tell the blotches of the paper
const LEAST_GROUND = 0.1; // a cell with less ground in it does not say what the ground is there
const SHADE = 64; // how far the light on the ground may differ from its middle
const STROKE_PART = 4; // the widest stroke in a sharp shadow: the longest side, divided by this
const SHADOW_RUN = 0.9; // how much of a shadow's share of the border is in one piece, at least
const BORDER_PART = 0.05; // how much of the border may be ink before a sharp shadow is suspected
const MIDDLE_GREY = 128;
const FULL = 255;

/** There is no ink in the picture. */
export class Blank extends Error {}

/** The picture in MNIST's form: {pixels: Uint8Array(784), asIs, isThickened}. Raises Blank. */
export function prepare(picture) {
  if (isMnist(picture)) return { pixels: freeze(picture.data), asIs: true, isThickened: false };
  const [digit, grown] = fit(findDigit(picture));
  return { pixels: freeze(centre(digit)), asIs: false, isThickened: grown > 0 };
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

/** How far each pixel stands out, and whether the ink is darker; `wanted` says it where known. */
function findInk(grey, wanted) {
  const ground = smoothGround(grey);
  const difference = withData(grey, (value, i) => value - ground[i]);
  const rough = standOut(difference, wanted);
  let found = standOut(level(difference), wanted);
  const part = rough ? borderPart(rough[0]) : 1;
  if (part > BORDER_PART) {
    const inShadow = wanted === false ? null : findInShadow(grey, part / 2);
    // Where as much is on the border as before, it is a digit that fills the picture.
    found = inShadow ?? (rough && !isShadow(rough[0]) ? found : null);
  }
  if (!found) throw blank();
  return found;
}

function standOut(difference, wanted, contrast = CONTRAST) {
  let isDark = wanted;
  if (isDark === undefined) {
    // Blotches are wider than strokes, and weaker.
    isDark = difference.data.reduce((sum, value) => sum + value ** 3, 0) <= 0;
  }
  const ink = withData(difference, (value) => Math.max(isDark ? -value : value, 0));
  const grain = grainOf(difference);
  const strength = strengthOf(ink.data, grain);
  if (strength < Math.max(FAINTEST_INK, contrast * grain)) return null;
  const floor = Math.max(grain, FAINTEST_PART * strength);
  const span = FULL_PART * strength - floor;
  return [withData(ink, (value) => clip((value - floor) / span, 0, 1) * FULL), isDark];
}

/** What the strongest grain of paper and sensor may be. */
function grainOf(difference) {
  // The median, for ink that touches the border is not grain.
  return GRAIN_REACH * median(border(difference).map(Math.abs));
}

/** How strong the ink is: the mean, for which each pixel counts as much as it is strong. */
function strengthOf(ink, grain) {
  let sum = 0;
  let power = 0;
  for (const value of ink) {
    if (!(value > grain)) continue;
    sum += value;
    power += value * value;
  }
  return sum ? power / sum : 0;
}

/** Without what the ground is near each pixel, between the strokes: blotches of the paper. */
function level(difference) {
  const { width, height } = difference;
  const strength = difference.data.map(Math.abs);
  const grain = grainOf(difference);
  const most = Math.max(grain, GROUND_PART * strengthOf(strength, grain));
  const isGround = withData(difference, (_, i) => (strength[i] <= most ? 1 : 0));
  // The edge of a stroke is blurred.
  const within = (i, count) => i > 0 && i < count - 1;
  const narrow = (mask, step, isWithin) => withData(mask, (value, i) =>
    isWithin(i) ? Math.min(value, mask.data[i - step], mask.data[i + step]) : value);
  const upright = narrow(isGround, width, (i) => within(Math.floor(i / width), height));
  const weight = narrow(upright, 1, (i) => within(i % width, width));
  const share = shrink(weight, BLOTCHES);
  const sum = shrink(withData(difference, (value, i) => value * weight.data[i]), BLOTCHES);
  const coarse = withData(sum, (value, i) => value / (share.data[i] + LEAST_GROUND));
  const ground = resize(coarse, width, height, BICUBIC);
  return withData(difference, (value, i) => value - ground.data[i]);
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
  const found = standOut(withData(difference, (value) => value - middle), undefined, SHADOW_CONTRAST);
  if (found === null || borderPart(found[0]) > mostOnBorder) return null;
  const [ink, isDark] = found;
  // Where a shadow leaves the picture, its edge is left over.
  const reached = reachBorder(ink);
  const free = withData(ink, (value, i) => (reached[i] ? 0 : value));
  return isDark && greatest(free.data) > FULL / 4 ? [free, isDark] : null;
}

/**
 * Whether it is wider than strokes are, and enters the picture at one place alone.
 *
 * A digit that fills the picture touches its border at several.
 */
function isShadow(ink) {
  const { data, width, height } = ink;
  const reach = Math.floor(Math.max(width, height) / STROKE_PART) | 1;
  const half = reach >> 1;
  const wide = width + 2 * half;
  const padded = new Float32Array(wide * (height + 2 * half));
  data.forEach((value, i) => {
    padded[(half + Math.floor(i / width)) * wide + half + (i % width)] = value > 0 ? 1 : 0;
  });
  const within = spread({ data: padded, width: wide, height: height + 2 * half }, reach, Math.min);
  if (greatest(within.data) === 0) return false;
  const inked = border(ink).map((value) => value > 0);
  const first = inked.indexOf(false);
  let run = 0;
  let longest = 0;
  for (let i = 0; first >= 0 && i < inked.length; i++) {
    run = inked[(first + i) % inked.length] ? run + 1 : 0;
    longest = Math.max(longest, run);
  }
  return longest >= SHADOW_RUN * inked.filter(Boolean).length;
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

/** The digit's ink: found in the whole picture, and again from near at what stood out there. */
function findDigit(picture) {
  const { width, height } = picture;
  const far = look(picture, { left: 0, top: 0, right: width, bottom: height });
  const { left, top, right, bottom } = far.box;
  const margin = Math.ceil(MARGIN * Math.max(right - left, bottom - top));
  const near = {
    left: Math.max(0, left - margin),
    top: Math.max(0, top - margin),
    right: Math.min(width, right + margin),
    bottom: Math.min(height, bottom + margin),
  };
  return look(picture, near, far.isDark).ink;
}

/** Finds the digit in a part of the picture. */
function look(picture, place, wanted) {
  const part = cut(picture, place);
  const [ink, isDark] = findInk(shrink(part, WORKING), wanted);
  const inner = boundDigit(ink);
  // The ink was looked for in a smaller picture.
  const across = part.width / ink.width;
  const down = part.height / ink.height;
  const box = {
    left: place.left + Math.floor(inner.left * across),
    top: place.top + Math.floor(inner.top * down),
    right: place.left + Math.ceil(inner.right * across),
    bottom: place.top + Math.ceil(inner.bottom * down),
  };
  return { ink: cut(ink, inner), isDark, box };
}

/** Where the digit is: specks of dust and grain lie outside. */
function boundDigit(ink) {
  const inked = withData(ink, (value) => (value > 0 ? 1 : 0));
  const coarse = shrink(inked, SPECK_CELLS);
  const cell = Math.max(ink.width, ink.height) / Math.max(coarse.width, coarse.height);
  const least = Math.min(SPECK_PART, greatest(coarse.data));
  const rough = bounds(withData(coarse, (value) => (value >= least ? 1 : 0)));
  const left = Math.max(0, Math.floor((rough.left - 1) * cell));
  const top = Math.max(0, Math.floor((rough.top - 1) * cell));
  const fine = bounds(cut(inked, {
    left,
    top,
    right: Math.min(ink.width, Math.ceil((rough.right + 1) * cell)),
    bottom: Math.min(ink.height, Math.ceil((rough.bottom + 1) * cell)),
  }));
  return { left: left + fine.left, top: top + fine.top, right: left + fine.right, bottom: top + fine.bottom };
}

function bounds({ data, width, height }) {
  const box = { left: width, top: height, right: 0, bottom: 0 };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!(data[y * width + x] > 0)) continue;
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

/** Scaled to the fine grid, and thickened where the pen was thin: [digit, by how many pixels]. */
function fit(ink) {
  const longest = DIGIT * FINE;
  let digit = scaleTo(ink, longest);
  const thickness = thicknessOf(digit);
  // What is thickened grows, and has to be smaller before.
  const lacking = Math.max(0, (PEN * FINE - thickness) / (1 - thickness / longest));
  const reach = roundEven(lacking / 2);
  if (reach) digit = thicken(scaleTo(ink, longest - 2 * reach), reach);
  const strongest = greatest(digit.data);
  return [withData(digit, (value) => value * (FULL / strongest)), 2 * reach];
}

function scaleTo(ink, longest) {
  const scale = longest / Math.max(ink.width, ink.height);
  const side = (length) => Math.max(1, roundEven(length * scale));
  return resize(ink, side(ink.width), side(ink.height), scale < 1 ? BOX : BILINEAR);
}

/** How wide strokes are: a stroke's outline is twice as long as it is, and its area the rest. */
function thicknessOf({ data, width, height }) {
  const at = (x, y) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : data[y * width + x]);
  let area = 0;
  let outline = 0;
  for (let y = -1; y < height; y++) {
    for (let x = -1; x < width; x++) {
      const here = at(x, y);
      area += here;
      outline += Math.hypot(at(x, y + 1) - here, at(x + 1, y) - here);
    }
  }
  return (2 * area) / outline;
}

/** Each pixel becomes as inked as the most inked one within reach: nearly a circle around it. */
function thicken(ink, reach) {
  const width = ink.width + 2 * reach;
  const height = ink.height + 2 * reach;
  let data = new Float32Array(width * height);
  ink.data.forEach((value, i) => {
    data[(reach + Math.floor(i / ink.width)) * width + reach + (i % ink.width)] = value;
  });
  for (let step = 0; step < reach; step++) {
    const isSquare = step % 2 === 1; // diamond and square in turn: an octagon
    const grown = data.slice();
    for (let i = 0; i < data.length; i++) {
      if (!data[i]) continue;
      // The margin is as wide as all steps together: nothing reaches over its edge.
      for (let dy = -1; dy <= 1; dy++) {
        for (let dx = -1; dx <= 1; dx++) {
          if (dx && dy && !isSquare) continue;
          const to = i + dy * width + dx;
          if (grown[to] < data[i]) grown[to] = data[i];
        }
      }
    }
    data = grown;
  }
  return { data, width, height };
}

/** The 28x28 with the digit's centre of mass on MNIST's, as far as it fits. */
function centre({ data, width, height }) {
  let mass = 0;
  let sumX = 0;
  let sumY = 0;
  data.forEach((value, i) => {
    mass += value;
    sumX += ((i % width) + 0.5) * value;
    sumY += (Math.floor(i / width) + 0.5) * value;
  });
  const corner = (sum, side) => clip(roundEven(CENTRE * FINE - sum / mass), 0, SIDE * FINE - side);
  const left = corner(sumX, width);
  const top = corner(sumY, height);
  const whole = new Float32Array(SIDE * SIDE);
  data.forEach((value, i) => {
    const x = Math.floor((left + (i % width)) / FINE);
    const y = Math.floor((top + Math.floor(i / width)) / FINE);
    whole[y * SIDE + x] += value / FINE ** 2;
  });
  return whole;
}

function freeze(data) {
  return Uint8Array.from(data, roundEven);
}

// ---- Scaling, as Pillow does it: a weighted mean of the pixels under the filter.

const BOX = { reach: 0.5, weigh: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) };
const BILINEAR = { reach: 1, weigh: (x) => Math.max(0, 1 - Math.abs(x)) };
const BICUBIC = { reach: 2, weigh: weighCubic };

function weighCubic(x) {
  const far = Math.abs(x);
  if (far < 1) return (1.5 * far - 2.5) * far * far + 1;
  return far < 2 ? ((-0.5 * far + 2.5) * far - 4) * far + 2 : 0;
}

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

/** The outermost pixels, on round the picture. */
function borderPlaces(width, height) {
  const places = [];
  for (let x = 0; x < width; x++) places.push(x);
  for (let y = 1; y < height; y++) places.push(y * width + width - 1);
  for (let x = width - 2; x >= 0; x--) places.push((height - 1) * width + x);
  for (let y = height - 2; y > 0; y--) places.push(y * width);
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

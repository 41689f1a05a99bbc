// Pictures that people drop, paste or choose, and the sample digits.

import { css } from "./colours.js";
import { toGrey } from "./prepare.js";

const MAX_BYTES = 100_000_000;
const MAX_PIXELS = 50_000_000; // as the SDK has it
const LONGEST = 1024; // more would be averaged away

/** A file that is no picture, or too big a one. The message says so. */
export class NoPicture extends Error {}

/** Reads a picture in a file. Gives {grey, show}; raises NoPicture. */
export async function readPicture(file) {
  const name = file.name || "This";
  if (file.size > MAX_BYTES) throw new NoPicture(`${name} is too big: expected at most 100 MB.`);
  const bitmap = await decode(file, name);
  if (bitmap.width * bitmap.height > MAX_PIXELS) {
    bitmap.close();
    throw new NoPicture(`${name} is too big: expected at most 50 megapixels.`);
  }
  const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
  const width = Math.max(1, Math.round(bitmap.width * scale));
  const height = Math.max(1, Math.round(bitmap.height * scale));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return {
    grey: toGrey(context.getImageData(0, 0, width, height).data, width, height),
    show: (onto, side) => showWhole(onto, side, canvas),
  };
}

/** A sample digit: 64 letters, one for each of 8x8 pixels, from `0` (paper) to `g` (full ink). */
export function readSample(letters) {
  const inks = Array.from(letters, (letter) => parseInt(letter, 17) / 16);
  // They fill their 8x8. With paper around it, ink that touches the border is no edge of a shadow.
  const data = new Float32Array(100).fill(255);
  inks.forEach((ink, i) => (data[10 * (1 + Math.floor(i / 8)) + 1 + (i % 8)] = Math.round(255 - 255 * ink)));
  const grey = { data, width: 10, height: 10 };
  return { grey, show: (onto, side) => showSample(onto, side, inks) };
}

function showSample(onto, side, inks) {
  const canvas = new OffscreenCanvas(10, 10);
  const context = canvas.getContext("2d");
  inks.forEach((ink, i) => {
    context.fillStyle = css("ink", ink);
    context.fillRect(1 + (i % 8), 1 + Math.floor(i / 8), 1, 1);
  });
  onto.imageSmoothingEnabled = true;
  onto.imageSmoothingQuality = "high";
  onto.drawImage(canvas, 0, 0, side, side);
}

function showWhole(onto, side, canvas) {
  const scale = side / Math.max(canvas.width, canvas.height);
  const width = canvas.width * scale;
  const height = canvas.height * scale;
  onto.drawImage(canvas, (side - width) / 2, (side - height) / 2, width, height);
}

async function decode(file, name) {
  try {
    return await createImageBitmap(file);
  } catch {
    throw new NoPicture(`${name} is not a picture that can be read. Try a PNG or a JPEG.`);
  }
}

// The drawing pad: strokes by mouse, touch, pen or keys; or a picture in their place.

import { css, onTheme } from "./colours.js";
import { toGrey } from "./prepare.js";

const SHOWN = 560; // pixels of the pad as it is shown
const READ = 256; // and as it is read: as much as ink is looked for in
const KEY_STEP = 12;

export class Pad {
  /** `changed(at)` is told of each change, with the time of what made it. */
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.context = canvas.getContext("2d");
    const paper = new OffscreenCanvas(READ, READ);
    this.paper = paper.getContext("2d", { willReadFrequently: true });
    this.marks = []; // strokes {width, points} and pictures {grey, show}
    this.cleared = []; // what the last clearing took away
    this.penWidth = 22;
    this.stroke = null;
    this.cursor = null; // of the keys: {x, y, down}
    this.redraw();
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.go(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => this.end());
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => this.leaveKeys());
    onTheme(() => this.redraw());
  }

  get isEmpty() {
    return this.marks.length === 0;
  }

  get canUndo() {
    return !this.isEmpty || this.cleared.length > 0;
  }

  /** What is drawn, for prepare(); null where nothing is. */
  read() {
    if (this.isEmpty) return null;
    const picture = this.marks[0];
    if (picture.grey) return picture.grey;
    return toGrey(this.paper.getImageData(0, 0, READ, READ).data, READ, READ);
  }

  undo() {
    if (this.isEmpty) this.marks = this.cleared;
    else if (this.marks.length === 1 && this.marks[0].before) this.marks = this.marks[0].before;
    else this.marks.pop();
    this.cleared = [];
    this.redraw();
    this.changed(performance.now());
  }

  clear() {
    this.cleared = this.marks;
    this.marks = [];
    this.redraw();
    this.changed(performance.now());
  }

  /** Shows a picture in place of all: `grey` is read, `show(context, side)` draws it. */
  place(grey, show) {
    this.marks = [{ grey, show, before: this.marks }];
    this.redraw();
    this.changed(performance.now());
  }

  begin(event) {
    if (event.button !== 0 || this.stroke) return;
    event.preventDefault();
    this.canvas.focus({ preventScroll: true, focusVisible: false });
    this.canvas.setPointerCapture(event.pointerId);
    this.leaveKeys();
    this.open(event.pointerId);
    this.add(this.place_of(event), event.timeStamp);
  }

  go(event) {
    if (this.stroke?.pointer !== event.pointerId) return;
    const between = event.getCoalescedEvents?.() ?? [];
    const points = (between.length ? between : [event]).map((each) => this.place_of(each));
    for (const point of points) this.extend(point);
    this.changed(event.timeStamp);
  }

  end() {
    this.stroke = null;
  }

  open(pointer) {
    // A stroke after a picture begins a new drawing.
    const before = this.marks[0]?.grey ? this.marks : null;
    if (before) this.marks = [];
    this.stroke = { pointer, width: this.penWidth, points: [], before };
    this.marks.push(this.stroke);
    this.cleared = [];
    if (before) this.redraw();
  }

  add(point, at) {
    this.extend(point);
    this.changed(at);
  }

  extend(point) {
    const { points, width } = this.stroke;
    points.push(point);
    const last = points.slice(-2);
    drawLine(this.context, last, width, css("ink"), SHOWN);
    drawLine(this.paper, last, width, "black", READ);
  }

  /** Where a pointer is, 0 to 256 both ways, and how hard a pen presses. */
  place_of(event) {
    const box = this.canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * READ,
      y: ((event.clientY - box.top) / box.height) * READ,
      press: event.pointerType === "pen" && event.pressure ? 0.5 + event.pressure : 1,
    };
  }

  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const step = steps[event.key];
    if (step) {
      this.cursor ??= { x: READ / 2, y: READ / 4, down: false };
      this.cursor.x = clip(this.cursor.x + step[0] * KEY_STEP);
      this.cursor.y = clip(this.cursor.y + step[1] * KEY_STEP);
      if (this.cursor.down) this.add({ ...this.cursor, press: 1 }, event.timeStamp);
    } else if (event.key === " ") {
      this.cursor ??= { x: READ / 2, y: READ / 4, down: false };
      this.cursor.down = !this.cursor.down;
      if (this.cursor.down) {
        this.open("keys");
        this.add({ ...this.cursor, press: 1 }, event.timeStamp);
      } else this.end();
    } else if (event.key === "Backspace" && this.canUndo) this.undo();
    else return;
    event.preventDefault();
    this.redraw();
  }

  leaveKeys() {
    if (!this.cursor) return;
    this.cursor = null;
    this.end();
    this.redraw();
  }

  redraw() {
    this.context.clearRect(0, 0, SHOWN, SHOWN);
    this.paper.fillStyle = "white";
    this.paper.fillRect(0, 0, READ, READ);
    for (const mark of this.marks) {
      if (mark.show) mark.show(this.context, SHOWN);
      else {
        drawLine(this.context, mark.points, mark.width, css("ink"), SHOWN);
        drawLine(this.paper, mark.points, mark.width, "black", READ);
      }
    }
    if (this.cursor) this.drawCursor();
  }

  drawCursor() {
    const scale = SHOWN / READ;
    this.context.beginPath();
    this.context.arc(this.cursor.x * scale, this.cursor.y * scale, this.penWidth, 0, 2 * Math.PI);
    this.context.lineWidth = 4;
    this.context.strokeStyle = css("accent", this.cursor.down ? 1 : 0.5);
    this.context.stroke();
  }
}

/** A line through points; a point alone is a dot. */
function drawLine(context, points, width, style, side) {
  const scale = side / READ;
  context.strokeStyle = style;
  context.lineCap = "round";
  for (let i = 0; i < points.length; i++) {
    const from = points[Math.max(0, i - 1)];
    const to = points[i];
    context.lineWidth = width * to.press * scale;
    context.beginPath();
    context.moveTo(from.x * scale, from.y * scale);
    context.lineTo(to.x * scale, to.y * scale);
    context.stroke();
  }
}

function clip(value) {
  return Math.min(Math.max(value, 10), READ - 10);
}

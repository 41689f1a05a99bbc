// The page: what is drawn goes to the server, and what it says is shown.

import { Answer } from "./answer.js";
import { Circuit } from "./circuit.js";
import { inked, onTheme, paint } from "./colours.js";
import { byId, make } from "./elements.js";
import { ModelView } from "./model.js";
import { Operate } from "./operate.js";
import { Pad } from "./pad.js";
import { NoPicture, readPicture, readSample } from "./picture.js";
import { Blank, prepare, SIDE } from "./prepare.js";
import { SAMPLES } from "./samples.js";
import { Away, Latest, Refused, Server } from "./server.js";
import { askToken } from "./token.js";
import { Unroll } from "./unroll.js";
import { readWeights } from "./weights.js";

const WATCH_MS = 3000;
const RETRY_MS = 500;
const TOAST_MS = 6000;
const EXPLAIN_MS = 250; // between two explanations: more often costs the server more than it shows

const server = new Server(askToken);
const answer = new Answer();
const unroll = new Unroll();
const model = new ModelView();
const circuit = new Circuit((index) => {
  explained = index;
  explaining.ask(pixels);
});
const pad = new Pad(byId("pad"), drawn);
const predicting = new Latest(predict);
const explaining = new Latest(explain, EXPLAIN_MS);
const watching = new Latest(watchOnce);

let pixels = null; // what the network sees now
let changedAt = 0; // when what is drawn changed last
let explained = null; // the class that people look at; null for the most probable one
let summary = null;
let shown = ""; // the version whose weights and report are shown
let unexplained = ""; // the version that cannot be explained, which was said once
let isAway = false;
let waiting = 0; // for the next look at the server
let hiding = 0;

new Operate(() => server.metrics());

// ---- From the drawing to what the network sees.

function drawn(at) {
  changedAt = at;
  byId("undo").disabled = !pad.canUndo;
  byId("clear").disabled = pad.isEmpty;
  byId("pad-hint").hidden = !pad.isEmpty;
  look();
}

function look() {
  const picture = pad.read();
  let note = "28 × 28 pixels, nothing else.";
  let reason = "Nothing drawn yet.";
  pixels = null;
  if (picture) {
    try {
      const prepared = prepare(picture);
      pixels = prepared.pixels;
      note = prepared.asIs
        ? "It had this form already."
        : `Cropped to the ink, ${prepared.isThickened ? "thickened, " : ""}scaled to 20 pixels, centred in 28 × 28.`;
    } catch (error) {
      if (!(error instanceof Blank)) throw error;
      reason = "There is no digit to see: all of it looks the same.";
    }
  }
  byId("seen-note").textContent = note;
  byId("seen").setAttribute("aria-label", pixels ? "The drawing, as 28 by 28 pixels" : "Nothing yet");
  paintSeen();
  unroll.show(pixels);
  setBusy("answer", pixels !== null);
  setBusy("circuit", pixels !== null);
  if (pixels) predicting.ask({ pixels, at: changedAt });
  else forget(reason);
}

function forget(reason) {
  answer.clear(reason);
  circuit.show(null, null);
}

/** Whether what is shown there is not yet about what is drawn. */
function setBusy(id, isBusy) {
  byId(id).setAttribute("aria-busy", isBusy);
}

function paintSeen() {
  paint(byId("seen"), pixels ?? new Uint8Array(SIDE * SIDE), (value) => inked(value / 255));
}

// ---- From there to the answer.

async function predict(asked) {
  if (!summary) return;
  const began = performance.now();
  const told = await attempt(() => server.predict(asked.pixels));
  if (!told || !pixels) return;
  answer.show(told, performance.now() - began);
  document.dispatchEvent(new CustomEvent("answered", { detail: { pointMs: asked.at, shownMs: performance.now(), ...told } }));
  if (asked.pixels !== pixels) return;
  setBusy("answer", false);
  explaining.ask(pixels);
}

async function explain(asked) {
  if (!summary || !asked || !circuit.isSeen) return;
  if (unexplained === shown) {
    setBusy("circuit", false);
    return;
  }
  const told = await attempt(() => server.explain(asked, explained), (error) => {
    unexplained = shown;
    circuit.show(null, null);
    setBusy("circuit", false);
    say(error.message);
  });
  if (!told || asked !== pixels) return;
  circuit.show(asked, told);
  setBusy("circuit", false);
  document.dispatchEvent(new CustomEvent("explained", { detail: told }));
}

/** What `ask` gives; undefined where the server is away, or said no, which `refused` is told. */
async function attempt(ask, refused = (error) => say(error.message)) {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof Away) miss(error.message);
    else if (error instanceof Refused && error.status === 404 && server.version !== null) leaveVersion();
    else if (error instanceof Refused) refused(error);
    else throw error;
    return undefined;
  }
}

// ---- The server, and the version that is shown.

/** Looks at the server now, and again and again: more often while it is away. */
function watch() {
  clearTimeout(waiting);
  watching.ask();
}

async function watchOnce() {
  if (!document.hidden || !summary) await attempt(greet);
  clearTimeout(waiting);
  waiting = setTimeout(watch, isAway ? RETRY_MS : WATCH_MS);
}

async function greet() {
  if (!server.model || isAway) await server.greet();
  const found = await server.summarize();
  const identity = [found.name, found.version, found.training?.created_at?.seconds].join();
  const isNew = identity !== shown;
  if (isNew) await showVersion(found);
  summary = found;
  shown = identity;
  showVersions();
  const wasAway = isAway;
  isAway = false;
  document.body.classList.remove("away");
  if (wasAway) unsay();
  if (wasAway || isNew) look();
}

function showVersions() {
  const select = byId("version");
  const options = [["", `default (${server.version === null ? summary.version : "newest"})`], ...summary.available_versions.map((version) => [String(version), String(version)])];
  const wanted = options.map((option) => option.join()).join(";");
  if (select.dataset.options !== wanted) {
    select.dataset.options = wanted;
    select.replaceChildren(...options.map(([value, textContent]) => make("option", { value, textContent })));
    select.disabled = false;
  }
  select.value = server.version === null ? "" : String(server.version);
}

/** Layers, weights and report of a version. */
async function showVersion({ version, layers, class_names: names, ...rest }) {
  answer.setClasses(names);
  model.showSummary({ version, layers, class_names: names, ...rest });
  const dense = layers.filter(({ kind }) => kind === "Dense");
  circuit.setShape(dense.length ? dense[0].output_shape[0] : 256, names);
  const [weights, report, initial] = await Promise.all([
    server.weights(version),
    server.report(version),
    server.picture(version, "neurons_initial.png"),
  ]);
  const known = weights && dense.length === 2 ? readWeights(weights, layers) : null;
  circuit.setWeights(known);
  circuit.setInitial(initial);
  model.showReport(report);
  model.showWeights(known, initial);
}

function leaveVersion() {
  say(`Version ${server.version} is not served any more. This is the version that is served by default.`);
  server.version = null;
  watch();
}

function miss(reason) {
  if (!isAway) waiting = setTimeout(watch, RETRY_MS);
  isAway = true;
  document.body.classList.add("away");
  say(`${reason} It is asked again and again.`);
}

// ---- Sentences for people.

function say(text) {
  clearTimeout(hiding);
  const toast = byId("status");
  if (toast.textContent !== text) toast.textContent = text;
  toast.classList.add("shown");
  if (!isAway) hiding = setTimeout(unsay, TOAST_MS);
}

function unsay() {
  clearTimeout(hiding);
  byId("status").classList.remove("shown");
  byId("status").textContent = "";
}

// ---- What people do.

async function show(file) {
  try {
    const { grey, show: display } = await readPicture(file);
    pad.place(grey, display);
  } catch (error) {
    if (!(error instanceof NoPicture)) throw error;
    say(error.message);
  }
}

function offerSamples() {
  byId("samples").replaceChildren(...SAMPLES.map(({ label, pixels: letters }) => {
    const canvas = make("canvas", { width: 10, height: 10, className: "pixels" });
    const { grey, show: display } = readSample(letters);
    const draw = () => paint(canvas, grey.data, (value) => inked(1 - value / 255));
    draw();
    onTheme(draw);
    const button = make("button", { type: "button", "aria-label": `Sample: a ${label}` }, canvas);
    button.addEventListener("click", () => pad.place(grey, display));
    return button;
  }));
}

byId("undo").addEventListener("click", () => pad.undo());
byId("clear").addEventListener("click", () => pad.clear());
byId("width").addEventListener("input", (event) => (pad.penWidth = Number(event.target.value)));
byId("file").addEventListener("change", (event) => {
  if (event.target.files[0]) show(event.target.files[0]);
  event.target.value = "";
});
byId("version").addEventListener("change", (event) => {
  server.version = event.target.value === "" ? null : Number(event.target.value);
  watch();
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dragged");
});
for (const name of ["dragleave", "drop"]) {
  document.addEventListener(name, () => document.body.classList.remove("dragged"));
}
document.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files[0]) show(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files][0];
  if (file) show(file);
});
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "z" && pad.canUndo) {
    event.preventDefault();
    pad.undo();
  }
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) watch();
});

offerSamples();
onTheme(paintSeen);
drawn(performance.now());
watch();

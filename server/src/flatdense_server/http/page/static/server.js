// The server that this page came from, asked by the same REST that all callers use.

/** The server said no. The message is its own sentence. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** No answer: it is not there, or not ready. */
export class Away extends Error {}

const PATIENCE_MS = 10_000;
const ABSENT = new Set([502, 503, 504]);
const BUSY = 429;
const NOTHING = 204;

export class Server {
  /** `askToken(reason)` gives a promise of a token, where one is wanted. */
  constructor(askToken) {
    this.askToken = askToken;
    this.token = ""; // in memory alone
    this.model = "";
    this.version = null; // the one that is served by default
  }

  /** Finds the model's name, which paths have. */
  async greet() {
    const ready = await this.read("readyz");
    this.model = ready.model;
  }

  /** Layers, training, versions of the chosen version. */
  summarize() {
    return this.read(`${this.chosen("v1")}/summary`);
  }

  /** What the network says of 784 pixels, and how long the server took. */
  async predict(pixels) {
    const response = await this.ask(`${this.chosen("v2")}/infer`, {
      inputs: [{ name: "images", datatype: "UINT8", shape: [1, 784], data: [...pixels] }],
    }, { "flatdense-timing": "1" });
    const answer = await response.json();
    const output = answer.outputs.find(({ name }) => name === "probabilities");
    return {
      version: Number(answer.model_version),
      probabilities: output.data,
      timing: readTiming(response.headers.get("server-timing")),
    };
  }

  /** Where its logits come from. Without `classIndex` the most probable class is explained. */
  async explain(pixels, classIndex) {
    const body = { instances: [[...pixels]], signature_name: "serving_uint8" };
    if (classIndex !== null) body.class_index = classIndex;
    const response = await this.ask(`${this.chosen("v1")}:explain`, body);
    const answer = await response.json();
    return { version: Number(answer.model_version), ...answer.explanations[0] };
  }

  /** The weights of a version, a safetensors file; null where another program exported it. */
  weights(version) {
    return this.find(version, "weights", (response) => response.arrayBuffer());
  }

  /** The report of its training; null where it came without one. */
  report(version) {
    return this.find(version, "report", (response) => response.json());
  }

  /** A picture of the report; null where there is none. */
  picture(version, name) {
    return this.find(version, `report/${name}`, async (response) =>
      createImageBitmap(await response.blob(), { colorSpaceConversion: "none" }),
    );
  }

  /** What Prometheus reads. */
  async metrics() {
    const response = await this.ask("metrics", undefined, { accept: "text/plain" });
    return response.text();
  }

  async find(version, name, use) {
    const response = await this.ask(`${this.path("v1", version)}/${name}`);
    return response.status === NOTHING ? null : use(response);
  }

  chosen(protocol) {
    return this.path(protocol, this.version);
  }

  path(protocol, version) {
    const model = `${protocol}/models/${encodeURIComponent(this.model)}`;
    return version === null ? model : `${model}/versions/${version}`;
  }

  async read(path) {
    const response = await this.ask(path);
    return response.json();
  }

  /** A good response. Raises Refused and Away; asks for a token as often as it is needed. */
  async ask(path, body, more = {}) {
    for (;;) {
      const response = await this.send(path, body, more);
      if (response.ok) return response;
      const reason = await readReason(response);
      if (response.status === 401 || response.status === 403) {
        this.token = await this.askToken(response.status === 403 || this.token ? reason : "");
        continue;
      }
      if (ABSENT.has(response.status)) throw new Away(reason);
      if (response.status === BUSY) throw new Away(`The server is busy: ${reason}`);
      throw new Refused(response.status, reason);
    }
  }

  async send(path, body, more) {
    const headers = { ...more };
    if (this.token) headers.authorization = `Bearer ${this.token}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    try {
      return await fetch(path, {
        method: body === undefined ? "GET" : "POST",
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
    } catch {
      throw new Away("The server does not answer.");
    }
  }
}

/**
 * One thing at a time, and the newest next: what came between is left out. After each there is a
 * pause.
 */
export class Latest {
  constructor(work, pauseMs = 0) {
    this.work = work;
    this.pauseMs = pauseMs;
    this.busy = false;
    this.next = null;
  }

  ask(wanted) {
    this.next = { wanted };
    if (!this.busy) this.run();
  }

  async run() {
    this.busy = true;
    while (this.next) {
      const { wanted } = this.next;
      this.next = null;
      await this.work(wanted);
      if (this.pauseMs) await new Promise((resume) => setTimeout(resume, this.pauseMs));
    }
    this.busy = false;
  }
}

async function readReason(response) {
  try {
    const told = await response.json();
    return told.error ?? told.reason ?? response.statusText;
  } catch {
    return `The server answered ${response.status}.`;
  }
}

function readTiming(header) {
  const told = {};
  for (const [, name, ms] of (header ?? "").matchAll(/(\w+);dur=([\d.]+)/g)) told[name] = Number(ms);
  return told;
}

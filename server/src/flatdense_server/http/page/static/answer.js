// What the network says: the digit, ten bars, how long it took.

import { byId, make, percent } from "./elements.js";

const SPEAK_MS = 700; // after the last change: a voice cannot follow a pen

export class Answer {
  constructor() {
    this.rows = [];
    this.speaking = 0;
  }

  /** One bar for each class. */
  setClasses(names) {
    if (names.join() === this.rows.map(({ name }) => name).join()) return;
    this.rows = names.map((name) => {
      const fill = make("span", { className: "fill" });
      const share = make("span", { className: "share", textContent: "–" });
      const item = make("li", {}, make("b", { textContent: name }), make("span", { className: "track" }, fill), share);
      return { name, item, fill, share };
    });
    byId("bars").replaceChildren(...this.rows.map(({ item }) => item));
  }

  show({ probabilities, timing, version }, tookMs) {
    const best = probabilities.indexOf(Math.max(...probabilities));
    this.rows.forEach(({ item, fill, share }, i) => {
      fill.style.transform = `scaleX(${probabilities[i]})`;
      share.textContent = percent(probabilities[i]);
      item.classList.toggle("best", i === best);
    });
    const name = this.rows[best]?.name ?? best;
    byId("best").textContent = name;
    byId("sure").textContent = `${percent(probabilities[best])} sure`;
    byId("timing").textContent = [
      `Version ${version}.`,
      "total" in timing ? `The server took ${timing.total.toFixed(2)} ms, ${timing.compute.toFixed(2)} of them to compute.` : "",
      `There and back ${tookMs.toFixed(0)} ms.`,
    ].filter(Boolean).join(" ");
    this.speak(`${name}, ${percent(probabilities[best], 0)} sure`);
  }

  clear(reason) {
    for (const { item, fill, share } of this.rows) {
      fill.style.transform = "scaleX(0)";
      share.textContent = "–";
      item.classList.remove("best");
    }
    byId("best").textContent = "–";
    byId("sure").textContent = reason;
    byId("timing").textContent = "\u00a0";
    this.speak(reason);
  }

  speak(text) {
    clearTimeout(this.speaking);
    this.speaking = setTimeout(() => (byId("spoken").textContent = text), SPEAK_MS);
  }
}

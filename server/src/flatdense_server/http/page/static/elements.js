// Elements of the page, found and made.

export const byId = (id) => document.getElementById(id);

/** A new element with these properties and children; "data-", "aria-" and role are attributes. */
export function make(tag, properties = {}, ...children) {
  const element = tag.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element && !tag.startsWith("svg:")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Fills a list of facts: names and values. */
export function fillFacts(list, facts) {
  const flat = Object.entries(facts).flatMap(([name, value]) => [
    make("dt", { textContent: name }),
    make("dd", {}, value),
  ]);
  list.replaceChildren(...flat);
}

export const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;

/** With its sign, which is a real minus. */
export function signedText(value, digits = 2) {
  const text = Math.abs(value).toFixed(digits);
  return (value < 0 && Number(text) !== 0 ? "−" : "+") + text;
}

export const count = (value) => Math.round(value).toLocaleString("en");

// Asks people for the server's token. It goes to whoever asked, and is written nowhere.

import { byId } from "./elements.js";

let asking = null;

/** A promise of a token; `reason` says why the last one was not taken. One question at a time. */
export function askToken(reason) {
  asking ??= new Promise((resolve) => {
    const dialog = byId("token");
    const text = byId("token-text");
    byId("token-note").textContent = reason || "\u00a0";
    text.value = "";
    dialog.showModal();
    const settle = (event) => {
      event?.preventDefault();
      if (!text.value.trim()) return;
      dialog.removeEventListener("cancel", refuse);
      dialog.querySelector("form").removeEventListener("submit", settle);
      dialog.close();
      asking = null;
      const token = text.value.trim();
      text.value = "";
      resolve(token);
    };
    const refuse = (event) => event.preventDefault(); // without a token there is nothing to see
    dialog.addEventListener("cancel", refuse);
    dialog.querySelector("form").addEventListener("submit", settle);
  });
  return asking;
}

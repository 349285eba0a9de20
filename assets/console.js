// Keeps open pages up to date and spares clicks. Every page works without it.
"use strict";

// A part that changed is fetched anew, but never under somebody's hands: not while something in it is ticked, open, or being typed.
function inUse(part) {
  return part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea, summary, button")
    || part.querySelector("details[open], input[name=token]:checked") !== null;
}

function refresh(kind) {
  for (const part of document.querySelectorAll("[data-live]")) {
    if (part.dataset.live.split(" ").includes(kind) && !inUse(part)) htmx.trigger(part, "refresh");
  }
}

for (const kind of ["loads", "alerts", "notices", "tick"]) {
  document.body.addEventListener(`sse:${kind}`, () => refresh(kind));
}
document.body.addEventListener("htmx:sseOpen", (opened) => {
  const source = opened.detail.source;
  for (const kind of ["loads", "alerts", "notices", "tick"]) source.addEventListener(kind, () => refresh(kind));
});

// Who types is there: the session goes on, so that nobody is signed out in the middle of a form.
const aliveEvery = 60_000;
let aliveAt = Date.now();
document.addEventListener("input", () => {
  if (Date.now() - aliveAt < aliveEvery) return;
  aliveAt = Date.now();
  fetch("/account/alive", { method: "POST" }).catch(() => {});
});

document.addEventListener("change", (changed) => {
  if (!changed.target.matches("[data-tick-all]")) return;
  for (const tick of changed.target.closest("table").querySelectorAll("tbody input[type=checkbox]")) tick.checked = changed.target.checked;
});

// One menu is open at a time, and Escape closes it.
document.addEventListener("click", (clicked) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(clicked.target)) menu.open = false;
});
document.addEventListener("keydown", (pressed) => {
  if (pressed.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

document.addEventListener("click", async (clicked) => {
  const button = clicked.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
  button.textContent = button.dataset.copied;
});

// Keeps open pages up to date and spares clicks. Every page works without it.
"use strict";

// A part that changed is fetched anew, but never under somebody's hands: not while a menu in it is open, or something is being typed or not yet sent.
function inUse(part) {
  return part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea, .menu > summary, button")
    || part.querySelector("details.menu[open]") !== null || [...part.querySelectorAll("input, select, textarea")].some(isTouched);
}

// Whether a field is not as the page had it. What is preserved outlives a refresh.
function isTouched(field) {
  if (field.type === "hidden" || field.closest("[hx-preserve]")) return false;
  if (field.matches("[type=checkbox], [type=radio]")) return field.checked !== field.defaultChecked;
  if (!field.matches("select")) return field.value !== field.defaultValue;
  const options = [...field.options];
  return field.value !== (options.find((option) => option.defaultSelected) ?? options[0])?.value;
}

// What was told and is not shown yet. Pages that are open at once ask one after another, and those that nobody sees once they are seen.
const told = new Set();
const spread = 1_000;
let due;

function tell(kind) {
  told.add(kind);
  if (!document.hidden) due ??= setTimeout(refresh, Math.random() * spread);
}

function refresh() {
  due = clearTimeout(due);
  // What is being fetched may be as it was before: it is fetched once more after that.
  if (document.querySelector("[data-live]:is(.htmx-request, .htmx-added)")) {
    due = setTimeout(refresh, spread);
    return;
  }
  for (const part of document.querySelectorAll("[data-live]")) {
    if (part.dataset.live.split(" ").some((kind) => told.has(kind)) && !inUse(part)) htmx.trigger(part, "refresh");
  }
  told.clear();
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });

// What no person's hand led to is no use of the session.
const byItself = { "x-by-itself": "yes" };

// What the page asks for by itself is refused once the session has ended. Then it says so and asks for nothing more until it is loaded again; what is
// half filled in stays as it is.
const ended = new AbortController();
const over = document.getElementById("over");
let stream, others;

function end() {
  others?.postMessage("over");
  standStill();
}

function standStill() {
  if (ended.signal.aborted) return;
  ended.abort();
  stream?.close();
  // What is behind a dialog is out of reach.
  if (hello?.open) hello.prepend(over);
  over.firstElementChild.hidden = false;
}

// Browsers come back by themselves where a connection broke, but not where they were refused, and don't say why they were.
function listen(address, hear, pause = 1_000) {
  if (ended.signal.aborted) return;
  const source = stream = new EventSource(address);
  for (const kind of ["loads", "alerts", "notices", "tick"]) source.addEventListener(kind, () => hear(kind));
  source.addEventListener("open", () => {
    pause = 1_000;
    hear("open");
  });
  source.addEventListener("error", async () => {
    if (source.readyState !== EventSource.CLOSED) return;
    const answer = await fetch(address, { method: "HEAD", headers: byItself }).catch(() => undefined);
    if (answer?.status === 401) end();
    else setTimeout(listen, pause, address, hear, Math.min(2 * pause, 60_000));
  });
}

// The pages of a browser share one stream: it keeps few connections to a host, and needs them to load pages. Whichever page holds the lock listens
// and tells the others; when it goes, the next one takes over. What was told in between is made up for once the stream is open.
const { events, reader } = document.body.dataset;
if (events && navigator.locks) {
  const shared = `live ${reader}`;
  others = new BroadcastChannel(shared);
  others.addEventListener("message", ({ data }) => data === "over" ? standStill() : tell(data));
  const loaded = performance.now();
  navigator.locks.request(shared, { signal: ended.signal }, () => new Promise((leave) => {
    // By then the pages that wait have heard of the end. One that is loaded later listens for itself.
    ended.signal.addEventListener("abort", () => setTimeout(leave, spread));
    listen(events, (kind) => {
      const news = kind === "open" ? "tick" : kind;
      others.postMessage(news);
      // What this page has loaded just now is as it is.
      if (kind !== "open" || performance.now() - loaded > spread) tell(news);
    });
  })).catch(() => { /* It waited until the end. */ });
}

document.body.addEventListener("htmx:configRequest", (asked) => {
  if (asked.detail.triggeringEvent?.isTrusted) return;
  if (ended.signal.aborted) asked.preventDefault();
  Object.assign(asked.detail.headers, byItself);
});
document.body.addEventListener("htmx:responseError", (failed) => { if (failed.detail.xhr.status === 401) end(); });

// Whoever can't see that a part is being fetched hears of it.
document.body.addEventListener("htmx:beforeRequest", (asked) => asked.detail.target.setAttribute("aria-busy", "true"));
document.body.addEventListener("htmx:afterRequest", (asked) => asked.detail.target.removeAttribute("aria-busy"));

// What somebody opened stays open over a refresh, and a link, or what opens something, keeps the focus.
let opened = [];
let focused;
document.body.addEventListener("htmx:beforeSwap", (swap) => {
  const part = swap.detail.target;
  opened = [...part.querySelectorAll("details[id][open]")].map((details) => details.id);
  focused = part.contains(document.activeElement) ? placeOf(document.activeElement) : undefined;
});
document.body.addEventListener("htmx:afterSwap", (swap) => {
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  opened = [];
  if (focused === undefined) return;
  swap.target.querySelector(focused)?.focus({ preventScroll: true });
  focused = undefined;
});

// Where the same thing is found in a part that was fetched anew.
function placeOf(held) {
  if (held.matches("a[href]")) return `a[href="${CSS.escape(held.getAttribute("href"))}"]`;
  if (held.matches("details[id] > summary")) return `#${CSS.escape(held.parentElement.id)} > summary`;
  return undefined;
}

// Who types is there: the session goes on, so that nobody is signed out in the middle of a form.
const aliveEvery = 60_000;
let aliveAt = Date.now();
document.addEventListener("input", () => {
  if (ended.signal.aborted || Date.now() - aliveAt < aliveEvery) return;
  aliveAt = Date.now();
  fetch(document.body.dataset.alive, { method: "POST" }).catch(() => {});
});

document.addEventListener("change", (changed) => {
  if (!changed.target.matches("[data-tick-all]")) return;
  for (const tick of changed.target.closest("table").querySelectorAll("tbody input[type=checkbox]")) tick.checked = changed.target.checked;
});

// Enter on a tick box is no order: it would press the first button of the form.
document.addEventListener("keydown", (pressed) => {
  if (pressed.key === "Enter" && pressed.target.matches("input[type=checkbox]")) pressed.preventDefault();
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

// On a narrow screen the places stand in a row that is longer than the screen: the one that is shown is brought into sight.
const places = document.querySelector(".places");
const here = places?.querySelector("[aria-current]")?.getBoundingClientRect();
if (here) places.scrollLeft += here.left + here.width / 2 - places.clientWidth / 2;

// What asks at the sign-in holds the page until it is answered. Where it stands before another page, to close it leads there.
const hello = document.querySelector("dialog.hello");
if (hello) {
  hello.open = false;
  hello.showModal();
  hello.addEventListener("close", () => {
    if (hello.dataset.then) location.assign(hello.dataset.then);
    document.body.append(over);
  });
}

document.addEventListener("click", async (clicked) => {
  const button = clicked.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
  button.textContent = button.dataset.copied;
});

// A slider shows its value.
document.addEventListener("input", (moved) => {
  const output = document.getElementById(moved.target.dataset?.shows ?? "");
  if (output) output.value = moved.target.value;
});

// Charts that can be looked into, in the place of those that the page drew. What a chart holds on to is let go with its place.
const charts = new Map();
const chartHeight = 230;

async function draw(place) {
  if (!window.uPlot || place.dataset.drawn || ended.signal.aborted) return;
  place.dataset.drawn = "yes";
  const answer = await fetch(place.dataset.chart, { headers: byItself });
  if (answer.status === 401) end();
  if (!answer.ok) return;
  const figures = await answer.json();
  if (!place.isConnected) return;
  // Colours that depend on light and dark are known once something is drawn with them.
  const probe = document.createElement("i");
  place.append(probe);
  const shade = (name) => { probe.style.color = `var(${name})`; return getComputedStyle(probe).color; };
  const [ink, line, brand, bad, calm] = ["--quiet", "--line", "--brand", "--bad", "--calm"].map(shade);
  probe.remove();
  const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line } };
  const day = new Intl.DateTimeFormat("sv", { timeZone: figures.zone, month: "2-digit", day: "2-digit" });
  const hour = new Intl.DateTimeFormat("sv", { timeZone: figures.zone, hour: "2-digit", minute: "2-digit" });
  const number = new Intl.NumberFormat("sv");
  const told = (format, seconds) => format.format(new Date(seconds * 1_000));
  const times = (u, ticks) => ticks.map((tick) => told(hour, tick) === "00:00" ? told(day, tick) : told(hour, tick));
  const [demand, supply, ratio] = figures.names;
  const percent = (value) => value === figures.over ? figures.over_text : `${Math.round(value * 100)} %`;
  // The legend tells of what is pointed at: where that is nothing, it names the lines.
  const read = (words) => (u, value, nth, at) => at === null ? "" : value === null ? "–" : words(value);
  const thresholds = figures.thresholds.map(([at, label], nth) => ({
    label, stroke: bad, width: 1, dash: nth === 0 ? [4, 4] : [1, 3], scale: "ratio", points: { show: false }, value: () => percent(at),
  }));
  const options = {
    width: place.clientWidth, height: chartHeight, cursor: { drag: { x: false, y: false } },
    legend: { markers: { dash: (u, nth) => ["solid", "dotted", "dashed"][Math.min(u.series[nth].dash?.[0] ?? 0, 2)] } },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1_000), figures.zone),
    scales: { x: { range: () => figures.shown }, ratio: { range: (u, low, high) => [0, Math.max(high * 1.1, 1.25)] }, y: { range: (u, low, high) => [0, Math.max(high * 1.1, 1)] } },
    axes: [{ ...axis, values: times }, { ...axis, size: 70 }, { ...axis, size: 65, scale: "ratio", side: 1, grid: { show: false }, values: (u, ticks) => ticks.map((tick) => `${Math.round(tick * 100)} %`) }],
    series: [
      { label: figures.names[3], value: read((seconds) => `${told(day, seconds)} ${told(hour, seconds)}`) },
      { label: demand, stroke: brand, width: 2, value: read(number.format) },
      { label: supply, stroke: calm, width: 2, dash: [8, 4], value: read(number.format) },
      { label: ratio, stroke: ink, width: 1, scale: "ratio", value: read(percent) },
      ...thresholds,
    ],
  };
  // The thresholds reach from edge to edge, whatever was sampled.
  const between = (row, edge) => [edge, ...row, edge];
  const data = [
    [figures.shown[0], ...figures.times, figures.shown[1]], ...[figures.demand, figures.supply, figures.ratio].map((row) => between(row, null)),
    ...figures.thresholds.map(([at]) => between(figures.times.map(() => at), at)),
  ];
  place.replaceChildren();
  const chart = new uPlot(options, data, place);
  const canvas = place.querySelector("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", place.dataset.text);
  const watcher = new ResizeObserver(() => chart.setSize({ width: place.clientWidth, height: chartHeight }));
  watcher.observe(place);
  charts.set(place, () => { watcher.disconnect(); chart.destroy(); });
}

function drawAll() {
  for (const [place, letGo] of charts) {
    if (place.isConnected) continue;
    letGo();
    charts.delete(place);
  }
  document.querySelectorAll("[data-chart]").forEach(draw);
}
drawAll();
document.body.addEventListener("htmx:afterSettle", drawAll);
// The colours of a drawing are those of the moment in which it was made.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  if (ended.signal.aborted) return;
  for (const [place, letGo] of charts) {
    letGo();
    delete place.dataset.drawn;
  }
  charts.clear();
  drawAll();
});

// Pages that stay open: they hear of what changes, hold on to nothing, and leave alone what somebody is at.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { leave, mustBeAccessible, openBrowser, operatorOf, signedIn } from "./browse.mjs";
import { Scene, password } from "./scene.mjs";

// Browsers open so many connections to a host that speaks HTTP/1.
const mostConnections = 6;
let scene, browser, owner, ids;

before(async () => {
  scene = await Scene.open({ networks: ["x", "facebook"], settings: { TOKEN_BROKER__LOAD__HOLD: "0s" } });
  browser = await openBrowser();
  owner = await signedIn(browser, scene, scene.members.owner);
  ids = scene.json("token list --team acme").map((token) => token.name.split("/").pop());
  use();
  scene.pastLoads("x", "users_get");
  // The page of loads shows it once it was evaluated.
  do await owner.goto("/load"); while (await owner.locator(".chart").count() === 0);
});

after(async () => {
  try {
    await browser?.close();
  } finally {
    await scene?.close();
  }
});

// Has something collected, so that there is a load.
function use(calls = 800) {
  try { scene.run(`lease acquire --team acme --network x --operation users.get --calls ${calls} --purpose collect_statistics --collection brand`); } catch { /* Nothing is left: what was asked for counts. */ }
}

// Has a page fetch its part `id` anew, and waits until it is there.
async function refreshed(page, id) {
  await page.evaluate((id) => {
    const part = document.getElementById(id);
    part.dataset.old = "yes";
    htmx.trigger(part, "refresh");
  }, id);
  // Unlike a handle, a locator holds on to nothing.
  await page.locator(`#${id}:not([data-old], .htmx-added, .htmx-settling)`).waitFor();
}

test("more pages are open at once than a browser has connections, and all hear of what happens", async () => {
  const context = owner.context();
  let streams = 0;
  const count = (request) => { if (new URL(request.url()).pathname === "/live") streams += 1; };
  context.on("request", count);
  const pages = [];
  for (let nth = 0; nth < mostConnections + 2; nth += 1) {
    const page = await context.newPage();
    await page.goto("/tokens?status=paused");
    pages.push(page);
  }
  // A page that listened is left: another one listens in its place.
  await owner.goto("about:blank");
  const heard = pages.map((page) => page.waitForSelector("table.tokens tbody tr", { timeout: 60_000 }));
  scene.run(`token pause ${ids[0]} --team acme`);
  use(1);
  await Promise.all(heard);
  await pages[0].click("table.tokens .name a");
  await pages[0].waitForURL("**/tokens/tok_*");
  assert.ok(streams <= 3, `${streams} streams were opened`);
  context.off("request", count);
  scene.run(`token resume ${ids[0]} --team acme`);
  for (const page of pages) await page.close();
});

test("an open page holds on to nothing that it showed before", async () => {
  await owner.goto("/load");
  await owner.locator(".chart .u-wrap").first().waitFor();
  const client = await owner.context().newCDPSession(owner);
  await client.send("Performance.enable");
  const held = async () => {
    await client.send("HeapProfiler.collectGarbage");
    await client.send("HeapProfiler.collectGarbage");
    const { metrics } = await client.send("Performance.getMetrics");
    return Object.fromEntries(metrics.filter(({ name }) => ["Nodes", "JSEventListeners"].includes(name)).map(({ name, value }) => [name, value]));
  };
  const again = async (times) => {
    for (let nth = 0; nth < times; nth += 1) {
      const drawn = owner.waitForResponse("**/load/history*");
      await refreshed(owner, "loads");
      await drawn;
      await owner.locator(".chart .u-wrap").first().waitFor();
    }
  };
  await again(3);
  const before = await held();
  await again(20);
  const after = await held();
  // The part before the one that is shown may not be forgotten yet.
  assert.ok(after.Nodes < 2 * before.Nodes && after.JSEventListeners < before.JSEventListeners + 20, `${JSON.stringify(before)} became ${JSON.stringify(after)}`);
});

test("a stream that breaks comes back, and each event is heard once", async () => {
  const page = await signedIn(browser, scene, scene.members.member);
  let streams = 0;
  // Each stream breaks after an event, but for the last.
  await page.route("**/live", (route) => {
    streams += 1;
    if (streams > 4) return route.continue();
    return route.fulfill({ contentType: "text/event-stream", body: "retry: 10\nevent: notices\ndata: notices\n\n" });
  });
  const asked = [];
  page.on("request", (request) => { if (request.url().endsWith("/notices/unread")) asked.push(streams); });
  const listens = page.waitForResponse((answer) => answer.url().endsWith("/live") && streams > 4);
  await page.goto("/tokens");
  await listens;
  const bell = page.waitForRequest("**/notices/unread");
  asked.length = 0;
  scene.run(`token invalidate ${ids[5]} --reason password-changed --team acme`);
  await bell;
  await refreshed(page, "tokens");
  assert.ok(asked.length <= 2, `the bell was fetched ${asked.length} times for one event`);
  await leave(page);
});

test("a token's page shows what becomes of it, but not while something in it is used", async () => {
  await owner.goto(`/tokens/${ids[1]}`);
  await owner.evaluate(() => { window.isStillOpen = true; });
  scene.run(`token invalidate ${ids[1]} --reason password-changed --team acme`);
  await owner.waitForFunction(() => /password was changed/.test(document.querySelector("#token").textContent), null, { timeout: 60_000 });
  assert.ok(await owner.evaluate(() => window.isStillOpen));
  await owner.goto("/tokens");
  await owner.check(`input[value="${ids[2]}"]`);
  const isFetched = async () => {
    await owner.waitForFunction(() => document.querySelector("[data-live]:is(.htmx-request, .htmx-added)") === null);
    return owner.evaluate(() => {
      document.activeElement.blur();
      tell("tick");
      refresh();
      return document.querySelector("#tokens").classList.contains("htmx-request");
    });
  };
  assert.equal(await isFetched(), false, "what is ticked stays");
  await owner.uncheck(`input[value="${ids[2]}"]`);
  assert.equal(await isFetched(), true);
});

test("a focused link keeps the focus over a refresh, and a slider what it was moved to", async () => {
  await owner.goto("/tokens");
  const link = `table.tokens a[href="/tokens/${ids[3]}"]`;
  await owner.focus(link);
  await refreshed(owner, "tokens");
  assert.equal(await owner.evaluate(() => document.activeElement.getAttribute("href")), `/tokens/${ids[3]}`);
  await owner.goto("/load");
  await owner.locator("section.load input[type=range]").first().fill("9");
  await owner.locator("#estimate").waitFor();
  await owner.locator("section.load input[type=range]").first().fill("50");
  await owner.locator("#estimate:has-text('With 50 more')").waitFor();
  await refreshed(owner, "loads");
  assert.equal(await owner.locator("section.load output").first().textContent(), "50");
  assert.equal(await owner.locator("#estimate").count(), 1);
});

test("a page of loads is kept up to date while somebody reads what can be opened on it", async () => {
  await owner.goto("/load");
  await owner.click("section.load details summary");
  await owner.evaluate(() => {
    document.getElementById("loads").dataset.old = "yes";
    tell("tick");
    refresh();
  });
  await owner.locator("#loads:not([data-old], .htmx-added, .htmx-settling):has-text('As of')").waitFor();
  assert.ok(await owner.locator("section.load details table").first().isVisible(), "what was opened stays open");
  assert.equal(await owner.evaluate(() => document.activeElement.closest("details")?.open), true, "and keeps the focus");
});

test("what an open page fetches by itself says so", async () => {
  const fetched = new Map();
  const page = await owner.context().newPage();
  page.on("request", (request) => fetched.set(new URL(request.url()).pathname, request.headers()["x-by-itself"]));
  await page.goto("/load");
  await page.waitForSelector(".chart .u-wrap");
  const drawn = page.waitForResponse("**/load/history*");
  await refreshed(page, "loads");
  await drawn;
  assert.deepEqual(["/load", "/load/history", "/notices/unread"].map((path) => fetched.get(path)), ["yes", "yes", "yes"]);
  await page.close();
});

test("a chart has a name, and its axis is in the time zone of who looks at it", async () => {
  // Eve lives in Vienna: neither in the time zone of her browser nor in that of the broker.
  const page = await signedIn(browser, scene, scene.members.member, { timezoneId: "Pacific/Honolulu" });
  await page.goto("/load");
  await page.waitForSelector(".chart .u-wrap");
  await page.getByRole("img", { name: /^Token load, / }).first().waitFor();
  const chart = page.locator(".chart").first();
  await chart.locator(".u-over").hover();
  // Whichever sample is below the pointer: its time is read in the legend.
  const read = await chart.locator(".u-legend .u-value").first().textContent();
  const times = await page.evaluate(async (place) => (await (await fetch(place)).json()).times, await chart.getAttribute("data-chart"));
  const inVienna = (at) => {
    return new Intl.DateTimeFormat("sv", { timeZone: "Europe/Vienna", timeStyle: "short" }).format(new Date(at * 1000));
  };
  assert.ok(times.some((at) => read.endsWith(inVienna(at))), `${read} is none of ${times.map(inVienna)}`);
  await leave(page);
});

test("a slow answer is seen to be awaited", async () => {
  await owner.goto("/tokens");
  let answer;
  const asked = new Promise((resolve) => {
    owner.route("**/tokens", (route) => { answer = () => route.continue(); resolve(); });
  });
  await owner.evaluate(() => htmx.trigger("#tokens", "refresh"));
  await asked;
  assert.equal(await owner.getAttribute("#tokens", "aria-busy"), "true");
  await owner.waitForFunction(() => getComputedStyle(document.body, "::before").opacity === "1");
  await owner.emulateMedia({ reducedMotion: "reduce" });
  assert.equal(await owner.evaluate(() => getComputedStyle(document.body, "::before").animationName), "appear", "nothing moves");
  await owner.emulateMedia({ reducedMotion: null });
  await answer();
  await owner.waitForSelector("#tokens:not([aria-busy])");
  assert.equal(await owner.evaluate(() => getComputedStyle(document.body, "::before").content), "none");
  await owner.unroute("**/tokens");
});

// Waits until a page says that its session is over: for the minute of the session, and as long as a stream takes to notice.
async function toldOfTheEnd(page) {
  const words = "Your session has ended. This page is no longer kept up to date. Sign in";
  await page.getByRole("status").filter({ hasText: words }).waitFor({ timeout: 150_000 });
}

test("a page whose session has ended says so, asks for nothing more, keeps what is half filled in, and leads back", async () => {
  const brief = await Scene.open({ tokens: 10, networks: ["x"], settings: { TOKEN_BROKER__SIGN_IN__IDLE: "1m" } });
  try {
    const form = await signedIn(browser, brief, brief.members.owner);
    const operator = await operatorOf(browser, brief, { path: "/operator/keys" });
    const [member, key, hello] = [form.context(), await form.context().newPage(), await form.context().newPage()];
    await form.goto("/members/invite");
    await form.fill("input[name=mail]", "half@example.com");
    await operator.fill("input[name=name]", "Half");
    await key.goto("/collectors/new");
    await key.fill("input[name=name]", "worker");
    await key.check("input[value=x]");
    await key.check("input[value=collect_statistics]");
    await key.click("text=Make the collector");
    await key.click("button:has-text('Make a key')");
    await key.locator("#key").waitFor();
    await hello.goto("/tokens?hello=yes");
    await hello.locator("dialog").waitFor();
    const listeners = new Set();
    member.on("request", (request) => { if (request.url().endsWith("/live")) listeners.add(request.frame().page()); });
    for (const page of [form, operator, key, hello]) assert.ok(await page.locator("#over > *").isHidden());
    await Promise.all([form, operator, key, hello].map(toldOfTheEnd));
    assert.ok(listeners.size <= 1, "who did not listen was told by who did");
    assert.deepEqual([await form.inputValue("input[name=mail]"), await operator.inputValue("input[name=name]")], ["half@example.com", "Half"]);
    const asked = [];
    for (const context of [member, operator.context()]) context.on("request", (request) => asked.push(request.url()));
    for (const page of [form, operator, key, hello]) await page.evaluate(() => { tell("tick"); refresh(); });
    brief.run(`token pause ${brief.json("token list --team acme")[0].name.split("/").pop()} --team acme`);
    // As long as a browser takes to come back to a stream.
    await form.waitForTimeout(6_000);
    assert.deepEqual(asked, []);
    await mustBeAccessible(form, "a page whose session has ended");
    await hello.click("dialog button:has-text('Later')");
    assert.ok(await hello.locator("#over").getByText("Your session has ended").isVisible(), "it outlives the dialog");
    await form.click("#over a");
    await form.waitForURL("**/sign-in?next=%2Fmembers%2Finvite");
    const signIn = async (page) => {
      await page.fill("input[name=mail]", brief.members.owner.mail);
      await page.fill("input[name=password]", password);
      await page.click("main button");
      await page.click("dialog a:has-text('Later')");
    };
    const listens = form.waitForRequest("**/live");
    await signIn(form);
    await form.waitForURL("**/members/invite");
    await listens;
    // What a form led to has no address: it leads back to what the form is about.
    await member.clearCookies();
    await key.click("#over a");
    await key.waitForURL("**/sign-in?next=*keys");
    await signIn(key);
    await key.waitForURL(/\/collectors\/col_\w+$/);
    await operator.click("#over a");
    await operator.waitForURL("**/operator/sign-in?next=%2Foperator%2Fkeys");
    await operator.fill("input[name=key]", brief.key);
    await operator.click("main button");
    await operator.waitForURL("**/operator/keys");
    await leave(form);
    await leave(operator);
  } finally {
    await brief.close();
  }
});
